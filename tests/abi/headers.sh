# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Every public header compiles alone as C99, C11 and C++, and so does a plugin that uses the macros.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"
# shellcheck source=tests/abi/abi.sh
. "$top_srcdir/tests/abi/abi.sh"

warnings=(-Wall -Wextra -Wshadow -Wundef -pedantic -Werror)
include=$top_srcdir/sdk/include

# as LANGUAGE STANDARD COMPILER... -- FILE: checks one file's syntax.
compiles() {
    local language=$1 standard=$2 file=$3
    local compiler=("${cc[@]}")
    [ "$language" = c ] || compiler=("${cxx[@]}")
    "${compiler[@]}" "${warnings[@]}" -std="$standard" -fsyntax-only -I"$include" -x "$language" "$file"
}

for header in "$include"/napm/*.h; do
    name=$(basename "$header")
    echo "#include <napm/$name>" >"$work/alone.c"
    echo "#include <napm/$name>" >>"$work/alone.c" # and again: the guard holds
    echo "typedef int no_empty_unit;" >>"$work/alone.c"
    check "$name alone as C99" compiles c c99 "$work/alone.c"
    check "$name alone as C11" compiles c c11 "$work/alone.c"
    check "$name alone as C++11" compiles c++ c++11 "$work/alone.c"
    check "$name alone as C++20" compiles c++ c++20 "$work/alone.c"
done
check "a plugin compiles as C99" compiles c c99 "$top_srcdir/tests/abi/plain_plugin.c"
check "a plugin compiles as C11" compiles c c11 "$top_srcdir/tests/abi/plain_plugin.c"
check "a plugin compiles as C++11" compiles c++ c++11 "$top_srcdir/tests/abi/plain_plugin.c"

# A plugin written in C++ is as good as one written in C; and one for a static build exports its module's own name.
"${cxx[@]}" -std=c++11 -fPIC -shared -fvisibility=hidden -I"$include" -x c++ "$top_srcdir/tests/abi/plain_plugin.c" \
    -o "$work/plain.so" 2>"$work/err"
check "a C++ plugin keeps the contract" "$top_builddir/sdk/check/napm-plugin-check" "$work/plain.so"
"${cc[@]}" -std=c11 -fPIC -DNAPM_STATIC_MODULE=plain -I"$include" -c "$top_srcdir/tests/abi/plain_plugin.c" -o "$work/plain.o"
nm "$work/plain.o" >"$work/symbols"
check_text "a static module's entry has a name of its own" ' T plain_LTX_napm_plugin_entry$' "$work/symbols"
done_testing
