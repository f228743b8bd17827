# SPDX-License-Identifier: Apache-2.0
# Text tables from what `napm report --format json` writes: a row for each setting, a column for each partitioner, the mean over
# the repetitions with its 95 % interval. jq -r -f tables.jq REPORT.json

# A number with so many digits behind the point.
def fixed($digits):
  if $digits == 0 then round | tostring
  else pow(10; $digits) as $scale | (. * $scale | round) as $n
    | "\($n / $scale | floor).\("000" + ($n % $scale | tostring) | .[-$digits:])" end;
def ms($digits): . / 1e6 | fixed($digits);
def cell:
  if . == null or .mean == null then "-"
  else (if .mean < 1e8 then 2 elif .mean < 1e9 then 1 else 0 end) as $digits
    | (.mean | ms($digits)) + (if .low == null then "" else " ± " + (.mean - .low | ms($digits)) end) end;
def row: "| " + join(" | ") + " |";

# What a setting is sorted by: its number where it is one, else its place among the values.
def place($value): (.values | index($value)) as $i | if .numbers then .numbers[$i] else $i end;

. as $report
| (([.parameters[] | select(.name != "partitioner" and .name != "scheduler")]) as $axes
| (["device-only", "station-only", "neurosurgeon", "greedy-delay", "greedy-variance", "exhaustive"]
    - (["exhaustive"] - [.points[].settings.partitioner])) as $partitioners
| ({mean_delay_ns: "Mean delay", deviation_ns: "Standard deviation of the delay"} | to_entries[]) as $metric
| ([.points[].settings.scheduler] | unique[]) as $scheduler
| "\($metric.value) in ms\(if $scheduler then ", " + $scheduler else "" end):",
  "",
  ([$axes[].name] + $partitioners | row, (map("---") | row)),
  ($report.points | map(select(.settings.scheduler == $scheduler))
    | group_by(. as $point | [$axes[] | place($point.settings[.name])])[]
    | . as $points
    | [$points[0].settings[$axes[].name]]
      + [$partitioners[] as $name | first(($points[] | select(.settings.partitioner == $name) | .metrics[$metric.key]), null) | cell]
    | row),
  ""),
  (.failed_points // [] | group_by(.settings)[] | "- \(.[0].settings), \(length) of its repetitions: \(.[0].cause)")
