# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# docs/scenario.md, and napm-scenario(5) which is made of it, tell every key that the scenario's reader knows, and no other.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

sed -n '/keys\[\] = {/,/};/p' "$top_srcdir"/core/scenario/{scenario,nodes,streams,events}.c | grep -v '"nodes\.' |
    grep -oE '"[a-z_]+"' | tr -d '"' | sort -u >"$work/known"
# The first column of the tables whose first title is "key".
awk -F'|' '/^\| *key / {inside = 1} !/^\|/ {inside = 0} inside && $2 ~ /\140/ {print $2}' "$top_srcdir/docs/scenario.md" |
    tr -d '\140 ' | sort -u >"$work/told"
check "the reader's keys are found" test "$(wc -l <"$work/known")" -gt 40
# missing_in FILE: the reader's keys that the text does not have.
missing_in() {
    local key missing=0
    while read -r key; do
        grep -qw -- "$key" "$1" || { echo "$key"; missing=1; }
    done <"$work/known"
    return $missing
}
check "each key of the reader is documented" missing_in "$top_srcdir/docs/scenario.md"
check "and each documented key is one of the reader's" sh -c "! comm -13 '$work/known' '$work/told' | grep ."

for page in napm-scenario napm-ledger; do
    made=$top_builddir/docs/man/$page.5
    if [ ! -f "$made" ]; then
        skip "$page(5) is made" "lowdown was not there when this was configured"
        continue
    fi
    check_text "$page(5) says what it is about" "^$page - " <(sed 's/\\-/-/g' "$made")
    check_text "and where to read on" 'napm(\\fR)?\(1\)' "$made"
    if command -v mandoc >/dev/null; then
        check "$page(5) has no errors" mandoc -Tlint -W error "$made"
        check "and is shown" sh -c "mandoc -Tutf8 '$made' | sed 's/.\x08//g' >'$work/$page.txt'"
    fi
done
[ ! -f "$work/napm-scenario.txt" ] || check "napm-scenario(5) has every key" missing_in "$work/napm-scenario.txt"
done_testing
