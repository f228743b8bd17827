# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A model with branches as a user would split it: min-cut takes a set of layers that no cut of the layer order gives. Planned,
# run in both worlds, kept, shown, replayed, swept and held against its prediction. The backend takes stated times.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"
if ! command -v python3 >/dev/null; then
    echo "1..0 # SKIP python3 is not installed"
    exit 0
fi

cd "$work" || exit 1
napm model new tiny-inception -o tiny-inception.onnx >/dev/null
cat >sets.cfg <<'CFG'
name = "sets"; seed = 3;
nodes = ( { name = "station"; role = "station"; backend = { plugin = "replay"; gflops = 3.0; }; },
    { name = "board"; count = 2; backend = { plugin = "replay"; gflops = 0.2; }; } );
links = ( { from = "board"; rate = "2Mbit"; delay = "1ms"; } );
streams = ( { device = "board"; model = "tiny-inception.onnx"; tasks = 10; arrivals = { plugin = "periodic"; period = "60ms"; }; } );
partitioner = { plugin = "min-cut"; };
scheduler = { plugin = "fifo"; };
run = { time_limit = "60s"; };
CFG
# of EXPRESSION: of the newest run's JSON.
of() { napm result show --format json | python3 -c "import json, sys; r = json.load(sys.stdin); s = r['streams'][0]; print($1)"; }
layers='stem_conv to branch3_narrow_conv, branch5_narrow_conv, pooled_pool, pooled_conv'
nodes="board1 board1 board1 station board1 station board1 board1 station station station station station"

check "the plan is a set of layers" napm plan sets.cfg --world sim
check_text "said in the overview" '^min-cut 1.0 +set:6 set:6 ' "$work/out"
check_text "and layer by layer, once for both streams" "^set of board1, board2: $layers\$" "$work/out"
check "programs get the node of each layer" sh -c "
    $top_builddir/run-in-tree core/cli/napm plan sets.cfg --world sim --format json | python3 -c '
import json, sys
plan = json.load(sys.stdin)[\"plans\"][0]
sys.exit(\" \".join(plan[\"cuts\"][0][\"placement\"]) != \"$nodes\")'"
check "and it is better than the best cut" sh -c "
    $top_builddir/run-in-tree core/cli/napm plan sets.cfg --world sim --format json --gap 100000 | python3 -c '
import json, sys
plans = json.load(sys.stdin)[\"plans\"]
sys.exit(not (plans[-1][\"partitioner\"].startswith(\"exhaustive\") and plans[0][\"gap\"] < -0.1))'"

for world in sim local; do
    check "$world: the set is carried out" napm run sets.cfg --world $world
    check_text "$world: said in the table" '^board1 +set of 6/13 ' "$work/out"
    check_text "$world: and below it" "^set of board1, board2: $layers\$" "$work/out"
    check "$world: all tasks end well" test "$(of 's["tasks_ok"], s["tasks_failed"]')" = "10 0"
    check "$world: three narrow tensors cross" test "$(of 's["cut"], s["cut_bytes"], s["cut_layer"]')" = "6 3072 None"
    check "$world: the result says what ran where" test "$(of 's["placement"]')" = "$nodes"
    check "$world: rows of the plan say it too" sh -c \
        "$top_builddir/run-in-tree core/cli/napm result export --rows plan | grep -q '$nodes'"
done
check "a layer's time is that of the node that it ran on" sh -c "
    $top_builddir/run-in-tree core/cli/napm result export --rows layers | python3 -c '
import csv, sys
rows = [row for row in csv.DictReader(sys.stdin) if row[\"stream\"] == \"board1\" and row[\"task\"] == \"0\"]
sys.exit(\" \".join(row[\"node\"] for row in rows) != \"$nodes\" or not all(int(row[\"time_ns\"]) > 0 or \"concat\" in row[\"layer_name\"] for row in rows))'"

check "the ledger keeps the placement" test \
    "$(python3 -c "import sqlite3; print(sqlite3.connect('$NAPM_DB').execute('SELECT count(*), count(DISTINCT node) FROM plan_layer WHERE run = 2').fetchone())")" = "(26, 3)"
check "a run with cuts keeps none" sh -c "
    $top_builddir/run-in-tree core/cli/napm run sets.cfg --world sim --set partitioner.plugin=neurosurgeon >/dev/null &&
    python3 -c \"import sqlite3; assert not sqlite3.connect('$NAPM_DB').execute('SELECT 1 FROM plan_layer WHERE run = 3').fetchone()\""
check "what if the scheduler were another one" napm replay 2 --scheduler sjf
check "with the same set" test "$(of 's["placement"]')" = "$nodes"
check "a run is held against its prediction" napm validate sets.cfg --tolerance 90%
cat >sweep.cfg <<'CFG'
name = "rates"; scenario = "sets.cfg"; set = ("world=sim");
grid = ( { path = "links.board.rate"; values = ( "2Mbit", "200Mbit" ); } );
CFG
check "a sweep carries sets out" napm sweep sweep.cfg
check "where they are best" test "$(python3 -c "import sqlite3; print(sqlite3.connect('$NAPM_DB').execute('SELECT count(DISTINCT p.run) FROM plan_layer p JOIN run r ON r.id = p.run WHERE r.sweep IS NOT NULL').fetchone()[0])")" = 1

# ---- new plans in mid-run: the link becomes slow, the set gives way to the whole model on the device, and comes back
sed 's/^run = .*/run = { time_limit = "60s"; }; replan = { on_change = true; };\nevents = ( { at = "200ms"; link = "board1"; rate = "100kbit"; }, { at = "400ms"; link = "board1"; rate = "2Mbit"; } );/' sets.cfg >replan.cfg
for world in sim local; do
    check "$world: sets come and go with new plans" napm run replan.cfg --world $world
    check "$world: each plan's placement is kept" test \
        "$(python3 -c "import sqlite3; print(*[row[0] for row in sqlite3.connect('$NAPM_DB').execute('SELECT DISTINCT plan FROM plan_layer WHERE run = (SELECT max(id) FROM run) AND stream = 0')])")" = "0 2"
done
done_testing
