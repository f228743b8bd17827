#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The paper's question, answered anew: README.md says what is compared, and what came of it where it was written.
#   run.sh [--quick | --local] [-o FOLDER]
# Everything is put into FOLDER (default: paper-results): the ledger, and for each sweep a page of charts and tables as text.
# What was interrupted goes on where it was when it is given again.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
folder=paper-results
sweeps="devices devices-exhaustive load links oracle"
while [ $# -gt 0 ]; do
    case $1 in
    --quick) sweeps=quick ;;
    --local) sweeps=local ;;
    -o) folder=${2:?"run.sh: -o needs a folder"} && shift ;;
    *)
        sed -n '3,6s/^# *//p' "$0" >&2
        exit 2
        ;;
    esac
    shift
done

# $NAPM, else the tree that this lies in, else the one that is installed
napm=${NAPM:-$here/../../napm}
[ -x "$napm" ] || napm=$(command -v napm) || {
    echo "run.sh: there is no napm: build or install it first (README.md), or say where it is: NAPM=... $0" >&2
    exit 1
}
tables=$(command -v jq) || echo "run.sh: without jq there are pages only, no text tables (Debian: apt install jq)" >&2

mkdir -p "$folder"
cp "$here"/*.cfg "$folder" # models and settings lie beside scenarios, and an installed folder is for reading
cd "$folder"
export NAPM_DB="$PWD/paper.db"
[ -e alexnet-cifar10.onnx ] || "$napm" model new alexnet-cifar10

# 1 is what a sweep ends with of which some points failed: exhaustive gives up, which is one of the results.
for sweep in $sweeps; do
    status=0
    "$napm" sweep "$sweep.cfg" >"$sweep.points.txt" || status=$?
    [ "$status" -le 1 ] || exit "$status"
    grep "^sweep " "$sweep.points.txt"
done

# report NAME SWEEP...: a page and tables of these sweeps together.
report() {
    name=$1
    shift
    for sweep; do
        number=$("$napm" sweep --list --format csv | awk -F, -v name="$sweep" '$2 == name { print $1; exit }') # the newest
        set -- "$@" "sweep:$number"
        shift
    done
    "$napm" report "$@" -o "$name.html"
    [ -n "$tables" ] || return 0
    "$napm" report "$@" --format json -o "$name.json" >/dev/null
    jq -r -f "$here/tables.jq" "$name.json" >"$name.txt"
}

# compare DEVICES: what of the differences between partitioners is more than noise, with so many devices under FIFO.
compare() {
    echo "== $1 devices"
    # shellcheck disable=SC2046
    "$napm" compare --by partitioner --baseline greedy-delay $(jq --arg devices "$1" '.points[] | .settings as $set
        | select($set.devices == $devices and $set.scheduler == "fifo" and $set.partitioner != "exhaustive") | .runs[]' devices.json)
}

case $sweeps in
devices*)
    report devices devices devices-exhaustive
    [ -z "$tables" ] || for devices in 8 12 16 20 24 32; do compare "$devices"; done >verdicts.txt
    report load load
    report links links
    report oracle oracle
    ;;
*) report "$sweeps" "$sweeps" ;;
esac
echo "done: pages (.html) and tables (.txt) are in $PWD"
