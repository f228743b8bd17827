#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whole models, batch 1, float32, side by side with onnxruntime: both programs hold the model and take turns, so that
# whatever else the machine does hits both. Prints one line for each model and thread count.
#
#   NAPM_BENCH_MODELS     models of the zoo (default: the five below)
#   NAPM_BENCH_THREADS    thread counts (default: "1 2")
#   NAPM_BENCH_ROUNDS     turns each program gets (default: 5)
#   NAPM_BENCH_FOLDER     where models are kept between runs (default: tests/bench/models in the build tree)
#   NAPM_BENCH_PACKAGES   the node_modules folder with onnxruntime-node. By default it is installed by npm, without running
#                         its scripts, into the user's cache; NAPM_BENCH_OFFLINE=1 forbids that
set -u
top_srcdir=${top_srcdir:-.} top_builddir=${top_builddir:-.}
models=${NAPM_BENCH_MODELS:-alexnet-cifar10 alexnet vgg16 resnet50 mobilenetv2}
threads_list=${NAPM_BENCH_THREADS:-1 2}
rounds=${NAPM_BENCH_ROUNDS:-5}
folder=${NAPM_BENCH_FOLDER:-$top_builddir/tests/bench/models}
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/napm/onnxruntime-node
packages=$(realpath -m -- "${NAPM_BENCH_PACKAGES:-$cache/node_modules}")
patience_s=180 # for one answer
batch_ms=600   # about how long a turn lasts

work=$(mktemp -d) || exit 1
pids=()
# shellcheck disable=SC2317 # called by the trap
finish() {
    exec 3>&- 4>&- 5<&- 6<&-
    if [ ${#pids[@]} -gt 0 ]; then
        kill "${pids[@]}" 2>/dev/null
        wait "${pids[@]}" 2>/dev/null
    fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

say() { printf '%s\n' "$*"; }

if ! "$top_builddir/run-in-tree" core/cli/napm plugin info onednn >/dev/null 2>&1; then
    say "Whole models are not measured: this build has no onednn backend."
    exit 0
fi

# ---- the peer
why= # it is left out
if ! command -v node >/dev/null; then
    why="node is not installed"
elif [ ! -d "$packages/onnxruntime-node" ]; then
    if [ -n "${NAPM_BENCH_PACKAGES:-}" ]; then
        why="$packages holds no onnxruntime-node"
    elif ! command -v npm >/dev/null; then
        why="npm is not installed"
    elif [ -n "${NAPM_BENCH_OFFLINE:-}" ]; then
        why="it is not installed and NAPM_BENCH_OFFLINE is set"
    else
        say "Fetching onnxruntime-node into $cache (once; about 300 MB) ..."
        if ! mkdir -p "$cache" || ! timeout 600 npm install --ignore-scripts --no-audit --no-fund --fetch-retries=1 \
            --prefix "$cache" onnxruntime-node >"$work/npm.log" 2>&1; then
            why="npm could not install it ($(grep -m 1 -E 'ENO|EAI|ECONN|E4|EACC' "$work/npm.log" || tail -n 1 "$work/npm.log"))"
        fi
    fi
fi
peer=yes
[ -z "$why" ] || peer=no

# ---- talking to the two programs: ours on 3 (to) and 5 (from), the peer on 4 and 6
start() { # NAME TO FROM COMMAND...
    local name=$1 to=$2 from=$3
    shift 3
    mkfifo "$work/$name.in" "$work/$name.out"
    "$@" <"$work/$name.in" >"$work/$name.out" 2>"$work/$name.err" 3>&- 4>&- 5<&- 6<&- &
    pids+=($!)
    eval "exec $to>\"$work/$name.in\" $from<\"$work/$name.out\""
    rm -f "$work/$name.in" "$work/$name.out"
    answer "$from" >/dev/null || { say "$name failed: $(tail -n 1 "$work/$name.err")" >&2; return 1; }
}

answer() { # FROM: prints the next line
    local line
    IFS= read -r -t $patience_s line <&"$1" || return 1
    printf '%s\n' "$line"
}

ask() { # TO FROM TEXT
    printf '%s\n' "$3" >&"$1"
    answer "$2"
}

stop_both() {
    exec 3>&- 4>&-
    wait "${pids[@]}" 2>/dev/null
    pids=()
    exec 5<&- 6<&-
}

summary() { # numbers on stdin, one a line: "MIN MEDIAN"
    sort -n | awk '{ v[NR] = $1 } END { if (NR) printf "%.2f %.2f\n", v[1], NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

batch_size() { # times in ms: how many runs make a turn
    tr ' ' '\n' | awk -v batch=$batch_ms 'NF { n++; s += $1 } END { k = int(batch * n / s); print(k < 4 ? 4 : (k > 200 ? 200 : k)) }'
}

# ---- one line of the table
measure() { # MODEL THREADS
    local model=$1 threads=$2 file="$folder/$1.onnx" size peer_summary="- -" ratio=- error=- warm
    local napm_min napm_median
    start napm 3 5 "$top_builddir/run-in-tree" tests/bench/bench_model_napm "$file" onednn "$threads" || return 1
    if [ $peer = yes ]; then
        start onnxruntime 4 6 node "$top_srcdir/tests/bench/bench_model_onnxruntime.mjs" "$packages" "$file" "$threads" ||
            return 1
        ask 4 6 3 >/dev/null || return 1
        ask 3 5 "output $work/output" >/dev/null || return 1
        error=$(ask 4 6 "compare $work/output") || return 1
    fi
    warm=$(ask 3 5 3) || return 1
    size=$(batch_size <<<"$warm")
    rm -f "$work/napm" "$work/peer"
    for ((round = 0; round < rounds; round++)); do
        ask 3 5 "$size" | tr ' ' '\n' | grep . >>"$work/napm"
        sleep 0.05 # until waiting threads have stopped spinning
        if [ $peer = yes ]; then
            ask 4 6 "$size" | tr ' ' '\n' | grep . >>"$work/peer"
            sleep 0.05
        fi
    done
    stop_both
    read -r napm_min napm_median < <(summary <"$work/napm")
    if [ $peer = yes ]; then
        peer_summary=$(summary <"$work/peer")
        ratio=$(awk -v a="$napm_median" -v b="${peer_summary#* }" 'BEGIN { printf "%.2f", a / b }')
        awk -v r="$ratio" 'BEGIN { exit !(r > 1) }' && slower+=" $model/$threads"
    fi
    printf '%-16s %7s %6s %10s %10s %10s %10s %7s %9s\n' "$model" "$threads" "$((size * rounds))" "$napm_min" "$napm_median" \
        "${peer_summary% *}" "${peer_summary#* }" "$ratio" "$error"
}

mkdir -p "$folder" || exit 1
for model in $models; do
    [ -f "$folder/$model.onnx" ] || "$top_builddir/run-in-tree" core/cli/napm model new "$model" -o "$folder/$model.onnx" >/dev/null || exit 1
done
if [ $peer = yes ]; then
    version=$(sed -n 's/^ *"version": *"\([^"]*\)".*/\1/p' "$packages/onnxruntime-node/package.json")
    say "Whole models, batch 1, float32, milliseconds; onednn beside onnxruntime $version, $rounds turns each."
else
    say "Whole models, batch 1, float32, milliseconds; onednn alone: onnxruntime is left out, because $why."
fi
say "ratio: ours / theirs, of medians. difference: largest, relative to the largest output."
printf '%-16s %7s %6s %10s %10s %10s %10s %7s %9s\n' model threads runs "ours min" median "ort min" median ratio difference
slower=
failed=0
for model in $models; do
    for threads in $threads_list; do
        measure "$model" "$threads" || { say "$model with $threads threads could not be measured" >&2; failed=1; stop_both; }
    done
done
if [ $peer = yes ] && [ -n "$slower" ]; then
    say "Slower than onnxruntime on:$slower"
elif [ $peer = yes ] && [ $failed = 0 ]; then
    say "No slower than onnxruntime on any of them."
fi
exit $failed
