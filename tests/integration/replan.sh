# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# New plans in mid-run as a user would have them, in both worlds: a link becomes slow and fast again, and the cut follows. What
# tasks, plans and summaries say of it. The backend takes stated times, so that the plans are always the same. And agents
# that do not grow, with real layers.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"
if ! command -v python3 >/dev/null; then
    echo "1..0 # SKIP python3 is not installed"
    exit 0
fi

napm model new tiny-cnn -o "$work/tiny-cnn.onnx" >/dev/null
cat >"$work/falls.cfg" <<'CFG'
name = "falls"; seed = 3;
nodes = ( { name = "station"; role = "station"; }, { name = "pi"; backend = { plugin = "replay"; gflops = 0.1; }; },
    { name = "phone"; backend = { plugin = "replay"; gflops = 0.1; }; },
    { name = "watch"; backend = { plugin = "replay"; gflops = 0.02; }; } );
links = ( { from = "pi"; rate = "100Mbit"; delay = "1ms"; },
    { from = "watch"; to = "phone"; rate = "20Mbit"; delay = "1ms"; }, { from = "phone"; rate = "100Mbit"; delay = "1ms"; } );
streams = ( { device = "pi"; model = "tiny-cnn.onnx"; tasks = 60; arrivals = { plugin = "periodic"; period = "50ms"; }; },
    { device = "watch"; model = "tiny-cnn.onnx"; tasks = 60; arrivals = { plugin = "periodic"; period = "50ms"; }; } );
backend = { plugin = "replay"; gflops = 10.0; };
partitioner = { plugin = "chain-dp"; };
scheduler = { plugin = "fifo"; };
events = ( { at = "1s"; link = "pi"; rate = "100kbit"; delay = "40ms"; }, { at = "1s"; link = "phone"; rate = "100kbit"; delay = "40ms"; },
    { at = "2s"; link = "pi"; rate = "100Mbit"; delay = "1ms"; }, { at = "2s"; link = "phone"; rate = "100Mbit"; delay = "1ms"; } );
replan = { on_change = true; };
run = { time_limit = "60s"; };
CFG
# sql QUERY: of the newest run, which the query calls R.
sql() {
    python3 -c "
import sqlite3, sys
for row in sqlite3.connect('file:$NAPM_DB?mode=ro', uri=True).execute('WITH n(R) AS (SELECT max(id) FROM run) ' + sys.argv[1]):
    print(*row)" "$1"
}

for world in sim local; do
    check "$world: a run that plans anew" napm run "$work/falls.cfg" --world $world
    check_text "$world: it says so" 'Planned anew 2 times' "$work/out"
    check "$world: every task ends well" test "$(sql "SELECT count(*) FROM task, n WHERE run = R AND status = 'ok'")" = 120
    sql "SELECT plan, stream, cut FROM plan_stream, n WHERE run = R ORDER BY 1, 2" >"$work/$world.cuts"
    sql "SELECT plan, stream, hop, cut FROM plan_hop, n WHERE run = R ORDER BY 1, 2, 3" >>"$work/$world.cuts"
    check "$world: there are three plans, of two streams" test "$(sql "SELECT count(*), max(plan) FROM plan_stream, n WHERE run = R")" = "6 2"
    check "$world: on the slow link nothing is sent" \
        test "$(sql "SELECT max(up_bytes) FROM task, n WHERE run = R AND plan = 1 AND stream = 0")" = 0
    check "$world: before and after it much is" \
        test "$(sql "SELECT count(*) FROM (SELECT plan FROM task, n WHERE run = R AND plan <> 1 AND stream = 0 AND up_bytes > 0 GROUP BY plan)")" = 2
    check "$world: the way over the phone changes too" test "$(sql "SELECT count(*) FROM plan_hop a, plan_hop b, n
        WHERE a.run = R AND b.run = R AND a.plan = 0 AND b.plan = 1 AND a.hop = b.hop AND a.cut <> b.cut")" -gt 0
    check "$world: a task's cut is its plan's" test "$(sql "SELECT count(*) FROM task t, plan_stream p, n
        WHERE t.run = R AND p.run = R AND p.plan = t.plan AND p.stream = t.stream AND p.cut <> t.cut")" = 0
    check "$world: each plan has tasks" test "$(sql "SELECT count(*) FROM (SELECT stream, plan FROM task, n WHERE run = R GROUP BY 1, 2)")" = 6
    check "$world: no task starts by a plan before that is in force" test "$(sql "SELECT count(*) FROM task t, plan_stream p, n
        WHERE t.run = R AND p.run = R AND p.plan = t.plan AND p.stream = t.stream AND t.started_ns < p.taken_ns")" = 0
    check "$world: nor by one long out of force" test "$(sql "SELECT count(*) FROM task t, plan_stream p, n
        WHERE t.run = R AND p.run = R AND p.plan = t.plan + 1 AND p.stream = t.stream AND t.started_ns > p.taken_ns + 70e6")" = 0
    check "$world: a plan is in force after it was asked for, and that is when it falls due" test "$(sql "SELECT count(*)
        FROM plan p JOIN plan_stream s ON s.run = p.run AND s.plan = p.plan, n WHERE p.run = R AND p.plan > 0
        AND s.taken_ns >= p.asked_ns AND p.asked_ns >= 1e9 * p.plan AND p.asked_ns < 1e9 * p.plan + 5e8")" = 4
    check "$world: the summary has all plans" sh -c "$top_builddir/run-in-tree core/cli/napm result show --format json | python3 -c '
import json, sys
plans = json.load(sys.stdin)[\"plans\"]
sys.exit(not (len(plans) == 3 and [p[\"plan\"] for p in plans] == [0, 1, 2] and sum(p[\"tasks_ok\"] for p in plans) == 120
    and all(p[\"predicted_mean_ns\"] > 0 and p[\"mean_delay_ns\"] > 0 for p in plans)
    and [p[\"streams_changed\"] for p in plans] == [0, 2, 2]))'"
    check "$world: layers are shown where they ran" test "$(napm result export --rows layers | awk -F, '
        $1 == "pi" { at[$2] = at[$2] (at[$2] ~ $5 ? "" : $5 " ") } END { for (t in at) if (at[t] == "pi ") n++; print (n > 5) }')" = "$([ $world = local ] && echo 1 || echo 0)"
done
check "both worlds plan the same cuts" cmp "$work/sim.cuts" "$work/local.cuts"

# ---- memory: a model of 89 MiB, cut anew again and again
if napm plugin info onednn >/dev/null 2>&1; then
    napm model new alexnet-cifar10 -o "$work/alexnet-cifar10.onnx" >/dev/null
    for i in 1 2 3 4 5 6 7 8 9 10; do
        echo "$i,$([ $((i % 2)) = 1 ] && echo 200kbit || echo 100Mbit)"
    done >"$work/rates.csv"
    cat >"$work/alexnet.cfg" <<'CFG'
nodes = ( { name = "station"; role = "station"; }, { name = "pi"; cpu = 0.5; } );
links = ( { from = "pi"; rate = "100Mbit"; trace = "rates.csv"; } );
streams = ( { device = "pi"; model = "alexnet-cifar10.onnx"; tasks = 110; arrivals = { plugin = "periodic"; period = "100ms"; }; } );
backend = { plugin = "onednn"; };
partitioner = { plugin = "exhaustive"; };
scheduler = { plugin = "fifo"; };
profile = { warmups = 1; repeats = 3; };
run = { time_limit = "120s"; };
replan = { on_change = true; };
CFG
    check "ten new plans for a large model" napm run "$work/alexnet.cfg"
    check "all its tasks end well" test "$(sql "SELECT count(*) FROM task, n WHERE run = R AND status = 'ok'")" = 110
    check "most of the plans came into force" test "$(sql "SELECT count(*) FROM plan_stream, n WHERE run = R AND taken_ns IS NOT NULL")" -ge 6
    check "and cut elsewhere" test "$(sql "SELECT count(DISTINCT cut) FROM task, n WHERE run = R")" -ge 2
    # Both halves have moments with two plans' weights; were old ones kept, the second half would have several times as much.
    check "the agent does not grow" test "$(sql "SELECT max(resident_bytes) FILTER (WHERE at_ns > 6e9) <
        1.3 * max(resident_bytes) FILTER (WHERE at_ns <= 6e9) FROM node_sample, n WHERE run = R AND node = 1")" = 1
    sql "SELECT 'resident MiB:', max(resident_bytes) FILTER (WHERE at_ns <= 6e9) / 1048576, 'then',
        max(resident_bytes) FILTER (WHERE at_ns > 6e9) / 1048576, 'node', node FROM node_sample, n WHERE run = R GROUP BY node" | sed 's/^/# /'
else
    skip "the agent does not grow" "this build has no onednn"
fi
done_testing
