# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Whole runs for other programs: tables, a trace, plots; and what a report is made of, bounded however big the run.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

# What programs other than these tests are needed for; without it the case is skipped.
check_with() {
    local program=$1 name=$2
    shift 2
    if command -v "$program" >/dev/null; then
        check "$name" "$@"
    else
        skip "$name" "$program is not installed"
    fi
}

napm model new tiny-cnn -o "$work/tiny-cnn.onnx" >/dev/null
cat >"$work/s.cfg" <<'CFG'
name = "exported \"run\""; seed = 3;
nodes = ( { name = "station"; role = "station"; }, { name = "pi"; count = 2; cpu = 0.05; } );
links = ( { from = "pi"; rate = "2Mbit"; delay = "1ms"; medium = "wifi"; } );
streams = ( { device = "pi"; model = "tiny-cnn.onnx"; tasks = 30; arrivals = { plugin = "poisson"; interval = "4ms"; }; } );
backend = { plugin = "reference"; };
partitioner = { plugin = "station-only"; };
scheduler = { plugin = "fifo"; };
run = { warmup_tasks = 1; };
CFG
check "a run" napm run "$work/s.cfg"
check "with another rate" napm run "$work/s.cfg" --set links.pi.rate=4Mbit
check "with other cuts" napm run "$work/s.cfg" --set partitioner.plugin=neurosurgeon

check "tables are written" napm export 1 -o "$work/tables"
for rows in tasks hops layers samples plan links nodes plugins; do
    check "$rows as napm result export writes them" sh -c \
        "'$top_builddir/run-in-tree' core/cli/napm result export 1 --rows $rows | cmp - '$work/tables/$rows.csv'"
done
check_text "the folder is said" "$work/tables" <(napm export 1 -o "$work/tables")

check "a trace is written" napm export 1 --format perfetto -o "$work/trace.json"
check_with python3 "viewers can read it: nothing overlaps, arrows meet slices, phases add up" \
    python3 "$top_srcdir/tests/report/check_trace.py" "$work/trace.json" "$work/tables/tasks.csv"
napm result export 3 -o "$work/tasks3.csv"
check "on standard output too" sh -c "'$top_builddir/run-in-tree' core/cli/napm export 3 -f perfetto -o - >'$work/trace3.json'"
check_with python3 "of a run with other cuts too" \
    python3 "$top_srcdir/tests/report/check_trace.py" "$work/trace3.json" "$work/tasks3.csv"
check_status "a trace holds one run" 2 napm export 1 2 --format perfetto -o "$work/none.json"
check_text "which is said" 'one run' "$work/err"
check_status "where nothing can be written" 2 napm export 1 --format perfetto -o "$work/none/x.json"
check_text "the remedy is named" 'a folder that exists' "$work/err"
check_status "nor a report" 2 napm report 1 --format json -o "$work/none/x.json"
check_text "whose remedy is named" 'none/x.json: cannot be written: .*is there such a folder' "$work/err"
if [ -c /dev/full ]; then
    check_status "a report that the disk has no room for" 1 sh -c "'$top_builddir/run-in-tree' core/cli/napm report 1 -f json -o - >/dev/full"
    check_text "is a failure" 'No space left|could not be written' "$work/err"
fi
check_status "a file is no folder" 2 napm export 1 -o "$work/s.cfg"
check_text "which is said too" 'it is a file' "$work/err"

check "plots of a run" napm export 1 --format gnuplot -o "$work/plots"
check_with gnuplot "are drawn by gnuplot" sh -c "cd '$work/plots' && gnuplot plot.gp 2>&1 | tee '$work/said' && ! grep . '$work/said'"
check "plots of several runs" napm export 1-3 --format gnuplot -o "$work/points"
check_with gnuplot "are drawn too" sh -c "cd '$work/points' && gnuplot plot.gp && test -s points.svg"
if command -v gnuplot >/dev/null; then
    for name in delays phases activity; do
        check_text "$name.svg has curves" '<(path|polygon)' "$work/plots/$name.svg"
    done
fi

check "the plotted delays are steps up to all tasks" awk '/^"/ { share = 0; next } NF == 2 && !/^#/ {
    if ($2 < share || (($2 != share) && ($1 != delay))) exit 1; delay = $1; share = $2; seen = 1 }
    END { exit seen && share == 1 ? 0 : 1 }' "$work/plots/delays.dat"

check "a report's document" napm report 1 --format json -o "$work/one.json"
check_with jq "has all of a small run" jq -e '.format == "napm-report/1" and (.runs[0].detail | .left_out == [] and
    (.timeline.task | length) == 60 and .distributions.all.tasks == 58 and (.distributions.streams | length) == 2 and
    (.cuts | map(.tasks | add) == [30, 30]))' "$work/one.json"
check_with jq "whose quantiles rise" jq -e '.runs[0].detail.distributions.all.quantiles_ns | . == sort and length == 201' \
    "$work/one.json"
check_with jq "with each delay, where there are few" jq -e '.runs[0].detail.distributions | [.all, .streams[]] |
    all((.delays_ns | length) == .tasks and .delays_ns == (.delays_ns | sort) and
        [.delays_ns[0, -1]] == [.quantiles_ns[0, -1]])' "$work/one.json"
check_with jq "whose histogram holds every task" jq -e '.runs[0].detail.distributions | ([.all, .streams[]] |
    all(.tasks == (.histogram | add) + .beyond)) and ([.streams[].histogram] | transpose | map(add)) == .all.histogram' "$work/one.json"
check_with jq "whose activity is the time that the tasks took" jq -e '.runs[0].detail |
    (([.activity.tasks[] | add // 0] | add) * .activity.bin_ns) as $spent |
    ((.timeline.ended_ns | add) - (.timeline.started_ns | add)) as $delays |
    (($spent - $delays) | fabs) < (0.001 * $delays)' "$work/one.json"
check "a timeline of few tasks" napm report 1 --format json --tasks 7 --from 20ms -o "$work/few.json"
check_with jq "has those, the earliest from there on, and says so" jq -e '.runs[0].detail | (.timeline.task | length) == 7 and
    (.timeline.ended_ns | all(. >= 20000000)) and (.timeline.started_ns | . == sort) and (.left_out[0] | test("7 of 60 tasks"))' "$work/few.json"
check "the document of several runs" napm report 1-3 --format json --charts 1 -o "$work/more.json"
check_with jq "names what varies" jq -e '(.parameters | map(.name)) == ["partitioner", "links.pi.rate"] and (.points | length) == 3 and
    (.left_out | length) == 1 and (.runs[1].detail == null)' "$work/more.json"
check_status "a time without a unit" 2 napm report 1 --from 20
check_text "is asked for one" 'unit' "$work/err"
cat >"$work/sweep.cfg" <<'CFG'
scenario = "s.cfg"; set = ("world=sim"); repeat = 2;
grid = ( { path = "links.pi.rate"; values = ("2Mbit", "4Mbit"); }, { path = "scheduler.plugin"; values = ("fifo", "no-such"); } );
CFG
check_status "a sweep of which some points fail" 1 napm sweep "$work/sweep.cfg"
check "its document" napm report sweep:last --format json -o "$work/sweep.json"
check_with jq "has the curve of the others, with intervals, and why the points failed" jq -e '(.parameters | map(.name)) == ["links.pi.rate"] and
    (.points | map(.metrics.mean_delay_ns | .runs == 2 and .low < .mean) | all) and (.failed_points | length) == 4 and
    (.failed_points[0].cause | test("no-such"))' "$work/sweep.json"
check_status "a sweep that is not there" 2 napm report sweep:7
check_text "is not found" 'napm sweep --list' "$work/err"
check_status "a run that is not there" 2 napm report 9

cp "$top_srcdir/tests/report/way.cfg" "$work"
check "a run over another device, with power models and new plans" napm run "$work/way.cfg"
napm result export -o "$work/way-tasks.csv"
check "its trace" napm export --format perfetto -o "$work/way.json"
check_with python3 "has every part of the way, in order, and all of the delay" \
    python3 "$top_srcdir/tests/report/check_trace.py" "$work/way.json" "$work/way-tasks.csv" --way phone
check "its document" napm report --format json -o "$work/way-report.json"
check_with jq "has what came of each task on its way: within its phases, and between its beginning and its end" jq -e '.runs[0].detail.timeline |
    . as $t | (.hop_nodes == ["phone"]) and ([range(.task | length) | select($t.hops[.] | length > 0)] | length > 10 and all(. as $i |
    $t.hops[$i][0] as [$node, $came, $began, $left, $back] | $came > $t.started_ns[$i] + $t.local_ns[$i] and $began >= $came and
    $left - $began <= $t.remote_ns[$i] and $began - $came <= $t.queue_ns[$i] and ($back < 0 or ($back > $left and $back < $t.ended_ns[$i]))))' \
    "$work/way-report.json"
check_with jq "has a row of cuts for each device of the way, and the change in mid-run" jq -e '.runs[0].detail.cuts |
    (map([.stream, .node, .hop]) == [["watch", "watch", 0], ["watch", "phone", 1], ["phone", "phone", 0]]) and
    (.[0] | (.tasks | add) == 40 and (.changes | length) == 2 and .changes[0][0] == 0 and .changes[1][0] >= 1000000000)' "$work/way-report.json"
check_with jq "has energy, of which sending is a part, and which all nodes together have spent" jq -e '.runs[0] |
    ([.streams[] | .energy_per_task_j * .tasks_ok] | add) as $tasks |
    ([.nodes[] | (.busy_ns * .busy_w + .air_ns * .transmit_w) / 1e9] | add) as $nodes |
    (($tasks - $nodes) | fabs) < 0.001 * $nodes and ([.streams[] | .sending_per_task_j * .tasks_ok] | add) as $sending |
    ([.nodes[] | .air_ns * .transmit_w / 1e9] | add) as $air | (($sending - $air) | fabs) < 0.001 * $air' "$work/way-report.json"

check_status "a run without a task that ended well" 1 napm run "$work/s.cfg" --set run.time_limit=1ms
check "has a document" napm report --format json -o "$work/failed.json"
check "and tables" napm export -o "$work/failed"
check_status "but nothing to plot" 2 napm export --format gnuplot -o "$work/nothing"
check_text "which is said" 'nothing to plot' "$work/err"

mkdir "$work/empty"
check_status "a build without the page" 1 env NAPM_DATA="$work/empty" "$top_builddir/run-in-tree" core/cli/napm report 1
check_text "says what is missing" 'install nodejs and npm' "$work/err"
done_testing
