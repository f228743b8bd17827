# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The suite that asks the paper's question: its short form runs, and what it says is sane; its sweeps are whole.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

build=$(cd "$top_builddir" && pwd)
suite() { NAPM_BUILD=$build "$top_srcdir/examples/paper/run.sh" "$@"; } # by the wrapper in the tree, as a newcomer would
unset NAPM_DB # the suite has its own
result="$work/result"

check "the short form runs" suite --quick -o "$result"
check "with no point that failed" grep -q '144 of 144 points done, 0 failed' "$result/quick.points.txt"
check_text "and tables as text" '^\| devices \| .* \| device-only \| station-only \| neurosurgeon \| greedy-delay \| greedy-variance \| exhaustive \|$' "$result/quick.txt"
check "and a page" [ -s "$result/quick.html" ]
check "given again, it has nothing left to do" suite --quick -o "$result"
check_text "and says so" '0 of 144 points are left' "$work/err"

# holds TEXT CONDITION: in every setting, with p the mean delays, predicted and as they came, by partitioner.
napm report sweep:last --db "$result/paper.db" --format json -o "$work/report.json" >/dev/null
holds() {
    check "$1" jq -e "[.points | group_by(.settings | del(.partitioner))[] | map({(.settings.partitioner):
        {predicted: .metrics.predicted_mean_ns.mean, came: .metrics.mean_delay_ns.mean, deviation: .metrics.deviation_ns.mean}})
        | add | $2] | length == 12 and all" "$work/report.json"
}
# jitter and variation are drawn in the run, their means are planned with: hence 5 %
holds "greedy-delay is no slower than any that does not search" \
    '."greedy-delay".came <= 1.05 * ([."device-only", ."station-only", .neurosurgeon | .came] | min)'
holds "nothing is predicted to be faster than exhaustive" '.exhaustive.predicted <= 1.000001 * (map(.predicted) | min)'
holds "nor comes out faster" '.exhaustive.came <= 1.05 * (map(.came) | min)'
holds "greedy-variance keeps to its slack over greedy-delay" '."greedy-variance".predicted <= 1.11 * ."greedy-delay".predicted'
check "searching pays where the station has more than it can do" jq -e '[.points[]
    | select(.settings.devices == "4" and .settings["streams.pi.arrivals.interval"] == "15ms" and .settings.scheduler == "fifo")
    | {(.settings.partitioner): .metrics.mean_delay_ns.mean}] | add | ."greedy-delay" < .neurosurgeon / 1.5' "$work/report.json"

# ---- the long form: every sweep file is right, and has the points that the README tells of ----
cd "$result" || exit 1
for sweep in devices devices-exhaustive load links oracle local; do
    timeout -s INT 1 "$build/run-in-tree" core/cli/napm sweep "$sweep.cfg" --db sweeps.db --jobs 1 >/dev/null 2>"$work/$sweep.err"
done
napm sweep --list --db sweeps.db --format csv | cut -d, -f 2,4 >"$work/sweeps.txt"
for sweep in devices,750 devices-exhaustive,75 load,450 links,675 oracle,720 local,36; do
    check_text "the sweep ${sweep%,*} has its ${sweep#*,} points" "^$sweep" "$work/sweeps.txt"
done
check_status "an option that there is not is refused" 2 suite --slow
done_testing
