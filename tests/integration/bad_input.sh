# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Bad input of every kind: the mistake is named with its place and a remedy, the exit status is 2 (or 1 where a plugin is
# at fault), and nothing else is lost.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

napm model new tiny-cnn -o "$work/tiny-cnn.onnx" >/dev/null
cat >"$work/good.cfg" <<'CFG'
seed = 3;
nodes = (
  { name = "station"; role = "station"; },
  { name = "pi1"; cpu = 0.5; memory = "1GiB"; }
);
links = (
  { from = "pi1"; rate = "50Mbit"; delay = "1ms"; }
);
streams = (
  { device = "pi1"; model = "tiny-cnn.onnx"; tasks = 3; arrivals = { plugin = "periodic"; period = "5ms"; }; }
);
backend = { plugin = "reference"; };
partitioner = { plugin = "station-only"; };
scheduler = { plugin = "fifo"; };
CFG
check "the scenario is fine to begin with" napm run "$work/good.cfg"

# bad NAME PATTERN SED-SCRIPT: the scenario so changed is refused with a text that matches, and file:line.
bad() {
    sed -E "$3" "$work/good.cfg" >"$work/bad.cfg"
    if cmp -s "$work/good.cfg" "$work/bad.cfg"; then
        check "$1: the script changes something" false
    fi
    check_status "$1 is refused" 2 napm run "$work/bad.cfg"
    check_text "$1: the text names the place" 'bad\.cfg(:[0-9]+)?: ' "$work/err"
    check_text "$1: and what is wrong" "$2" "$work/err"
}
bad "a syntax error" 'bad\.cfg:[34]: syntax error' '3s/,$/ ]/'
bad "an unknown key" "did you mean 'memory'|memory" 's/memory =/memroy =/'
bad "a missing unit" 'unit|"50' 's/"50Mbit"/"50"/'
bad "a number where a quantity belongs" 'unit|rate' 's/"50Mbit"/50/'
bad "a share out of range" 'cpu' 's/cpu = 0.5/cpu = 1.5/'
bad "a node named twice" "pi1|already" 's/name = "station"/name = "pi1"/'
bad "a scenario without station" 'station' 's/role = "station"; //'
bad "a link to nowhere" "'?pi9" 's/from = "pi1"/from = "pi9"/'
bad "a device without link" 'link' '/^links/,/^\);/d'
bad "a stream on no device" 'pi9' 's/device = "pi1"/device = "pi9"/'
bad "a model that is not there" 'none\.onnx' 's/tiny-cnn\.onnx/none.onnx/'
bad "no tasks" 'tasks' 's/tasks = 3/tasks = 0/'
bad "an unknown plugin" 'station-only' 's/"station-only"/"station-onyl"/'
bad "a plugin of the wrong kind" 'fifo' 's/"station-only"/"fifo"/'
bad "an unknown option of a plugin" 'period' 's/period = /peroid = /'
bad "a plugin's option without its unit" 'period' 's/"5ms"/"5"/'
bad "an unknown world" 'world' '1s/^/world = "moon"; /'
bad "memory too small for any cut" 'memory' 's/"1GiB"/"1KiB"/; s/role = "station";/role = "station"; memory = "1KiB";/'

check_status "an override of what is not there" 2 napm run "$work/good.cfg" --set nodes.pi2.cpu=0.5
check_text "is named" 'pi2' "$work/err"
check_status "an override that is no value" 2 napm run "$work/good.cfg" --set 'nodes.pi1.cpu=2'
check_text "is named" 'nodes\.pi1\.cpu|cpu' "$work/err"
: >"$work/empty.cfg"
check_status "an empty file" 2 napm run "$work/empty.cfg"
head -c 4096 /dev/urandom >"$work/noise.cfg"
check_status "noise" 2 napm run "$work/noise.cfg"
check_status "a folder" 2 napm run "$work"

# ---- ledgers
check_status "a ledger in a folder that is not there" 2 napm run "$work/good.cfg" --db "$work/none/x.db"
check_text "is not made, and said" "ledger $work/none/x.db: the folder $work/none: No such file or directory; make it" "$work/err"
check "nor is its folder" test ! -e "$work/none"
check_status "a file that is no ledger" 2 napm run "$work/good.cfg" --db "$work/good.cfg"
check_text "is said to be none" 'good.cfg: is no ledger' "$work/err"

# ---- models
for bytes in 0 1 100 1000 20000; do
    head -c $bytes "$work/tiny-cnn.onnx" >"$work/cut.onnx"
    check_status "a model cut off after $bytes bytes" 2 napm model info "$work/cut.onnx"
    check_text "is named" 'cut\.onnx' "$work/err"
done
head -c 40000 /dev/urandom >"$work/noise.onnx"
check_status "noise that is called a model" 2 napm model info "$work/noise.onnx"

# ---- what only a plugin finds wrong: before there is a run
napm run "$work/good.cfg" >/dev/null
runs() { napm result list -n 0 --format csv | wc -l; }
before=$(runs)
# found_by_plugin NAME PATTERN SED-SCRIPT
found_by_plugin() {
    sed -E "$3" "$work/good.cfg" >"$work/bad.cfg"
    for command in run plan; do
        check_status "$1 is wrong input to $command" 2 napm $command "$work/bad.cfg"
        check_text "$1: the text names the scenario's line" 'bad\.cfg:[0-9]+: ' "$work/err"
        check_text "$1: and what is wrong, and the remedy" "$2" "$work/err"
    done
    check "$1: nothing is recorded" test "$(runs)" = "$before"
}
with_trace='s/\{ plugin = "periodic"; period = "5ms"; \}/{ plugin = "trace"; file = "times.csv"; }/'
with_times='s/^backend = .*/backend = { plugin = "replay"; times = "times.csv"; };/'
printf 'start\n0.1\nsoon\n' >"$work/times.csv"
found_by_plugin "a trace with a bad line" "times\.csv:3: 'soon' is no start time; write" "$with_trace"
printf 'layer,median_ns\n0,fast\n' >"$work/times.csv"
found_by_plugin "a file of times with a bad line" "times\.csv:2: .*'fast' is not a number.*napm profile" "$with_times"
printf 'layer,median_ns\n99,5\n' >"$work/times.csv"
found_by_plugin "a file of times of another model" "times\.csv:2: layer 99 does not exist" "$with_times"
printf 'start\n1\n1\n' >"$work/times.csv"
found_by_plugin "options that do not fit each other" 'cannot repeat; set repeat to false' \
    "${with_trace/file =/repeat = true; file =}"

# ---- plugins
fixtures=$top_builddir/tests/plugin/fixtures/.libs
if [ -e "$fixtures/good.so" ]; then
    mkdir "$work/faulty"
    cp "$fixtures"/faulty_*.so "$fixtures"/future.so "$work/faulty"
    check "files with faults do not disturb the others" napm plugin list --plugin-path "$work/faulty"
    check_text "a wrong ABI is refused" 'faulty_note_abi.so' "$work/out"
    check "nor a run" napm run "$work/good.cfg" --plugin-path "$work/faulty"
    mkdir "$work/one"
    for fault in no_pick note_version list_abi; do
        cp "$fixtures/faulty_$fault.so" "$work/one/faulty.so"
        check_status "a plugin that cannot be used ($fault) is wrong input" 2 \
            napm run "$work/good.cfg" --plugin-path "$work/one" --set 'scheduler.plugin="faulty"'
        check_text "$fault: by name and file" "scheduler plugin 'faulty' cannot be used: .*one/faulty\.so: " "$work/err"
        check_text "$fault: with versions" '(ABI|version) [0-9]' "$work/err"
    done
    check_status "a plugin of another ABI is wrong input too" 2 \
        napm run "$work/good.cfg" --plugin-path "$work/faulty" --set 'scheduler.plugin="faulty"'
else
    skip "files with faults do not disturb the others" "the fixtures are not built"
fi
nonsense=$top_builddir/tests/planner/fixtures/.libs
if [ -e "$nonsense/nonsense.so" ]; then
    for partitioner in node-out-of-range no-prefix refuses odd-status; do
        check_status "a plan that is none ($partitioner) fails the run" 1 \
            napm run "$work/good.cfg" --plugin-path "$nonsense" --set "partitioner.plugin=\"$partitioner\""
        check_text "$partitioner: the plugin is named" "$partitioner" "$work/err"
        check "$partitioner: the run is recorded as failed" sh -c \
            "$top_builddir/run-in-tree core/cli/napm result list -n 1 --format csv | grep -q ',failed,'"
    done
    check_status "a scheduler that names a job that is not there fails the run" 1 timeout 60 \
        "$top_builddir/run-in-tree" core/cli/napm run "$work/good.cfg" --plugin-path "$nonsense" --set 'scheduler.plugin="liar"'
    check_text "and is named" 'liar' "$work/err"
else
    skip "a plan that is none fails the run" "the fixtures are not built"
fi
check "after all that the ledger holds the good runs" sh -c \
    "$top_builddir/run-in-tree core/cli/napm result list -n 0 --format csv | grep -q ',done,'"
done_testing
