# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Runs in the local world as a user would make them: every partitioner under every scheduler, and everything that can
# happen in mid-run: an agent is killed, the command is interrupted, the command is killed.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

napm model new tiny-cnn -o "$work/tiny-cnn.onnx" >/dev/null
cat >"$work/s.cfg" <<'CFG'
name = "small"; seed = 3;
nodes = ( { name = "station"; role = "station"; }, { name = "pi"; count = 2; cpu = 0.5; } );
links = ( { from = "pi"; rate = "50Mbit"; delay = "1ms"; medium = "wifi"; } );
streams = ( { device = "pi"; model = "tiny-cnn.onnx"; tasks = 5; arrivals = { plugin = "periodic"; period = "5ms"; }; } );
backend = { plugin = "reference"; };
partitioner = { plugin = "greedy-delay"; };
scheduler = { plugin = "fifo"; };
run = { time_limit = "60s"; };
CFG
slow=(--set streams.pi1.tasks=400 --set streams.pi2.tasks=400 --set 'streams.pi1.arrivals.period="10ms"'
    --set 'streams.pi2.arrivals.period="10ms"' --set 'partitioner.plugin="station-only"')

# number QUERY: a number out of the JSON of the newest run.
number() { napm result show --format json | python3 -c "import json, sys; r = json.load(sys.stdin); print($1)"; }
if ! command -v python3 >/dev/null; then
    echo "1..0 # SKIP python3 is not installed"
    exit 0
fi

# ---- every partitioner under every scheduler
all_end_well() {
    napm run "$work/s.cfg" --set "partitioner.plugin=\"$1\"" --set "scheduler.plugin=\"$2\"" &&
        [ "$(number 'r["delay"]["tasks_ok"]')" = 10 ] && [ "$(number 'r["delay"]["tasks_failed"]')" = 0 ]
}
for partitioner in device-only station-only neurosurgeon greedy-delay greedy-variance exhaustive; do
    for scheduler in fifo sjf rr; do
        check "$partitioner under $scheduler: all tasks end well" all_end_well $partitioner $scheduler
    done
done
for partitioner in trend-greedy annealing genetic min-cut chain-dp; do
    check "$partitioner under fifo: all tasks end well" all_end_well $partitioner fifo
done
for scheduler in srpt edf priority wfq batch; do
    check "greedy-delay under $scheduler: all tasks end well" all_end_well greedy-delay $scheduler
done
for arrivals in '{ plugin = "poisson"; interval = "5ms"; }' '{ plugin = "closed-loop"; }'; do
    sed "s/{ plugin = \"periodic\"[^}]*}/$arrivals/" "$work/s.cfg" >"$work/a.cfg"
    check "arrivals = $arrivals" napm run "$work/a.cfg"
done
check "a backend that computes nothing says where its times come from" napm run "$work/s.cfg" \
    --set 'nodes.pi2.backend.plugin="replay"'
check_text "in the run's output" 'the layer times of pi2 are estimated, not measured \(replay ' "$work/out"
check "in the node's facts" test "$(number '[n["backend"].split("(")[-1] for n in r["nodes"] if n["node"] == "pi2"][0]')" = "estimated)"
check "in a profile" napm profile "$work/tiny-cnn.onnx" --backend replay --runs 1
check_text "too" 'on replay [^ ]+ \(estimated\), 1 thread' "$work/out"
check "two runs of one scenario plan the same cuts" sh -c "
    $top_builddir/run-in-tree core/cli/napm plan '$work/s.cfg' --format csv | cut -d, -f1-5 >'$work/p1'
    $top_builddir/run-in-tree core/cli/napm plan '$work/s.cfg' --format csv | cut -d, -f1-5 >'$work/p2'
    cmp '$work/p1' '$work/p2'"

# ---- in mid-run
# children PID: the processes that PID has started.
children() { cat "/proc/$1/task/"*/children 2>/dev/null; }
# begin: starts a run in the background as $run, and waits until tasks are recorded.
begin() {
    before=$(sqlite_tasks)
    "$top_builddir/run-in-tree" core/cli/napm run "$work/s.cfg" "${slow[@]}" >"$work/run.out" 2>"$work/run.err" &
    run=$!
    for _ in $(seq 200); do
        [ "$(sqlite_tasks)" -gt "$before" ] && return
        sleep 0.05
    done
}
sqlite_tasks() {
    python3 -c "
import sqlite3, sys
try: print(sqlite3.connect('file:$NAPM_DB?mode=ro', uri=True).execute('SELECT count(*) FROM task').fetchone()[0])
except sqlite3.Error: print(0)"
}
# ended_within SECONDS PID...: the processes are gone by then.
ended_within() {
    local until=$((SECONDS + $1)) pid
    shift
    for pid in "$@"; do
        while kill -0 "$pid" 2>/dev/null && [ "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -c1)" != Z ]; do
            [ $SECONDS -ge $until ] && return 1
            sleep 0.05
        done
    done
}

begin
read -ra agents <<<"$(children $run)"
check "one agent a device is running" test "${#agents[@]}" = 2
kill -KILL "${agents[0]}"
started=$SECONDS status=0
wait $run || status=$?
check "with an agent killed the run ends in bounded time" test $((SECONDS - started)) -lt 30
check "as failed" test $status = 1
check_text "and says which node was lost" 'node pi[12] ' "$work/run.err"
check "the other device's tasks all ended well" test "$(number 'max(s["tasks_ok"] for s in r["streams"])')" = 400
check "the lost device's did not" test "$(number 'min(s["tasks_ok"] for s in r["streams"]) < 400')" = True
check "its failed tasks carry the cause" test "$(number 'all("pi" in f["cause"] for f in r["failures"])')" = True
check "the run is recorded as failed" test "$(number 'r["status"]')" = failed

begin
read -ra agents <<<"$(children $run)"
kill -INT $run
started=$SECONDS status=0
wait $run || status=$?
check "interrupted by Ctrl-C it ends soon" test $((SECONDS - started)) -lt 10
check "with status 1" test $status = 1
check_text "says that it stops" 'stopping' "$work/run.err"
check_text "and what is kept" '^napm: stopped by Ctrl-C; [0-9]+ of 800 tasks kept in run [0-9]+$' "$work/run.err"
check_text "shows the partial result" 'All tasks: total delay' "$work/run.out"
check "the run is recorded as stopped" test "$(number 'r["status"]')" = stopped
check "with its tasks" test "$(number 'r["delay"]["tasks_ok"] > 0')" = True
check "no agent is left" ended_within 5 "${agents[@]}"

begin
kill -TERM $run
status=0
wait $run || status=$?
check "SIGTERM does the same" test $status = 1
check "and is recorded so" test "$(number 'r["status"]')" = stopped

begin
read -ra agents <<<"$(children $run)"
known=$(sqlite_tasks)
kill -KILL $run
wait $run 2>/dev/null
check "when the command is killed, its agents end by themselves within 5 s" ended_within 5 "${agents[@]}"
check "the ledger opens" napm result list
check_text "and shows the run as interrupted" 'interrupted' "$work/out"
check "with the tasks that had ended" test "$(sqlite_tasks)" -ge "$known"
check "and is sound" test "$(python3 -c "import sqlite3; print(sqlite3.connect('$NAPM_DB').execute('PRAGMA integrity_check').fetchone()[0])")" = ok
check "the next run is none the worse" napm run "$work/s.cfg"

check_status "a run longer than its time limit is stopped" 1 napm run "$work/s.cfg" "${slow[@]}" --set 'run.time_limit="1s"'
check_text "and says so" 'limit' "$work/err"
check "its tasks are kept" test "$(number 'r["delay"]["tasks_ok"] > 0')" = True
done_testing
