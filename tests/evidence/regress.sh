# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A regression suite as CI uses it: baseline, pass, failures that name what became worse, results for other programs.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

cp -r "$top_srcdir/examples/regress" "$work" && cd "$work/regress" || exit 1
napm model new alexnet-cifar10 -o ../alexnet-cifar10.onnx >/dev/null

check "the example suite holds against its baseline" napm regress suite.cfg --baseline baseline.json
check_text "and says how many metrics it held" '^24 of 24 within their tolerance, 0 better, 0 bad$' "$work/out"
check "a baseline can be made" napm regress suite.cfg --baseline new.json --update
check "and is the same as the one that is kept" sh -c "jq -S .cases baseline.json >a; jq -S .cases new.json >b; cmp a b"

# ---- worse ----
# The baseline with one value changed: the delay that greedy-delay once had was two thirds of today's.
jq '.cases["two-pis.cfg: partitioner=greedy-delay scheduler=sjf"].metrics.mean_delay_ns *= 0.67' baseline.json >worse.json
check_status "what became worse fails" 1 napm regress suite.cfg --baseline worse.json --junit result.xml --tap result.tap
check_text "naming scenario, plugins, metric, old and new value" \
    '^WORSE: two-pis.cfg: partitioner=greedy-delay scheduler=sjf \(greedy-delay \+ sjf\), mean delay: [0-9.]+ ms, was [0-9.]+ ms \(tolerance 1 %\)$' "$work/out"
check "JUnit counts it" sh -c "xmllint --noout result.xml 2>/dev/null || python3 -c 'import xml.dom.minidom as m; m.parse(\"result.xml\")'"
check_text "as a failure" '<testsuite name="built-in plugins" tests="24" failures="1" errors="0">' result.xml
check_text "with its message" '<failure message="two-pis.cfg: partitioner=greedy-delay scheduler=sjf' result.xml
check "TAP has one that is not ok" [ "$(grep -c '^not ok' result.tap)" = 1 ]
check "and 23 that are" [ "$(grep -c '^ok' result.tap)" = 23 ]
check_status "TAP may be all that is printed" 1 napm regress suite.cfg --baseline worse.json --tap -
check_text "then nothing else is" '^TAP version 13$' <(head -1 "$work/out")

# ---- better, new, failed ----
jq '.cases[].metrics.mean_delay_ns *= 1.5' baseline.json >better.json
check "what became better passes" napm regress suite.cfg --baseline better.json
check_text "and says what to do" 'Better than the baseline: --update makes that the mark to hold' "$work/out"
jq 'del(.cases["two-pis.cfg: partitioner=station-only scheduler=fifo"])' baseline.json >new.json
check_status "what the baseline does not have fails" 1 napm regress suite.cfg --baseline new.json
check_text "and says what to do" 'NEW: .*which the baseline does not have; --update takes it in' "$work/out"
sed 's/"station-only", //; s/"sjf"/"no-such-scheduler"/' suite.cfg >failing.cfg
check_status "a run that fails fails the suite" 1 napm regress failing.cfg --baseline baseline.json
check_text "with its cause" 'FAILED: .*scheduler=no-such-scheduler.*no-such-scheduler' "$work/out"
check_text "and a warning that the suite is another one" 'the suite or one of its scenarios has changed since baseline.json was made' "$work/err"
check_status "and is no baseline" 1 napm regress failing.cfg --baseline failed.json --update
check "which is not written" [ ! -e failed.json ]

# ---- scenarios of one name ----
mkdir near far
sed 's/model = "/model = "..\//' two-pis.cfg >near/pis.cfg
sed 's/rate = "4Mbit"/rate = "1Mbit"/' near/pis.cfg >far/pis.cfg
printf 'scenarios = ("near/pis.cfg", "far/pis.cfg");\nset = ("partitioner.plugin=station-only");\n' >folders.cfg
check "scenarios of one name in two folders make a baseline" napm regress folders.cfg --baseline folders.json --update
check "with a value for each" [ "$(jq '[.cases[].metrics.mean_delay_ns] | unique | length' folders.json)" = 2 ]

# ---- tasks lost on purpose ----
cat >leaving.cfg <<'END'
scenarios = ("two-pis.cfg");
set = ("partitioner.plugin=station-only", "events=({at=\"1.05s\"; node=\"pi1\"; state=\"leave\";}, {at=\"2s\"; node=\"pi1\"; state=\"return\";})");
grid = ( { path = "scheduler.plugin"; values = ("fifo", "sjf"); } );
END
check "a scenario that makes a device leave is swept" napm sweep leaving.cfg --format json
check "with the lost tasks counted, and delays of the others" jq -e 'all(.[]; .failed_runs == 0 and .lost_tasks > 0 and .mean_delay_ns > 0)' "$work/out"
check "and compared" napm compare sweep:last --by scheduler
check_text "the losses too" '^  lost tasks +0\.[0-9] %' "$work/out"
check "it has a baseline" napm regress leaving.cfg --baseline leaving.json --update
check "that it holds" napm regress leaving.cfg --baseline leaving.json
jq '.cases[].metrics.lost_tasks = 0' leaving.json >lossless.json
check_status "more lost tasks than there were are worse" 1 napm regress leaving.cfg --baseline lossless.json
check_text "which is said" '^WORSE: .*lost tasks: 0\.[0-9] %, was 0 %' "$work/out"

# ---- mistakes ----
check_status "a baseline that is not there is found first" 2 napm regress suite.cfg --baseline none.json
check_text "with the remedy" 'none.json.*--update makes the baseline' "$work/err"
printf '{"format": "napm-baseline/1",\n "cases": ' >broken.json
check_status "a broken one too" 2 napm regress suite.cfg --baseline broken.json
check_text "with its line" 'broken.json:2: .*--update' "$work/err"
echo '{"format": "other"}' >other.json
check_status "and one of another format" 2 napm regress suite.cfg --baseline other.json
check_text "which is said" 'other.json: is no baseline' "$work/err"
sed 's/"mean_delay"/"mean_dealy"/' suite.cfg >typo.cfg
check_status "an unknown metric is refused" 2 napm regress typo.cfg --baseline baseline.json
check_text "with the nearest one" "typo.cfg:.*there is no metric \"mean_dealy\".*'mean_delay'" "$work/err"
check_status "a sweep has no metrics" 2 napm sweep suite.cfg
check_text "which is said" "metrics" "$work/err"
done_testing
