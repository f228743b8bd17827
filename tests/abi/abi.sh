# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the ABI tests and freeze.sh share.
: "${top_srcdir:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
# The compilers that configure found, which may carry options of their own.
abi_makefile_word() { sed -n "s/^$1 = //p" "${top_builddir:-.}/Makefile" 2>/dev/null; }
read -ra cc <<<"${CC:-$(abi_makefile_word CC)}"
read -ra cxx <<<"${CXX:-$(abi_makefile_word CXX)}"
[ "${#cc[@]}" -gt 0 ] || cc=(cc)
[ "${#cxx[@]}" -gt 0 ] || cxx=(c++)

# abi_object INCLUDE OUT.so: a shared object whose debug information describes every structure of the SDK.
abi_object() {
    "${cc[@]}" -std=c11 -g -O0 -fPIC -shared -fno-lto -fdebug-prefix-map="$top_srcdir/"= -fdebug-prefix-map="$1/"= \
        -I"$1" "$top_srcdir/tests/abi/sdk_structs.c" -o "$2"
}

# abi_constants INCLUDE: every constant of the SDK, one "NAME VALUE" a line.
abi_constants() {
    local header
    for header in "$1"/napm/*.h; do
        "${cc[@]}" -std=c11 -E -dM -I"$1" "$header"
    done | sed -nE 's/^#define (NAPM_[A-Z0-9_]+) ([-("0-9].*|UINT32_MAX)$/\1 \2/p' | LC_ALL=C sort -u
}

# abi_layout INCLUDE: does every member lie where it was released? (Later members may follow at the end.)
abi_layout() {
    "${cc[@]}" -std=c11 -fsyntax-only -I"$1" -I"$top_srcdir/tests/abi/v1" "$top_srcdir/tests/abi/layout.c"
}
