# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A plugin that crashes: the command says whose fault it was, and the next command finds the run as interrupted.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

if nm "$top_builddir/core/cli/napm" 2>/dev/null | grep -q __asan_init; then
    echo "1..0 # SKIP the sanitizers report crashes themselves"
    exit 0
fi
mkdir "$work/bad"
# The pick of the template, with a store through a null pointer as its first statement.
awk '{print} /pick\(void \*self/ {inside = 1} inside && /^{/ {print "    *(volatile int *)0 = 1;"; inside = 0}' \
    "$top_srcdir/sdk/template/scheduler.c" >"$work/bad/crash.c"
check "a scheduler that crashes is built" sh -c "grep -q 'volatile int' '$work/bad/crash.c' &&
    ${CC:-cc} -shared -fPIC -I'$top_srcdir/sdk/include' -o '$work/bad/crash.so' '$work/bad/crash.c' -lm"

napm model new tiny-cnn -o "$work/tiny-cnn.onnx" >/dev/null
cat >"$work/s.cfg" <<'CFG'
nodes = ( { name = "station"; role = "station"; }, { name = "pi"; } );
links = ( { from = "pi"; rate = "50Mbit"; delay = "1ms"; } );
streams = ( { device = "pi"; model = "tiny-cnn.onnx"; tasks = 3; arrivals = { plugin = "periodic"; period = "5ms"; }; } );
backend = { plugin = "reference"; };
partitioner = { plugin = "station-only"; };
scheduler = { plugin = "template-scheduler"; };
CFG
crashes() {
    # The program itself, not this file's shell function, so that its end by a signal is seen.
    NAPM_PLUGIN_PATH="$top_builddir/plugins/.libs" NAPM_AGENT="$top_builddir/agent/napm-agent" \
        timeout 60 "$top_builddir/core/cli/napm" run "$work/s.cfg" --plugin-path "$work/bad"
}
check_status "the command ends by the signal" 139 crashes
check_text "and says which plugin it was" "crashed \(Segmentation fault\) inside plugin $work/bad/crash.so" "$work/err"
check_text "and what to try" "napm-plugin-check" "$work/err"
check "the ledger opens" napm result list
check_text "and shows the run as interrupted" "interrupted" "$work/out"
done_testing
