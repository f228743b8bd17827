# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A plugin that crashes or never returns: the command says whose fault it was, ends in bounded time, and the ledger says how.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

if nm "$top_builddir/core/cli/napm" 2>/dev/null | grep -q __asan_init; then
    echo "1..0 # SKIP the sanitizers report crashes themselves"
    exit 0
fi
# build_faulty NAME STATEMENT: the template's scheduler, with this as the first statement of its pick.
build_faulty() {
    mkdir "$work/$1"
    awk -v first="$2" '{print} /pick\(void \*self/ {inside = 1} inside && /^{/ {print first; inside = 0}' \
        "$top_srcdir/sdk/template/scheduler.c" >"$work/$1/$1.c"
    grep -qF "$2" "$work/$1/$1.c" &&
        ${CC:-cc} -shared -fPIC -I"$top_srcdir/sdk/include" -o "$work/$1/$1.so" "$work/$1/$1.c" -lm
}
check "a scheduler that crashes is built" build_faulty crash "    *(volatile int *)0 = 1;"
check "a scheduler that never returns is built" build_faulty loop "    for (volatile int for_ever = 1; for_ever;) ;"

napm model new tiny-cnn -o "$work/tiny-cnn.onnx" >/dev/null
cat >"$work/s.cfg" <<'CFG'
nodes = ( { name = "station"; role = "station"; }, { name = "pi"; } );
links = ( { from = "pi"; rate = "50Mbit"; delay = "1ms"; } );
streams = ( { device = "pi"; model = "tiny-cnn.onnx"; tasks = 3; arrivals = { plugin = "periodic"; period = "5ms"; }; } );
backend = { plugin = "reference"; };
partitioner = { plugin = "station-only"; };
scheduler = { plugin = "template-scheduler"; };
CFG
run_it() {
    # The program itself, not this file's shell function, so that its end by a signal is seen.
    NAPM_PLUGIN_PATH="$top_builddir/plugins/.libs" NAPM_AGENT="$top_builddir/agent/napm-agent" \
        timeout 60 "$top_builddir/core/cli/napm" run "$work/s.cfg" "$@"
}
check_status "the command ends by the signal" 139 run_it --plugin-path "$work/crash"
check_text "and says which plugin it was" "crashed \(Segmentation fault\) inside plugin $work/crash/crash.so" "$work/err"
check_text "and what to try" "napm-plugin-check" "$work/err"
check "the ledger opens" napm result list
check_text "and shows the run as interrupted" "interrupted" "$work/out"

check_status "a scheduler that never returns ends the run at its time limit" 1 \
    run_it --plugin-path "$work/loop" --set run.time_limit=2s
check_text "and is named" "planning has not ended within 2.00 s .*template-scheduler" "$work/err"
check "the run is recorded" napm result list
check_text "as failed" "failed" "$work/out"
check_status "the plan alone ends as well" 1 napm plan "$work/s.cfg" --plugin-path "$work/loop" --set run.time_limit=2s
done_testing
