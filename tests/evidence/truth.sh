# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Predictions held against runs, and runs replayed, as a user does it.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

cd "$work" || exit 1
NAPM_DB=$work/truth.db
export NAPM_DB
napm model new alexnet-cifar10 -o alexnet-cifar10.onnx >/dev/null
# The replay backend takes the time that a model of the processor says, whatever this machine does.
cat >pair.cfg <<'END'
name = "pair";
nodes = (
  { name = "station"; role = "station"; backend = { plugin = "replay"; gflops = 20.0; memory_rate = "12GB/s"; }; },
  { name = "pi"; count = 2; backend = { plugin = "replay"; gflops = 4.0; memory_rate = "3GB/s"; }; }
);
links = ( { from = "pi"; rate = "40Mbit"; delay = "3ms"; } );
streams = ( { device = "pi"; model = "alexnet-cifar10.onnx"; tasks = 15; arrivals = { plugin = "poisson"; interval = "60ms"; }; } );
partitioner = { plugin = "neurosurgeon"; };
scheduler = { plugin = "fifo"; };
END
csv_has_seven_lines() { [ "$(napm validate pair.cfg --tolerance 90% --format csv | wc -l)" = 7 ]; }
runs() { sqlite3 "$NAPM_DB" "$1"; }

# ---- validate ----
check "a run is held against its simulation" napm validate pair.cfg --repeat 2 --tolerance 50%
check_text "phase by phase" '^transmit ' "$work/out"
check_text "and in words" 'The mean delay is predicted .* too (low|high) .*: within the tolerance of 50 %' "$work/out"
check "both worlds' runs are in the ledger" [ "$(runs "SELECT group_concat(world, ' ') FROM run")" = "local sim local sim" ]
check "under the same seeds" [ "$(runs 'SELECT count(DISTINCT seed) FROM run WHERE id IN (1, 2)')" = 1 ]
check "and with one plan" [ "$(runs 'SELECT count(DISTINCT cut) FROM plan_stream WHERE run IN (1, 2) AND stream = 0')" = 1 ]
check_status "beyond the tolerance it fails" 1 napm validate pair.cfg --tolerance 0 --format json
check "saying so to programs" jq -e '.within == false and .tolerance == 0' "$work/out"
check "with an interval of each phase's error" \
    jq -e '[.phases[] | select(.error_low_ns <= .error_ns and .error_ns <= .error_high_ns)] | length == 6' "$work/out"
check "and of its 95th percentile" jq -e '[.phases[] | select(.p95_low_ns <= .p95_high_ns)] | length == 6' "$work/out"
check "where all nodes are measured, none is stated" jq -e '.stated_nodes == 0' "$work/out"
check "CSV has a row for each phase and one for the delay" csv_has_seven_lines
napm validate pair.cfg --set nodes.pi.gflops=1.0 --format json >stated.json 2>/dev/null
check "nodes that this machine stands in for are counted" jq -e '.stated_nodes == 2' stated.json
napm validate pair.cfg --set nodes.pi.gflops=1.0 >stated.txt 2>/dev/null
check_text "and spoken of" 'layer times of 2 of 3 nodes are stated' stated.txt
check_status "a tolerance has to be a share" 2 napm validate pair.cfg --tolerance often
check_text "which is said" '--tolerance: ' "$work/err"
check_status "a scenario has to be there" 2 napm validate none.cfg

# ---- replay ----
check "a run is replayed as it was" napm replay 1 --format json
check "under its own arrivals" [ "$(runs "SELECT count(*) FROM task a JOIN task b USING (stream, task) WHERE a.run = 1
    AND b.run = (SELECT max(id) FROM run) AND a.started_ns = b.started_ns")" = 30 ]
check "near what was recorded" jq -e '.fidelity_error | fabs < 0.5' "$work/out"
check "and marked in the ledger" [ "$(runs 'SELECT replay_of FROM run ORDER BY id DESC LIMIT 1')" = 1 ]
check "what was simulated is replayed to the same delay" napm replay 2
check_text "exactly" 'recorded .*: \+0.0 %' "$work/out"
elsewhere() (mkdir -p elsewhere && cd elsewhere && "$@")
check "from another folder too" elsewhere napm replay 2
check "what if asks for other plugins" napm replay 2 --partitioner station-only --scheduler rr --set scheduler.quantum=1ms
check_text "and compares" 'with the changes against as it was' "$work/out"
check "the plugins are those asked for" [ "$(runs "SELECT name FROM run_plugin WHERE role = 'partitioner' ORDER BY run DESC LIMIT 1")" = station-only ]
check "a replay can be replayed" napm replay last
check "a slower node takes its times longer" napm replay 2 --set nodes.pi.cpu=0.5 --set partitioner.plugin=device-only --format json
check "half the processor, about twice the time" [ "$(runs "SELECT avg(device_compute_ns) > 1.9 * (SELECT sum(l.mean_ns)
    FROM run_profile p JOIN profile_layer l ON l.profile = p.profile WHERE p.run = 2 AND p.node = 1)
    FROM task WHERE run = (SELECT max(id) FROM run)")" = 1 ]
check_status "a run has to be there" 2 napm replay 999
check_text "which is said" 'there is no run 999' "$work/err"
check_status "a ledger has to be there" 2 napm replay 1 --db "$work/none.db"
check_text "which is said" 'there is none yet' "$work/err"
check "and none is made" test ! -e "$work/none.db"
check_status "other streams have no recorded arrivals" 2 napm replay 2 --set nodes.pi.count=3
check_text "which is said with what to do" 'napm run --world sim' "$work/err"
check_status "a setting needs a value" 2 napm replay 2 --set nonsense
check_status "a plugin has to be known" 2 napm replay 2 --scheduler fivo
check_text "the nearest is named" "fifo" "$work/err"
# ---- how far from the optimum ----
check "a plan is held against the optimum" napm plan pair.cfg --world sim --partitioner greedy-delay --gap 100000 --format json
check "every plan has its gap" jq -e '.optimum_found and (.plans | length == 6 and all(.gap > -0.001))' "$work/out"
check "the optimum's own is none" jq -e '.plans[-1] | (.partitioner | startswith("exhaustive")) and .gap == 0' "$work/out"
check "a bound ends the search" napm plan pair.cfg --world sim --gap 1
check_text "which is said" 'exhaustive was not finished in 1 evaluations' "$work/out"
check_status "a partitioner has to be known" 2 napm plan pair.cfg --world sim --partitioner greedy-delya
check_text "the nearest is named" "greedy-delay" "$work/err"
done_testing
