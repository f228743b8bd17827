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
offered "what an option by its letter takes" json napm run -f j
offered "kinds of rows" layers napm result export --rows la
offered "kinds of rows by the letter" layers napm result export 3 -r la
offered "backends" reference napm bench x.onnx --backend ref
offered "backends by the letter" reference napm bench x.onnx -b ref
offers napm bench x.onnx -b '' >"$work/offer"
check "and no other plugins" sh -c "grep -qx replay '$work/offer' && ! grep -qx fifo '$work/offer'"
offered "schedulers" srpt napm replay 3 --scheduler sr
offered "partitioners by the letter" min-cut napm plan x.cfg -p min
offered "worlds" sim napm run x.cfg --world s
offers napm compare --by '' >"$work/offer"
check "no files where a word is asked for" test "$(tr -d '\n' <"$work/offer" | wc -c)" = 0
offered "commands after help" run napm help r
offered "commands of a group after help" verify napm help model v
offered "keys for --set" scheduler.plugin= napm run x.cfg --set sche
offered "lists for -s" nodes. napm run -s no
cat >"$work/my.cfg" <<'CFG'
nodes = ( { name = "station"; role = "station"; },
          { name = "pi"; count = 3; } );
links = ( { from = "pi"; rate = "8Mbit"; } );
CFG
offered "nodes of the scenario for --set" nodes.station.workers= napm run "$work/my.cfg" --set nodes.
offered "links of the scenario for --set" links.pi.rate= napm plan "$work/my.cfg" --set links.
# Every key of the top level, as the reader has it, begins a path; but events have no names that a path could go by.
offers napm run x.cfg --set '' >"$work/offer"
sed -n '/read_head(/,/};/p' "$top_srcdir/core/scenario/scenario.c" | grep -oE '"[a-z_]+"' | tr -d '"' | grep -vx events >"$work/keys"
top_level_is_offered() {
    local key
    test "$(wc -l <"$work/keys")" -gt 9 || return 1
    while read -r key; do
        grep -q "^${key}[.=]" "$work/offer" || { echo "$key"; return 1; }
    done <"$work/keys"
}
check "every key of the top level for --set" top_level_is_offered
offered "files" "$work/my.cfg" napm run "$work/my"
offers napm run --nonsense >"$work/offer"
check "nothing where there is nothing" test "$(tr -d '\n' <"$work/offer" | wc -c)" = 0
done_testing
