# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# napm plugin list and info.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

check "plugin list" napm plugin list
for name in device-only station-only neurosurgeon greedy-delay greedy-variance exhaustive trend-greedy annealing \
    genetic min-cut chain-dp fifo sjf rr srpt edf priority wfq batch \
    periodic poisson closed-loop trace reference replay; do
    check_text "has $name" " $name +[^ ]+ +found" "$work/out"
done
check "plugin info" napm plugin info rr
check_text "shows the option" 'quantum' "$work/out"
check_text "with its type" 'duration' "$work/out"
check_text "the file" 'file .*rr\.so' "$work/out"
check_text "the ABI" 'ABI +1' "$work/out"
check "KIND:NAME" napm plugin info scheduler:rr
check_status "another kind of that name is not there" 2 napm plugin info partitioner:rr
check_status "an unknown name is wrong input" 2 napm plugin info greedy-dealy
check_text "and the nearest one is suggested" 'did you mean "greedy-delay"' "$work/err"

file=$top_builddir/plugins/.libs/rr.so
check "info on a file by its path" napm plugin info "$file"
check_text "shows its options" 'quantum' "$work/out"
cp "$file" "$work/here.so"
build=$(cd "$top_builddir" && pwd)
check "info on a file by a relative path" sh -c "cd '$work' && '$build/run-in-tree' core/cli/napm plugin info ./here.so | grep -q quantum"
check_status "a file that is not there is wrong input" 2 napm plugin info "$work/none.so"
check_text "and said" 'none\.so: No such file' "$work/err"

mkdir "$work/empty"
check "a list without any plugin is no error" env NAPM_PLUGIN_PATH="$work/empty" "$top_builddir/core/cli/napm" plugin list
if grep -q found "$work/out"; then
    skip "and names the folders" "there are installed plugins"
else
    check_text "and names the folders" "no plugins found; searched: .*$work/empty" "$work/out"
fi

mkdir "$work/mine"
cp "$top_srcdir/LICENSE" "$work/mine/text.so"
check "a file that is no plugin does not disturb the list" napm plugin list --plugin-path "$work/mine"
check_text "and is shown as refused" 'refused' "$work/out"
check_text "by its path" 'mine/text\.so' "$work/out"
check_status "info says why it was refused" 2 napm plugin info text.so --plugin-path "$work/mine"
check_text "in words" 'was refused: ' "$work/err"
check_status "a folder that is not there is wrong input" 2 napm plugin list --plugin-path "$work/none"
cp "$top_builddir/plugins/.libs/fifo.so" "$work/mine/fifo.so"
check "the same plugin twice" napm plugin list --plugin-path "$work/mine"
check_text "hides the later one" ' fifo +[^ ]+ +hidden' "$work/out"
fixtures=$top_builddir/tests/plugin/fixtures/.libs
if [ -e "$fixtures/faulty_no_pick.so" ]; then
    mkdir "$work/faulty"
    cp "$fixtures"/faulty_no_pick.so "$work/faulty"
    check "a plugin whose note alone is sound" napm plugin list --plugin-path "$work/faulty"
    check_text "is found by it" ' faulty +[^ ]+ +found' "$work/out"
    check_status "info loads it" 2 napm plugin info faulty --plugin-path "$work/faulty"
    check_text "and tells what it lacks" 'lacks the required callback pick\(\)' "$work/err"
else
    skip "a plugin whose note alone is sound" "the fixtures are not built"
fi
if command -v jq >/dev/null; then
    check "the list's JSON is valid" sh -c "$top_builddir/run-in-tree core/cli/napm plugin list --format json | jq -e 'map(select(.state == \"found\")) | length >= 14'"
    check "info's JSON is valid" sh -c "$top_builddir/run-in-tree core/cli/napm plugin info rr --format json | jq -e '.options[0].name == \"quantum\"'"
else
    skip "JSON is valid" "jq is not installed"
fi
done_testing
