# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A run's result: printed, listed, shown again, exported; valid for other programs.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

napm model new tiny-cnn -o "$work/tiny-cnn.onnx" >/dev/null
cat >"$work/s.cfg" <<'CFG'
name = "a, \"quoted\" name"; seed = 3;
nodes = ( { name = "station"; role = "station"; }, { name = "pi"; count = 2; } );
links = ( { from = "pi"; rate = "100Mbit"; delay = "1ms"; } );
streams = ( { device = "pi"; model = "tiny-cnn.onnx"; tasks = 6; arrivals = { plugin = "periodic"; period = "10ms"; }; } );
backend = { plugin = "reference"; };
partitioner = { plugin = "station-only"; };
scheduler = { plugin = "fifo"; };
run = { warmup_tasks = 1; };
CFG

# A partitioner whose plan fails without a reason.
mkdir "$work/mute"
awk '{print} /plan\(void \*self/ {inside = 1} inside && /^{/ {print "    return NAPM_ERR_INVALID;"; inside = 0}' \
    "$top_srcdir/sdk/template/partitioner.c" >"$work/mute/mute.c"
${CC:-cc} -shared -fPIC -I"$top_srcdir/sdk/include" -o "$work/mute/mute.so" "$work/mute/mute.c" -lm

check_status "without a ledger there is nothing to list" 2 napm result list
check_text "and it is said how to get one" 'napm run' "$work/err"
check "nor is one made" test ! -e "$NAPM_DB"
check "a run" napm run "$work/s.cfg"
cp "$work/out" "$work/run.txt"
check "is quiet on stderr in a pipe" test ! -s "$work/err"
check_text "ends in a table with the cut" 'pi1 +0/5 all at the station' "$work/run.txt"
check_text "the phases" 'local +transmit +queue +remote +return' "$work/run.txt"
check_text "measured and predicted" 'predicted' "$work/run.txt"
check_text "total and variance" 'total delay .*variance' "$work/run.txt"
check_text "links asked for and achieved" '100 Mbit/s' "$work/run.txt"
check_text "and how to see it again" 'napm result show 1' "$work/run.txt"
check "result show prints the same" sh -c "$top_builddir/run-in-tree core/cli/napm result show | cmp - '$work/run.txt'"
check "also by number" sh -c "$top_builddir/run-in-tree core/cli/napm result show 1 | cmp - '$work/run.txt'"
check_status "a run that is not there" 2 napm result show 7
check_text "is told the newest" 'newest is 1' "$work/err"
check_status "a run that is no number" 2 napm result show seven

check "repeated runs" napm run "$work/s.cfg" --repeat 2 --seed 10 --format csv
check "in CSV: a header and a row for each stream of each run" test "$(wc -l <"$work/out")" = 5
check "result list" napm result list --format csv
check_text "has every seed" ',11,done,' "$work/out"
check_text "and quotes as RFC 4180 says" '"a, ""quoted"" name"' "$work/out"
check "a limited list" napm result list -n 1 --format csv
check "has one run" test "$(wc -l <"$work/out")" = 2

check "a run that says more" napm run "$work/s.cfg" -v
check "takes the known profiles" sh -c "! grep -q profiling '$work/err'"
check "unless told to measure anew" napm run "$work/s.cfg" -v --fresh-profiles
check "then the nodes, which are alike, are measured once" test "$(grep -c 'profiling .* on ' "$work/err")" = 1

check "export of tasks" napm result export 1 -o "$work/tasks.csv"
check "has a row for each" test "$(wc -l <"$work/tasks.csv")" = 13
for rows in tasks layers samples plan links nodes plugins; do
    check "export of $rows as JSON" napm result export 1 --rows $rows --format json
    if command -v jq >/dev/null; then
        check "is valid" jq -e 'type == "array"' "$work/out"
    fi
done
check_status "export of what there is not" 2 napm result export --rows taks
check_text "suggests what there is" 'did you mean tasks' "$work/err"
check_text "and names all" 'tasks\|hops\|layers\|.*\|plugins' "$work/err"
check_status "export to where nothing can be" 2 napm result export -o "$work/none/x.csv"
check_text "names the remedy" 'a folder that exists' "$work/err"
if command -v jq >/dev/null; then
    check "a task's phases add up to its delay" sh -c "$top_builddir/run-in-tree core/cli/napm result export 1 --format json |
        jq -e 'all(.local_ns + .transmit_ns + .queue_ns + .remote_ns + .return_ns == .delay_ns)'"
    check "the JSON of a run" napm run "$work/s.cfg" --format json
    check "is valid and whole" jq -e '.status == "done" and (.streams | length == 2) and (.links | length == 4) and
        (.nodes | length == 3) and (.plugins | map(.role) | index("scheduler") != null) and
        all(.streams[]; .tasks_ok == 5 and .tasks_warmup == 1) and .delay.mean_ns > 0' "$work/out"
    check "the JSON of several" napm run "$work/s.cfg" --repeat 2 --format json
    check "has each and their spread" jq -e '(.runs | length == 2) and .aggregate.runs_counted == 2' "$work/out"
    check "the JSON of a plan" napm plan "$work/s.cfg" --format json
    check "has the baselines" jq -e '.plans | map(.partitioner) | any(startswith("device-only"))' "$work/out"
    check "and each stream's cut as a number" jq -e 'all(.plans[].cuts; map(.stream) == ["pi1", "pi2"] and all(.[]; .cut | type == "number"))' "$work/out"
    check "and whole nanoseconds" jq -e '[.. | objects | to_entries[] | select(.key | endswith("_ns")) | .value | numbers] | length > 20 and all(. == floor)' "$work/out"
    check "and numbers of at most 15 digits" sh -c "! grep -E '[0-9.]{18,}' '$work/out'"
else
    skip "JSON is valid" "jq is not installed"
fi
if command -v python3 >/dev/null; then
    check "the CSV is read by python" python3 -c "
import csv, sys
rows = list(csv.DictReader(open('$work/tasks.csv', newline='')))
assert len(rows) == 12 and all(r['status'] == 'ok' for r in rows) and None not in rows[0]"
fi

check_status "a run that fails before its first task" 1 napm run "$work/s.cfg" --plugin-path "$work/mute" \
    --set partitioner.plugin=template-partitioner
check_text "says that its plugin gave no reason" 'gave no reason \(it did not call host->set_error\)' "$work/err"
cp "$work/out" "$work/failed.txt"
check_text "has a line of how it ended" '^Run [0-9]+ .*: failed' "$work/failed.txt"
check_text "the cause" 'because: ' "$work/failed.txt"
check_text "where it is kept" '^Kept in ' "$work/failed.txt"
check "and nothing else" sh -c "! grep -E 'stream|warning|rate asked|No task' '$work/failed.txt'"
check "result show prints the same" sh -c "$top_builddir/run-in-tree core/cli/napm result show | cmp - '$work/failed.txt'"
check "lossy links" napm run "$work/s.cfg" --set 'links.pi1.loss="5%"' --set 'links.pi2.loss="5%"'
cp "$work/out" "$work/lossy.txt"
check_text "have a probe" 'rate asked' "$work/lossy.txt"
check "whose repairs slow the probe are not warned of" sh -c "! grep 'conditions were not met' '$work/lossy.txt'"

check "a plan for people" napm plan "$work/s.cfg"
check_text "beside the baselines" '^device-only' "$work/out"
check "a plan that memory forbids is shown as such" napm plan "$work/s.cfg" --set 'nodes.pi1.memory="40KiB"'
check_text "by name" 'device-only \(not possible\)' "$work/out"
check_text "with the reason" 'device-only has no plan here: .*infeasible: the whole model of stream' "$work/err"

chmod a-w "$NAPM_DB"
check "a ledger that cannot be written can be read" napm result show 1
chmod u+w "$NAPM_DB"
printf 'hello' >"$work/letter"
check_status "a file that is no ledger is refused" 2 napm run "$work/s.cfg" --db "$work/letter"
check "and left as it is" test "$(cat "$work/letter")" = hello
check_status "also for reading" 2 napm result list --db "$work/letter"
done_testing
