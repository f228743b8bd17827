# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Whatever falls silent ends a run in bounded time, by name, and the run is recorded: a device that is stopped, a backend
# that hangs on a device, a plugin that does not return while it is set up, while it plans, or while tasks are driven.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

stuck=$top_builddir/tests/run/fixtures/.libs
failing=$top_builddir/tests/world/fixtures/.libs
if [ ! -e "$stuck/stuck.so" ] || [ ! -e "$failing/failing.so" ]; then
    echo "1..0 # SKIP the fixtures are not built"
    exit 0
fi
napm model new tiny-cnn -o "$work/tiny-cnn.onnx" >/dev/null
cat >"$work/s.cfg" <<'CFG'
nodes = ( { name = "station"; role = "station"; }, { name = "pi"; count = 2; } );
links = ( { from = "pi"; rate = "50Mbit"; delay = "1ms"; } );
streams = ( { device = "pi"; model = "tiny-cnn.onnx"; tasks = 100; arrivals = { plugin = "periodic"; period = "10ms"; }; } );
backend = { plugin = "reference"; };
partitioner = { plugin = "station-only"; };
scheduler = { plugin = "fifo"; };
profile = { warmups = 0; repeats = 1; };
run = { time_limit = "60s"; silence = "2s"; };
CFG
newest() { napm result list -n 1 --format csv | tail -n 1; }

# ends_within SECONDS STATUS COMMAND...: not killed, and not before its time either.
ends_within() {
    local limit=$1 expected=$2 status=0
    shift 2
    timeout -k 5 "$limit" "$top_builddir/run-in-tree" core/cli/napm "$@" >"$work/out" 2>"$work/err" || status=$?
    [ $status = "$expected" ]
}

# stop_agent SECONDS: stops the first agent of the run $run, so long after its tasks have begun; $agent is its process.
stop_agent() {
    local agents
    agent=
    for _ in $(seq 200); do
        read -ra agents <<<"$(cat /proc/$run/task/*/children 2>/dev/null)"
        newest | grep -q ,running, && [ "${#agents[@]}" = 2 ] && agent=${agents[0]} && break
        sleep 0.05
    done
    sleep "$1"
    kill -STOP "$agent"
}

# ---- the time of silence
check_status "less than a sign of life takes is wrong input" 2 napm run "$work/s.cfg" --set 'run.silence="1s"'
check_text "and said" 'run\.silence.*2s or more' "$work/err"

# ---- a device that is stopped
"$top_builddir/run-in-tree" core/cli/napm run "$work/s.cfg" --set streams.pi1.tasks=400 --set streams.pi2.tasks=50 \
    >"$work/run.out" 2>"$work/run.err" &
run=$!
stop_agent 0.7
started=$SECONDS status=0
wait $run || status=$?
check "a device that is stopped fails the run" test $status = 1
check "soon" test $((SECONDS - started)) -lt 15
check_text "which says who is silent, and for how long" 'node pi1 is gone: it has given no sign of life for 2.* s' "$work/run.err"
check "the stopped agent is not left behind" sh -c "! kill -0 $agent 2>/dev/null"
check "the run is recorded as failed" sh -c "echo '$(newest)' | grep -q ,failed,"

# ---- a device that is stopped while it is told of so many tasks that its control connection fills up
sed 's/backend *= .*/backend = { plugin = "replay"; gflops = 400.0; memory_rate = "400GB\/s"; };/' "$work/s.cfg" >"$work/many.cfg"
"$top_builddir/run-in-tree" core/cli/napm run "$work/many.cfg" --set streams.pi1.tasks=4000 --set streams.pi2.tasks=300 \
    --set 'streams.pi1.arrivals={plugin="periodic";period="5ms";}' \
    --set 'streams.pi2.arrivals={plugin="periodic";period="20ms";}' >"$work/run.out" 2>"$work/run.err" &
run=$!
stop_agent 1
status=0
wait $run || status=$?
check "a device that takes no more messages fails the run" test $status = 1
check_text "as that device" 'node pi1 is gone' "$work/run.err"
check "the other one's tasks are done" sh -c \
    "$top_builddir/run-in-tree core/cli/napm result show --format json | jq -e '[.streams[].tasks_ok] | max == 300'"

# ---- a backend that hangs on a device
check "a backend that hangs on a device fails the run long before its time limit" ends_within 30 1 \
    run "$work/s.cfg" --plugin-path "$failing" --set 'partitioner.plugin="device-only"' \
    --set 'nodes.pi1.backend.plugin="failing"' --set nodes.pi1.backend.at=40 --set nodes.pi1.backend.hang=true
check_text "by the device's name" 'node pi1 is gone: its backend has finished no task for ' "$work/err"
check "the other device's tasks are done" sh -c \
    "$top_builddir/run-in-tree core/cli/napm result show --format json | jq -e '[.streams[].tasks_ok] | max == 100'"

# ---- plugins that do not return
check "a scheduler that does not return in mid-run fails the run" ends_within 30 1 \
    run "$work/s.cfg" --plugin-path "$stuck" --set 'scheduler.plugin="stalls"'
check_text "by name, with its file" "plugin stalls \(.*stuck\.so\) misbehaves: a call has not returned for 2" "$work/err"
check "what had ended is kept" sh -c \
    "$top_builddir/run-in-tree core/cli/napm result show --format json | jq -e '.status == \"failed\" and ([.streams[].tasks_ok] | add) > 0'"
check "a partitioner that does not return fails the run" ends_within 30 1 \
    run "$work/s.cfg" --plugin-path "$stuck" --set 'partitioner.plugin="stuck"' --set 'run.time_limit="2s"'
check_text "by name" "planning has not ended within 2.* s \(run.time_limit\): partitioner 'stuck'" "$work/err"
check "it is recorded" sh -c "echo '$(newest)' | grep -q ,failed,"
check "a plan ends in the same way" ends_within 30 1 \
    plan "$work/s.cfg" --plugin-path "$stuck" --set 'partitioner.plugin="stuck"' --set 'run.time_limit="2s"'
check "a plugin that does not return while it is set up ends the command" ends_within 30 1 \
    run "$work/s.cfg" --plugin-path "$stuck" --set 'scheduler.plugin="stuck"' --set 'run.time_limit="2s"'
check_text "by name" "plugin 'stuck' misbehaves: setting it up has not ended within 2" "$work/err"
"$top_builddir/run-in-tree" core/cli/napm run "$work/s.cfg" --plugin-path "$stuck" --set 'partitioner.plugin="stuck"' \
    >"$work/run.out" 2>"$work/run.err" &
run=$!
sleep 1.5
kill -INT $run
started=$SECONDS status=0
wait $run || status=$?
check "Ctrl-C ends planning that does not end" test $status = 1 -a $((SECONDS - started)) -lt 10
check_text "and says so" '3 s after the request to stop' "$work/run.err"

# ---- plans in mid-run
check "in the local world a partitioner that does not return in mid-run fails the run" ends_within 30 1 \
    run "$work/s.cfg" --plugin-path "$stuck" --set 'partitioner.plugin="sticks"' --set 'replan.every="300ms"'
check_text "by name" "planning anew has not ended 2.* s after the tasks had \(run.silence\): partitioner 'sticks'" "$work/err"
check "by then all tasks have gone well by the first plan" sh -c \
    "$top_builddir/run-in-tree core/cli/napm result show --format json | jq -e '.status == \"failed\" and ([.streams[].tasks_ok] | add) == 200'"
check "in the simulated one too, at the time limit" ends_within 30 1 run "$work/s.cfg" --world sim --plugin-path "$stuck" \
    --set 'partitioner.plugin="sticks"' --set 'replan.every="300ms"' --set 'run.time_limit="2s"'
check_text "by name" "planning has not ended within 2.* s \(run.time_limit\): partitioner 'sticks'" "$work/err"
for world in sim local; do
    check "$world: a new plan that is none fails the run" ends_within 30 1 run "$work/s.cfg" --world $world \
        --plugin-path "$stuck" --set 'partitioner.plugin="strays"' --set 'replan.every="300ms"'
    check_text "$world: by name" "planning anew: plugin strays .* misbehaves: its plan puts layer 0" "$work/err"
done
"$top_builddir/run-in-tree" core/cli/napm run "$work/s.cfg" --plugin-path "$stuck" --set 'partitioner.plugin="sticks"' \
    --set 'replan.every="300ms"' --set streams.pi1.tasks=5000 --set streams.pi2.tasks=5000 >"$work/run.out" 2>"$work/run.err" &
run=$!
for _ in $(seq 200); do
    [ "$(napm result show --format json 2>/dev/null | jq '[.streams[].tasks_ok] | add')" -gt 100 ] 2>/dev/null && break
    sleep 0.05
done
kill -INT $run
started=$SECONDS status=0
wait $run || status=$?
check "Ctrl-C while a new plan does not end: the run ends" test $status = 1 -a $((SECONDS - started)) -lt 15
check_text "as stopped" 'stopped by Ctrl-C' "$work/run.err"
check "and what was done is kept" sh -c \
    "$top_builddir/run-in-tree core/cli/napm result show --format json | jq -e '.status == \"stopped\" and ([.streams[].tasks_ok] | add) > 100'"
done_testing
