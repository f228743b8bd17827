# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The simulated world as its user meets it: equal rows for equal seeds, what a scenario changes over time, and refusals.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

cd "$work" || exit 1
napm model new tiny-cnn -o tiny.onnx >/dev/null
napm model new tiny-cnn -o other.onnx --seed 2 >/dev/null
# Two devices of which nothing is left to chance: a task each second, each far shorter than that.
cat >base.cfg <<'END'
world = "sim";
nodes = ( { name = "station"; role = "station"; gflops = 1.0; }, { name = "pi"; count = 2; gflops = 0.05; } );
links = ( { from = "pi"; rate = "8Mbit"; } );
streams = ( { device = "pi"; model = "tiny.onnx"; tasks = 10; arrivals = { plugin = "periodic"; period = "1s"; }; } );
backend = { plugin = "reference"; };
partitioner = { plugin = "station-only"; };
scheduler = { plugin = "fifo"; };
END
# And one where everything is: arrivals, computing, loss, jitter, on air that is shared.
cat >chance.cfg <<'END'
world = "sim";
seed = 3;
nodes = ( { name = "station"; role = "station"; gflops = 1.0; variation = 0.5; workers = 2; },
          { name = "pi"; count = 3; gflops = 0.05; variation = 0.2; } );
links = ( { from = "pi"; rate = "4Mbit"; delay = "2ms"; jitter = "1ms"; loss = "1%"; medium = "air"; } );
streams = ( { device = "pi"; model = "tiny.onnx"; tasks = 200; arrivals = { plugin = "poisson"; interval = "50ms"; }; } );
backend = { plugin = "reference"; };
partitioner = { plugin = "station-only"; };
scheduler = { plugin = "rr"; };
events = ( { at = "3s"; link = "pi1"; rate = "1Mbit"; } );
replan = { every = "2s"; };
END

# rows FILE: the task rows of the newest run. Then `value COLUMN STREAM TASK FILE`, and `times N A B`: B is N times A.
rows() { napm result export >"$1"; }
value() {
    awk -F, -v column="$1" -v stream="$2" -v task="$3" '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
        $1 == stream && $at["task"] == task { print $at[column] }' "$4"
}
times() { awk -v n="$1" -v a="$2" -v b="$3" 'BEGIN { exit !(a > 0 && b > n * a * 0.999 && b < n * a * 1.001) }'; }
# ratio COLUMN STREAM TASK TASK N: in rows.csv it is N times as much in the second task as in the first.
ratio() { times "$5" "$(value "$1" "$2" "$3" rows.csv)" "$(value "$1" "$2" "$4" rows.csv)"; }
run() { napm run "$@" >"$work/run.out" 2>&1 && rows rows.csv; }
runs() { napm result list --format csv 2>/dev/null | tail -n +2 | wc -l; }
# refused NAME PATTERN FILE [OPTION]...: exit status 2, what is said matches, and the ledger has no run more.
refused() {
    local name=$1 pattern=$2 before
    shift 2
    before=$(runs)
    check_status "$name: refused" 2 napm run "$@"
    check_text "$name: what is wrong is said" "$pattern" "$work/err"
    check "$name: nothing is recorded" test "$(runs)" = "$before"
}

run chance.cfg && mv rows.csv first.csv
check "a run has the rows of all its tasks" test "$(grep -c ',ok,' first.csv)" = 600
run chance.cfg
check "equal seeds give equal rows, byte by byte" cmp first.csv rows.csv
run chance.cfg --seed 4
check "another seed gives others" test "$(cmp -s first.csv rows.csv; echo $?)" = 1

for jobs in 1 4; do
    napm run chance.cfg --repeat 4 --jobs $jobs --db jobs$jobs.db >/dev/null
    for i in 1 2 3 4; do napm result export $i --db jobs$jobs.db; done >jobs$jobs.csv
done
check "repetitions have rows of their own" test "$(sort -u jobs1.csv | grep -c ',ok,')" -gt 2300
check "repetitions give the same rows on one thread as on four" cmp jobs1.csv jobs4.csv

run base.cfg --set 'events=({at="4.5s"; link="pi1"; rate="2Mbit";})'
check "a link that is a quarter as fast carries four times as long" ratio transmit_ns pi1 4 5 4
check "another link does not change" ratio transmit_ns pi2 4 5 1
run base.cfg --set partitioner.plugin=device-only --set 'events=({at="4.5s"; node="pi2"; cpu=0.5;})'
check "a device that has half of its processor computes twice as long" ratio device_compute_ns pi2 4 5 2
check "another device does not change" ratio device_compute_ns pi1 4 5 1

# A task takes 6 ms: pi2 leaves with one under way, and is away for the next two.
away='events=({at="4.001s"; node="pi2"; state="leave";}, {at="6.5s"; node="pi2"; state="return";})'
check_status "what a scenario takes on purpose is no failure" 0 \
    napm run base.cfg --set "$away" --set partitioner.plugin=device-only
check_text "the lost tasks are told" '1 task of pi2 has failed: pi2 left by the scenario at 4\.00 s' "$work/out"
check "the run is done" test "$(napm result list --format json | jq -r '.[0].status')" = "done"
rows rows.csv
check_text "what was under way on a device that leaves fails with the cause" \
    '^pi2,pi2,4,failed,pi2 left by the scenario at 4\.00 s,' rows.csv
check "it starts again when it has returned" test "$(grep -c '^pi2,pi2,.*,ok,' rows.csv)" -ge 5
check "none starts while it is away" test "$(value started_ns pi2 5 rows.csv)" = 7000000000
check "tasks of other devices do not fail" test "$(grep -c '^pi1,pi1,.*,ok,' rows.csv)" = 10

printf 'seconds,rate\n# slower, then faster\n2.5,4Mbit\n6.5,16Mbit\n' >rates.csv
run base.cfg --set links.pi1.trace=rates.csv
check "a trace slows a link down" ratio transmit_ns pi1 2 3 2
check "and makes it faster" ratio transmit_ns pi1 2 7 0.5
check "for its own link" ratio transmit_ns pi2 2 7 1

change='events=({at="4.5s"; link="pi1"; rate="1kbit";})'
run base.cfg --set partitioner.plugin=exhaustive --set "$change" --set run.time_limit=1h
check "without a new plan a cut stays" test "$(value cut pi1 9 rows.csv)" = "$(value cut pi1 1 rows.csv)"
run base.cfg --set partitioner.plugin=exhaustive --set "$change" --set 'replan={on_change=true;}'
check "a fast link is used" test "$(value up_bytes pi1 1 rows.csv)" -gt 0
check "a new plan turns away from a link that has become slow" test "$(value up_bytes pi1 9 rows.csv)" = 0
run base.cfg --set partitioner.plugin=exhaustive --set "$change" --set 'replan={every="3s";}'
check "a plan at intervals does not know before it is made" test "$(value up_bytes pi1 5 rows.csv)" -gt 0
check "and turns away then" test "$(value up_bytes pi1 7 rows.csv)" = 0
run base.cfg --set partitioner.plugin=exhaustive --set "$change" --set 'replan={on_change=true; takes="2s";}'
check "a plan that takes a while is not in force before" test "$(value up_bytes pi1 6 rows.csv)" -gt 0
check "but then" test "$(value up_bytes pi1 7 rows.csv)" = 0
check_text "the result says when" '1 +4\.50 s .* 6\.50 s ' "$work/run.out"
changes='events=({at="4.5s"; link="pi1"; rate="1kbit";},{at="5s"; link="pi1"; rate="8Mbit";})'
run base.cfg --set partitioner.plugin=exhaustive --set "$changes" --set 'replan={on_change=true; takes="2s";}'
check_text "what is due meanwhile is one plan, for the conditions of then" '2 +6\.50 s .* 8\.50 s ' "$work/run.out"
check "a plan is in force until the next one is" test "$(value up_bytes pi1 8 rows.csv)" = 0
check "and the next one then" test "$(value up_bytes pi1 9 rows.csv)" -gt 0

napm profile tiny.onnx --backend reference --runs 3 --format json >pi.json
sed 's/gflops = 0.05/profile = "pi.json"/' base.cfg >profile.cfg
run profile.cfg --set partitioner.plugin=device-only
check "a profile from a file is how long a device computes" \
    times 1 "$(jq '[.layers[].mean_ns] | add' pi.json)" "$(value device_compute_ns pi1 0 rows.csv)"
run base.cfg --set partitioner.plugin=device-only
check "an estimate is the FLOPs at the stated speed" times 1 \
    "$(napm model info tiny.onnx --format json | jq '[.layers[].flops] | add / 0.05')" \
    "$(value device_compute_ns pi1 0 rows.csv)"
check_status "a station with memory of 3 TB/s is believed" 0 \
    napm run base.cfg --set nodes.station.memory_bandwidth=3000GB/s

run base.cfg --set nodes.pi.count=1000 --set streams.pi.tasks=5
check "a thousand devices finish their tasks" test "$(grep -c ',ok,' rows.csv)" = 5000
check "on one station they wait for each other" test "$(value queue_ns pi500 0 rows.csv)" -gt 1000000

check_status "a plan is made of nodes that do not exist" 0 napm plan base.cfg --world sim --set partitioner.plugin=exhaustive
check_text "it says what is predicted" 'pi2 .*ms' "$work/out"

# A batch is computed once: what it costs is shared by its tasks.
run base.cfg --set nodes.pi.count=8 --set nodes.station.power.busy=10W --set scheduler.plugin=batch \
    --set 'streams.pi.arrivals={plugin="closed-loop";}'
napm result export --rows tasks --format json >tasks.json
check "the station is not busy for longer than the run lasts" jq -e '
    ([.[].energy_j] | add) as $spent | $spent > 0 and $spent <= 10.001 * ([.[].ended_ns] | max) / 1e9' tasks.json
# A device leaves while a task that had waited for it computes.
run base.cfg --set partitioner.plugin=device-only --set nodes.pi.gflops=0.0002 \
    --set 'events=({at="4.5s"; node="pi2"; state="leave";}, {at="6.5s"; node="pi2"; state="return";})'
check "tasks fail then" grep -q 'pi2,.*,failed,' rows.csv
check "and no time is less than none" sh -c "! grep -qE ',-[0-9]{4,}' rows.csv"

printf '1,4Mbit\n\n2,fast\n' >bad.csv
refused "a trace with a rate that is none" 'bad\.csv:3: .*fast' base.cfg --set links.pi1.trace=bad.csv
printf '2,4Mbit\n1,4Mbit\n' >bad.csv
refused "a trace that goes back in time" 'bad\.csv:2: times have to ascend' base.cfg --set links.pi1.trace=bad.csv
printf '0,4Mbit\n1,0\n' >bad.csv
refused "a trace with an outage" 'bad\.csv:2: the rate is 0; allowed is 1kbit to 1000Gbit' base.cfg --set links.pi1.trace=bad.csv
refused "a trace that does not exist" 'missing\.csv' base.cfg --set links.pi1.trace=missing.csv
refused "an event of a node that does not exist" "'node' names 'pj7'" base.cfg --set 'events=({at="1s"; node="pj7"; state="leave";})'
refused "a profile that does not exist" 'nosuch\.json' profile.cfg --set nodes.pi.profile=nosuch.json
napm profile other.onnx --backend reference --runs 1 --format json >other.json
jq '.layers[0].mean_ns = -1' pi.json >bad.json
refused "a mean that is no time" "bad\.json: layer 0 has no 'mean_ns' that is a time" profile.cfg --set nodes.pi.profile=bad.json
refused "a profile of another model" 'profile\.cfg:2: other\.json: has no profile of the model tiny.*napm profile' \
    profile.cfg --set nodes.pi.profile=other.json
jq 'del(.layers[0])' pi.json >short.json
refused "a profile that lacks a layer" 'profile\.cfg:2: short\.json: .*the model tiny.* has' profile.cfg --set nodes.pi.profile=short.json
echo '{ "layers": [' >broken.json
refused "a profile that is no JSON" 'broken\.json:[12]: .*napm profile MODEL' profile.cfg --set nodes.pi.profile=broken.json
check_status "nor is it planned with" 2 napm plan profile.cfg --set nodes.pi.profile=broken.json
check_status "where times are measured it does not matter" 0 \
    napm run profile.cfg --world local --set nodes.pi.profile=broken.json --set streams.pi.tasks=1
refused "a world that does not exist" 'mars' base.cfg --world mars
done_testing
