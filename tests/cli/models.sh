# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# napm model, profile and bench, as a user would try them first.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

m=$work/tiny.onnx
check "model new writes a file" napm model new tiny-cnn -o "$m"
check "that is there" test -s "$m"
check "the same seed gives the same file" sh -c "cd '$work' && $top_builddir/run-in-tree core/cli/napm model new tiny-cnn && cmp tiny-cnn.onnx '$m'"
check "another seed another one" sh -c "cd '$work' && $top_builddir/run-in-tree core/cli/napm model new tiny-cnn --seed 2 && ! cmp -s tiny-cnn.onnx '$m'"
check_status "an unknown network is wrong input" 2 napm model new tiny-cn -o "$work/x.onnx"
check_text "and the nearest one is suggested" 'tiny-cnn' "$work/err"
check_status "a place that cannot be written is told" 2 napm model new tiny-cnn -o "$work/none/x.onnx"

check "model info" napm model info "$m"
check_text "lists the layers" 'conv1 +Conv\+Relu' "$work/out"
check "model info as CSV" napm model info "$m" --format csv
check_text "has a header" '^layer,name,operators' "$work/out"
check_status "a file that is no model" 2 napm model info "$top_srcdir/LICENSE"
check_text "is named" 'LICENSE' "$work/err"

check "model run with random input" napm model run "$m" --backend reference --output "$work/a.npy"
check "writes the output" test -s "$work/a.npy"
check "again gives the same" sh -c "$top_builddir/run-in-tree core/cli/napm model run '$m' --backend reference --output '$work/b.npy' && cmp '$work/a.npy' '$work/b.npy'"
check_status "an input of another shape is wrong" 2 napm model run "$m" --input "$work/a.npy"
check_status "one output too many is wrong" 2 napm model run "$m" --output "$work/a.npy" --output "$work/b.npy"
check_status "an output that would not be what its name says is refused" 2 napm model run "$m" --backend reference -o "$work/y.txt"
check_text "with the remedy" 'y\.txt: .*name a file that ends in \.npy' "$work/err"
check "and nothing is written" test ! -e "$work/y.txt"
check_status "an unknown backend is wrong" 2 napm model run "$m" --backend referense
check_text "and the nearest one is suggested" 'reference' "$work/err"
check_status "an unknown option of a backend is wrong" 2 napm bench "$m" --backend replay --backend-option gflop=3
check_text "and the nearest one is suggested" 'gflops' "$work/err"

check "model verify: every cut, bit for bit" napm model verify "$m" --backend reference --format csv
check_text "all 6 cuts" '^reference [^,]*,6,0,' "$work/out"
check "model verify with a backend named twice" napm model verify "$m" -b reference -b reference --format csv
check "verifies it once" test "$(grep -c '^reference ' "$work/out")" = 1
check "model verify as this was built" napm model verify "$m" --format csv
check "has each backend once" sh -c "cut -d, -f1 '$work/out' | sort | uniq -d | wc -l | grep -qx 0"
sed 's/\bGlobalAveragePool\b/GlobalAveragePoll/' "$m" >"$work/slip.onnx"
if cmp -s "$m" "$work/slip.onnx"; then
    sed 's/\bGemm\b/Gems/' "$m" >"$work/slip.onnx"
fi
check_status "an operator that is not supported" 2 napm model info "$work/slip.onnx"
check_text "is a slip of another one" 'did you mean G' "$work/err"
sed 's/\bConv\b/Abcd/' "$m" >"$work/other.onnx"
check_status "one that is like no other" 2 napm model info "$work/other.onnx"
check_text "is answered with all that are supported" 'not supported; .*There are Abs, .* Gemm, .*Where' "$work/err"
check "and with no guess" sh -c "! grep 'did you mean' '$work/err'"
if [ -e "$top_builddir/plugins/onednn.la" ]; then
    check "onednn and reference agree" napm model verify "$m"
    check "also where layers skip" sh -c "$top_builddir/run-in-tree core/cli/napm model new tiny-resnet -o '$work/r.onnx' && $top_builddir/run-in-tree core/cli/napm model verify '$work/r.onnx'"
    check_status "a tolerance of 0 is not met" 1 napm model verify "$m" --tolerance 0
    check_text "and said so" 'more than the tolerance' "$work/err"
else
    skip "onednn and reference agree" "built without onednn"
fi
check_status "a backend that does not compute is found out" 1 napm model verify "$m" --backend reference --backend replay

check "profile" napm profile "$m" --backend reference --runs 3
check_text "lists the layers" '^ *0 +conv1 ' "$work/out"
check "bench" napm bench "$m" --backend reference --runs 5 --format json
if command -v jq >/dev/null; then
    check "its JSON is valid and ordered" jq -e '.min_ns <= .median_ns and .median_ns <= .p90_ns and .runs == 5' "$work/out"
    check "profile's JSON is valid" sh -c "$top_builddir/run-in-tree core/cli/napm profile '$m' --backend reference --runs 3 --format json | jq -e '.layers | length == 5'"
    check "info's JSON is valid" sh -c "$top_builddir/run-in-tree core/cli/napm model info '$m' --format json | jq -e '.layer_count == 5'"
else
    skip "JSON is valid" "jq is not installed"
fi
done_testing
