# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Three nodes in a row as a user would run them, in both worlds: a watch, a phone that computes for it, the station; what the
# ledger keeps of it; and a phone that is killed in mid-run. The backend takes stated times, so that the plan is always the same.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"
if ! command -v python3 >/dev/null; then
    echo "1..0 # SKIP python3 is not installed"
    exit 0
fi

napm model new tiny-cnn -o "$work/tiny-cnn.onnx" >/dev/null
cat >"$work/chain.cfg" <<'CFG'
name = "chain"; seed = 3;
nodes = ( { name = "station"; role = "station"; power = { busy = "20W"; transmit = "1W"; }; },
    { name = "phone"; backend = { plugin = "replay"; gflops = 0.2; }; power = { idle = "1W"; busy = "4W"; transmit = "2W"; }; },
    { name = "watch"; backend = { plugin = "replay"; gflops = 0.002; }; power = { busy = "1W"; transmit = "0.5W"; }; } );
links = ( { from = "watch"; to = "phone"; rate = "20Mbit"; delay = "2ms"; }, { from = "phone"; rate = "200kbit"; delay = "9ms"; } );
streams = ( { device = "watch"; model = "tiny-cnn.onnx"; tasks = 20; arrivals = { plugin = "periodic"; period = "40ms"; }; } );
backend = { plugin = "replay"; gflops = 1.0; };
partitioner = { plugin = "chain-dp"; };
scheduler = { plugin = "fifo"; };
run = { time_limit = "60s"; };
CFG
# of EXPRESSION: of the newest run's JSON.
of() { napm result show --format json | python3 -c "import json, sys; r = json.load(sys.stdin); s = r['streams'][0]; print($1)"; }

for world in sim local; do
    check "$world: the phone computes for the watch" napm run "$work/chain.cfg" --world $world
    check "$world: all tasks end well" test "$(of 's["tasks_ok"], s["tasks_failed"]')" = "20 0"
    check "$world: the result says what ran where" test "$(of 's["way"]')" = "watch 0, phone 5, station 0"
    check "$world: computing on the way is remote, and nothing is local" \
        test "$(of 's["remote_ns"] > s["local_ns"] and s["station_compute_ns"] == 0')" = True
    check "$world: the frame took the way up and the result the way down" \
        test "$(of 's["transmit_ns"] > 3e6 and 2e6 <= s["return_ns"] < 3e7')" = True
    check "$world: energy is the nodes' computing and sending" \
        test "$(of '[n for n in r["nodes"] if n["node"] == "phone"][0]["busy_ns"] > 0 and r["energy_per_task_j"] > 0')" = True
    check "$world: rows of the plan have the cuts on the way" sh -c \
        "$top_builddir/run-in-tree core/cli/napm result export --rows plan | grep -q ',0 5,'"
done
# With stated layer times, which are their own mean and median.
check "in the simulated world energy is as predicted" sh -c "
    $top_builddir/run-in-tree core/cli/napm run '$work/chain.cfg' --world sim --set nodes.station.gflops=1.0 \
        --set nodes.phone.gflops=0.2 --set nodes.watch.gflops=0.002 >/dev/null &&
    $top_builddir/run-in-tree core/cli/napm result show --format json | python3 -c '
import json, sys
r = json.load(sys.stdin)
sys.exit(abs(r[\"energy_per_task_j\"] / r[\"plan\"][\"predicted_energy_per_task_j\"] - 1) > 1e-6)'"

# ---- the phone is killed
"$top_builddir/run-in-tree" core/cli/napm run "$work/chain.cfg" --set streams.watch.tasks=200 >"$work/run.out" 2>"$work/run.err" &
run=$!
# A row can be seen once the run's own tasks are being recorded; 60 are those of the runs above.
for _ in $(seq 200); do
    [ "$(python3 -c "import sqlite3; print(sqlite3.connect('file:$NAPM_DB?mode=ro', uri=True).execute('SELECT count(*) FROM task').fetchone()[0])")" -gt 65 ] && break
    sleep 0.05
done
phone=$(cat "/proc/$run/task/"*/children 2>/dev/null | tr ' ' '\n' | grep -v '^$' | sort -n | head -1) # started first
kill -KILL "$phone"
status=0
wait $run || status=$?
check "with the phone killed the run ends as failed" test $status = 1
check_text "and says which node was lost" 'node phone is gone: killed by signal 9' "$work/run.err"
check "the tasks before are kept, the others carry the cause" \
    test "$(of 's["tasks_ok"] > 0 and all("node phone is gone" in f["cause"] for f in r["failures"])')" = True

done_testing
