# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# How files look: a licence on top of each, C as clang-format writes it, shell scripts that shellcheck does not warn of.
# The two tools are asked where they are installed; of clang-format only Debian 12's version, as others break lines elsewhere.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

cd "$top_srcdir" || exit 99
folders=(core sdk plugins agent models tests)
mapfile -t c_files < <(find "${folders[@]}" -name '*.[ch]' ! -path 'tests/abi/v*' ! -name '*.pb-c.*' | sort)
mapfile -t shell_files < <(find "${folders[@]}" -name '*.sh' ! -path '*/node_modules/*' | sort)
shell_files+=(quickstart napm autogen.sh run-in-tree.in .ci/*)

all_licensed() {
    local file status=0
    for file in "${c_files[@]}" "${shell_files[@]}"; do
        head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || { echo "$file"; status=1; }
    done
    return $status
}
check "every source names its licence on top" all_licensed

if clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
    check "clang-format would change nothing" clang-format --dry-run -Werror "${c_files[@]}"
    printf 'int  main( void ){return 0 ;}\n' >"$work/ugly.c"
    check_status "clang-format would change an ugly file" 1 clang-format --style=file:.clang-format --dry-run -Werror "$work/ugly.c"
else
    skip "clang-format would change nothing" "clang-format 14 is not installed"
fi

if command -v shellcheck >/dev/null; then
    check "shellcheck warns of nothing in the scripts" shellcheck -x -S warning "${shell_files[@]}"
else
    skip "shellcheck warns of nothing in the scripts" "shellcheck is not installed"
fi
done_testing
