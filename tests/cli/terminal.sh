# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# On a terminal there are progress lines and colour; in pipes there are not.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

if ! script -qec true /dev/null >/dev/null 2>&1; then
    echo "1..0 # SKIP script (of util-linux) is not there"
    exit 0
fi
napm model new tiny-cnn -o "$work/tiny-cnn.onnx" >/dev/null
cat >"$work/s.cfg" <<'CFG'
nodes = ( { name = "station"; role = "station"; }, { name = "pi1"; } );
links = ( { from = "pi1"; rate = "100Mbit"; delay = "1ms"; } );
streams = ( { device = "pi1"; model = "tiny-cnn.onnx"; tasks = 25; arrivals = { plugin = "periodic"; period = "100ms"; }; } );
backend = { plugin = "reference"; };
partitioner = { plugin = "station-only"; };
scheduler = { plugin = "fifo"; };
CFG
on_terminal() { TERM=xterm script -qec "$*" /dev/null </dev/null; }
command="$top_builddir/run-in-tree core/cli/napm"

unset NO_COLOR
check "a run on a terminal" on_terminal "$command run '$work/s.cfg'"
tr '\r' '\n' <"$work/out" >"$work/lines"
check_text "shows how far it is" 'napm: running \[=+ *\] [0-9]+/25' "$work/lines"
check_text "and how long it will about take" '/25 1 s, about [12] s left' "$work/lines"
check_text "leaves no line behind" $'\033\\[K' "$work/out"
check_text "and is coloured" $'\033\\[1m' "$work/out"
export NO_COLOR=1
check "with NO_COLOR" on_terminal "$command result show"
check "there is none" sh -c "! grep -q '$(printf '\033')\[1m' '$work/out'"
unset NO_COLOR
check "nor in a pipe" napm result show
check "at all" sh -c "! grep -q '$(printf '\033')' '$work/out'"
check "unless asked for" napm result show --color always
check_text "then it is" $'\033\\[1m' "$work/out"
check "a run over a slow link" on_terminal "$command run '$work/s.cfg' --set 'links.pi1.delay=\"200ms\"' --set streams.pi1.tasks=1"
tr '\r' '\n' <"$work/out" | grep -oE 'probing links \[=* *> *\] 0/1 [0-9]+ s' | sort -u >"$work/lines"
check "shows while it is probed that time goes on" test "$(wc -l <"$work/lines")" -gt 3

# every_line_fits COLUMNS: the last output, without the progress lines that others have drawn over.
every_line_fits() { test "$(sed 's/.*\r\(.\)/\1/; s/\x1b\[[0-9;]*[mK]//g; s/\r//g' "$work/out" | LC_ALL=C.UTF-8 wc -L)" -le "$1"; }
export NO_COLOR=1
for columns in 80 120; do
    # The long ones at 80 only.
    tables=("plan '$work/s.cfg'" "result show" "plugin list" "model info '$work/tiny-cnn.onnx'")
    [ $columns = 120 ] || tables+=("run '$work/s.cfg' --repeat 2" "result list" "plugin info replay" "plugin info exhaustive" "model run '$work/tiny-cnn.onnx' -o '$work/y.npy'" \
        "model verify '$work/tiny-cnn.onnx' -b reference" "profile '$work/tiny-cnn.onnx' -b reference" \
        "bench '$work/tiny-cnn.onnx' -b reference")
    for words in "${tables[@]}"; do
        check "$words" on_terminal "stty cols $columns; $command $words"
        grep -vE '^(warning:|Kept in |All tasks: )|^  (file|hash|world) ' "$work/out" >"$work/tables"
        mv "$work/tables" "$work/out"
        check "is at most $columns columns wide" every_line_fits "$columns"
    done
done
check "COLUMNS counts more than the terminal" on_terminal "stty cols 80; COLUMNS=60 $command plugin list"
check "so the list is narrower" every_line_fits 60
check "the help on a narrow terminal" on_terminal "stty cols 60; $command sweep --help"
sed -n '/^Usage:/,/^Examples:/p' "$work/out" >"$work/about"
check_text "has all of its texts" 'disturb' "$work/about"
mv "$work/about" "$work/out"
check "is as narrow" every_line_fits 60
check "a list in a pipe" napm plugin list
check_text "has the files' whole paths" "fifo .* /.*/fifo\.so" "$work/out"
check "a run in a pipe" napm run "$work/s.cfg"
check "says nothing on stderr" test ! -s "$work/err"
done_testing
