# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Every example scenario, run as the documentation says, finishes all of its tasks.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

cp "$top_srcdir"/examples/*.cfg "$top_srcdir"/examples/*.csv "$work"
for model in alexnet-cifar10 mobilenetv2 tiny-cnn tiny-inception tiny-resnet; do
    check "the zoo makes $model" napm model new $model -o "$work/$model.onnx"
done

backend=() # as the examples say, where this build has it
napm plugin info onednn >/dev/null 2>&1 || backend=(--set backend.plugin=reference)
all_tasks_done() {
    napm run "$1" "${backend[@]}" --format json >"$work/run.json" &&
        jq -e '[.streams[] | .tasks_failed] | add == 0' "$work/run.json" >/dev/null &&
        jq -e '[.streams[] | .tasks_ok] | min > 0' "$work/run.json" >/dev/null
}

for scenario in "$work"/*.cfg; do
    check "$(basename "$scenario") runs and every task ends well" all_tasks_done "$scenario"
done
done_testing
