# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The ABI of today's headers against the committed baseline of version 1, and proof that a break would be seen.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"
# shellcheck source=tests/abi/abi.sh
. "$top_srcdir/tests/abi/abi.sh"

v1=$top_srcdir/tests/abi/v1
today=$top_srcdir/sdk/include

# broken NAME FILE EXPRESSION: a copy of the headers with a change made by sed, in $work/NAME.
broken() {
    cp -r "$today" "$work/$1"
    chmod -R u+w "$work/$1"
    sed -E -i "$3" "$work/$1/napm/$2"
    ! cmp -s "$work/$1/napm/$2" "$today/napm/$2"
}
check "a header with a field removed" broken removed plugin.h '/^    const char \*version;/d'
check "a header with fields swapped" broken swapped plugin.h \
    '/^    const char \*name; .*what a scenario writes/{h;d};/^    const char \*version;/G'
check "a header with a field inserted" broken inserted scheduler.h 's/^    uint32_t layers_done;/    uint64_t more;\n&/'
check "a header with a field retyped" broken retyped scheduler.h 's/^    int32_t priority;/    uint32_t priority;/'
check "a header with a constant changed" broken constant host.h 's/^(#define NAPM_WAIT) 1/\1 3/'
check "a header with a field appended" broken appended scheduler.h 's/^    void \*scheduler_data;/&\n    void *more;/'

# Places of members: any C compiler sees these.
check "every member lies where it was released" abi_layout "$today"
for break in removed swapped inserted; do
    check_status "a field $break is caught by its place" 1 abi_layout "$work/$break"
done
check "a field appended is no break" abi_layout "$work/appended"

# Constants: those of version 1 are all there, with their values.
gone_constants() { abi_constants "$1" | LC_ALL=C comm -13 - "$v1/constants.txt"; }
same_constants() { test -z "$(gone_constants "$1")"; }
check "every constant has its released value" same_constants "$today"
check_status "a constant changed is caught" 1 same_constants "$work/constant"

# Types: only the debug information tells those. (abidiff without -g sees nothing at all: the planted breaks prove it does.)
if ! command -v abidiff >/dev/null; then
    skip "abidiff against the baseline" "abidiff is not installed (abigail-tools)"
elif [ "$(uname -m)" != x86_64 ]; then
    skip "abidiff against the baseline" "the baseline is of x86-64"
else
    abi_object "$today" "$work/today.so"
    check "abidiff finds no change (after a field was appended: tests/abi/freeze.sh --baseline)" \
        abidiff "$v1/sdk.abi" "$work/today.so"
    for break in removed swapped inserted retyped; do
        abi_object "$work/$break" "$work/$break.so"
        check_status "abidiff catches a field $break" 4 abidiff "$v1/sdk.abi" "$work/$break.so"
    done
fi
done_testing
