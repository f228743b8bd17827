#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every device/edge/cloud pipeline of chains of layers: `exhaustive` beside the procedure of Scission in Python.
set -u
: "${top_srcdir:?set by the test environment}" "${top_builddir:?}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$top_builddir/tests/bench/bench_enumerate" "$work" >"$work/napm" || exit 1
if ! command -v python3 >/dev/null; then
    echo "Pipelines of a chain (python3 is not installed, so nothing stands beside it):"
    awk '{printf "%6d layers  %7d pipelines  %9.4f ms\n", $1, $2, $3 * 1000}' "$work/napm"
    exit 0
fi
python3 "$top_srcdir/tests/bench/bench_enumerate_python.py" "$work"/{18,50,100,200,400}.txt >"$work/python" || exit 1
echo
echo "All device/edge/cloud pipelines of a chain, from the tables in memory to the best (want: 100 times as fast as Scission's"
echo "procedure in Python)"
echo "layers  pipelines   napm, ms    Python, ms   times    same best"
paste -d' ' "$work/napm" "$work/python" | awk '{
    off = $4 - $8 < 0 ? $8 - $4 : $4 - $8
    printf "%6d  %9d  %9.4f  %12.1f  %6.0f  %s\n", $1, $2, $3 * 1000, $7 * 1000, $7 / $3, off <= 10 && $2 == $6 ? "yes" : "NO"
}'
