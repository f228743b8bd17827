# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The built-in plugins keep the contract that strangers' plugins are held to.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

plugins=$top_builddir/plugins/.libs
printf 'start_ms\n0\n5\n5\n40\n' >"$work/trace.csv"

# keeps NAME [SWITCH]...: the tester passes the plugin.
keeps() {
    local name=$1
    shift
    if [ -e "$plugins/$name.so" ]; then
        check "$name keeps the contract" "$top_builddir/sdk/check/napm-plugin-check" "$@" "$plugins/$name.so"
    else
        skip "$name keeps the contract" "it was not built"
    fi
}

for name in device-only station-only neurosurgeon greedy-delay greedy-variance exhaustive trend-greedy annealing \
    genetic min-cut chain-dp fifo sjf rr srpt edf priority wfq batch closed-loop reference onednn; do
    keeps "$name"
done
keeps replay --no-values
keeps periodic --set period=10ms
keeps poisson --set interval=10ms
keeps trace --set "file=$work/trace.csv"
keeps stress --set cpu=0.5 --set memory=1MiB
done_testing
