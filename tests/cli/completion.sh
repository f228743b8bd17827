# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# bash completion offers what the command itself takes.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"
# shellcheck source=core/cli/completion/napm
. "$top_srcdir/core/cli/completion/napm"

# offers WORDS... : completes the last word, prints what is offered.
offers() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _napm
    printf '%s\n' "${COMPREPLY[@]}"
}
# offered NAME WANTED WORDS...
offered() {
    local name=$1 wanted=$2
    shift 2
    offers "$@" >"$work/offer"
    check "$name" grep -qx -- "$wanted" "$work/offer"
}
offered "commands" run napm r
offered "commands of a group" verify napm model v
offered "options" --threads napm bench --th
offered "options of a command of a group" --rows napm result export --r
offered "choices of an option" json napm run --format j
offered "names of plugins" greedy-delay napm plugin info greedy-d
offered "names of the zoo" tiny-cnn napm model new tiny-c
touch "$work/my.cfg"
offered "files" "$work/my.cfg" napm run "$work/my"
offers napm run --nonsense >"$work/offer"
check "nothing where there is nothing" test "$(tr -d '\n' <"$work/offer" | wc -c)" = 0
done_testing
