# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Every #include goes the way that the table of rooms in docs/architecture.md allows, and the table itself has no circle:
# a room uses only rooms above it.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

# violations TREE: prints every include that the tree's own table does not allow, and what is wrong with the table.
violations() {
    (cd "$1" && find core sdk plugins agent models -name '*.[ch]' -exec grep -HnE '^[[:space:]]*#[[:space:]]*include' {} +) |
        awk -F '|' '
        function room_of(path) { # the room that the path lies in, or ""
            while (path != "" && !(path in row))
                path = path ~ /\// ? substr(path, 1, match(path, /\/[^\/]*$/) - 1) : ""
            return path
        }
        function trim(text) { gsub(/^ +| +$/, "", text); return text }
        function add_row(cells, uses,    rooms, words, n, i, j, use, name) {
            n = split(cells, rooms, ",")
            split(uses, words, ",")
            for (i = 1; i <= n; i++) {
                name = trim(rooms[i])
                gsub(/`/, "", name)
                for (j in words) {
                    use = trim(words[j])
                    if (use == "sdk" || use == "-") # everybody may use the SDK
                        continue
                    if (use == "the core above")
                        may[name] = may[name] above
                    else if (("core/" use) in row || use in row)
                        may[name] = may[name] " " (("core/" use) in row ? "core/" use : use) " "
                    else
                        print "docs/architecture.md: " name " may use \"" use "\", which is no room above it"
                }
            }
            for (i = 1; i <= n; i++) { # only now: rooms of one row do not use each other
                name = trim(rooms[i])
                gsub(/`/, "", name)
                row[name] = 1
                if (name ~ /^core\//)
                    above = above " " name " "
            }
        }
        FNR == NR {
            if ($2 ~ /^ *`/ && NF == 5 && !done)
                add_row($2, $4)
            else if ($0 == "" && length(row) > 0)
                done = 1 # with the first table
            next
        }
        {
            file = $0; sub(/:.*/, "", file)
            place = $0; sub(/:[ \t]*#.*/, "", place)
            target = $0; sub(/^[^"<]*["<]/, "", target); sub(/[">].*/, "", target)
            if (target ~ /^napm\//)
                target = "sdk/include/" target
            else if (target !~ /\// && $0 ~ /"/) { # beside the file
                folder = file; sub(/\/[^\/]*$/, "", folder)
                target = folder "/" target
            } else if (target !~ /^(core|sdk|plugins|agent|models|tests)\//)
                next # a library
            from = room_of(file)
            to = room_of(target)
            if (from == "")
                print place ": is in no room of the table"
            else if (to == "")
                print place ": includes " target ", which is in no room of the table"
            else if (to != from && to != "sdk/include/napm" && index(may[from], " " to " ") == 0)
                print place ": " from " may not use " to
        }' "$1/docs/architecture.md" -
}

no_violations() {
    violations "$top_srcdir" >"$work/found"
    cat "$work/found"
    [ ! -s "$work/found" ]
}
check "every include goes the way that the table of rooms allows" no_violations

# plant FILE TEXT: a file of a tree that breaks a rule
plant() {
    mkdir -p "$work/tree/$(dirname "$1")"
    printf '%s\n' "$2" >"$work/tree/$1"
}
mkdir -p "$work"/tree/{core,sdk,plugins,agent,models,docs}
cp "$top_srcdir/docs/architecture.md" "$work/tree/docs"
plant plugins/scheduler/greedy.c '#include "core/base/error.h"'
plant plugins/loadgen/other.c '#include "plugins/backend/replay_times.h"'
plant core/base/up.c '  #  include "core/run/run.h"'
plant core/run/down.c '#include "core/base/error.h"'
plant agent/planning.c '#include "core/planner/planner.h"'
plant core/attic/old.c '#include <napm/plugin.h>'
plant sdk/include/napm/leak.h '#include "core/model/model.h"'
plant core/model/tested.c '#include "tests/model/model_tool.h"'
violations "$work/tree" >"$work/planted"
check_text "a plugin that includes a core header is found" '^plugins/scheduler/greedy.c:1: .* may not use core/base$' "$work/planted"
check_text "a plugin that includes another kind's header is found" '^plugins/loadgen/other.c:1: ' "$work/planted"
check_text "a room that uses one above it is found" '^core/base/up.c:1: core/base may not use core/run$' "$work/planted"
check_text "the agent may not plan" '^agent/planning.c:1: agent may not use core/planner$' "$work/planted"
check_text "a folder that the table does not know is found" '^core/attic/old.c:1: is in no room' "$work/planted"
check_text "an SDK header that needs core is found" '^sdk/include/napm/leak.h:1: .* may not use core/model$' "$work/planted"
check_text "code that needs a test is found" '^core/model/tested.c:1: ' "$work/planted"
check_status "an allowed include is not reported" 1 grep core/run/down.c "$work/planted"
sed -i '/^| .core.base. /s/| - |$/| cli |/' "$work/tree/docs/architecture.md"
violations "$work/tree" >"$work/planted"
check_text "a circle in the table is found" '^docs/architecture.md: core/base may use "cli"' "$work/planted"
done_testing
