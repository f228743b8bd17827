# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Help texts, exit codes, near names: what somebody sees who does not know the command yet.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

# Every command that the help names, and those below it.
commands_below() { napm "$@" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'; }
commands=()
for command in $(commands_below); do
    below=$(commands_below "$command")
    [ -n "$below" ] || commands+=("$command")
    for word in $below; do
        commands+=("$command $word")
    done
done
manual=$top_srcdir/docs/man/napm.1

every_option_is_in_the_manual() {
    local option missing=0
    for option in $(napm "$@" --help | sed -n '/^Options:/,/^$/s/^  .*--\([a-z-]*\).*/\1/p'); do
        grep -q -- "Fl -$option" "$manual" || { echo "--$option"; missing=1; }
    done
    return $missing
}

no_wider_than() {
    local columns=$1
    shift
    napm "$@" --help >"$work/help"
    [ -s "$work/help" ] && ! grep -E ".{$((columns + 1))}" "$work/help"
}

check "the help is no wider than 80 columns in a pipe" no_wider_than 80
check_status "without a command it asks for one" 2 napm
check_text "and says where to look" 'napm COMMAND --help' "$work/err"
check_text "and lists them at once" '^  run ' "$work/err"
check "--help lists the commands" napm --help
for word in run plan profile bench model plugin result version; do
    check_text "among them $word" "^  $word " "$work/out"
done
for command in "${commands[@]}"; do
    read -ra words <<<"$command"
    check "$command --help" napm "${words[@]}" --help
    check_text "$command --help shows its usage" "^Usage: napm $command" "$work/out"
    check_text "$command is in the manual" "^\.(Ss napm $command|Cm $command)\$" "$manual"
    check "$command --help is no wider than 80 columns in a pipe" no_wider_than 80 "${words[@]}"
    check "every option of $command is in the manual" every_option_is_in_the_manual "${words[@]}"
done
check "napm help run is napm run --help" sh -c "[ \"\$($top_builddir/run-in-tree core/cli/napm help run)\" = \"\$($top_builddir/run-in-tree core/cli/napm run --help)\" ]"
check "--version" napm --version
check_text "names the version" '^napm [0-9]+\.' "$work/out"

check_status "without a command a group lists its own" 2 napm result
check_text "on standard error" '^  export ' "$work/err"
check "napm help of a command of a group" napm help result list
check_text "is its --help" '^Usage: napm result list' "$work/out"
check_status "napm help of what there is not" 2 napm help rum
check_text "suggests the nearest" 'did you mean "napm run"' "$work/err"
check_status "a mistyped command is wrong input" 2 napm rum
check_text "and the nearest one is suggested" 'did you mean "napm run"' "$work/err"
check_status "a mistyped command of a group" 2 napm result lits
check_text "is suggested with its group" 'did you mean "napm result list"' "$work/err"
check_status "a mistyped option" 2 napm bench x.onnx --thraeds 2
check_text "is suggested too" 'did you mean --threads' "$work/err"
check_status "an unknown letter" 2 napm bench -Z x.onnx
check_text "is named" 'no option -Z' "$work/err"
check_status "an option without its argument" 2 napm run x.cfg --seed
check_text "is named" '--seed needs an argument' "$work/err"
check_status "a number out of range" 2 napm bench x.onnx --threads 0
check_text "is told its range" 'from 1 to 1024' "$work/err"
check_status "an option whose argument is empty" 2 napm run x.cfg --db ""
check_text "is named" 'run: --db "": expected FILE, not an empty text' "$work/err"
check_status "a mistyped option of napm itself" 2 napm --verison
check_text "is suggested" 'did you mean "napm --version"' "$work/err"
check_status "a negative number" 2 napm run x.cfg --repeat -1
check_status "no number" 2 napm run x.cfg --repeat three
check_status "a choice that is none" 2 napm result list --format xml
check_text "is told the choices" 'table\|json\|csv' "$work/err"
check_status "a choice with a slip" 2 napm result list --format jsno
check_text "is told the nearest" 'did you mean json' "$work/err"
check_status "a missing operand" 2 napm run
check_text "is named" '^napm: error: run: SCENARIO is missing' "$work/err"
check_status "one word too many" 2 napm run a.cfg b.cfg
check_text "is named" 'too many: b.cfg' "$work/err"
check_status "--set without a value" 2 napm run x.cfg --set nodes.pi1.cpu
check_text "shows how to write it" 'PATH=VALUE' "$work/err"
check_status "a scenario that is not there" 2 napm run "$work/none.cfg"
check_text "is named" 'none.cfg' "$work/err"
check_status "a model that is not there" 2 napm bench "$work/none.onnx"
check_text "is named" 'none.onnx' "$work/err"

if [ -c /dev/full ]; then
    check_status "output that cannot be written is a failure" 1 sh -c "$top_builddir/run-in-tree core/cli/napm --help >/dev/full"
else
    skip "output that cannot be written is a failure" "no /dev/full"
fi
if command -v mandoc >/dev/null; then
    for page in "$top_srcdir"/docs/man/*.1; do
        check "$(basename "$page") has no mistakes" sh -c "! mandoc -Tlint -W warning '$page' | grep ."
    done
else
    skip "the manual has no mistakes" "mandoc is not installed"
fi
done_testing
