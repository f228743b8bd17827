# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# TAP for shell tests: source this, call `check`, `check_text`, `skip`, and end with `done_testing`.
# Gives $work, an empty folder that goes away; `napm`, the command of this build, with a ledger and models of its own.
set -u
: "${top_srcdir:=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}"
: "${top_builddir:=$top_srcdir/build}"
cases=0
work=$(mktemp -d "${TMPDIR:-/tmp}/napm-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
export NAPM_DB="$work/napm.db" XDG_DATA_HOME="$work/share" NO_COLOR=1
unset NAPM_PLUGIN_PATH NAPM_AGENT

napm() { "$top_builddir/run-in-tree" core/cli/napm "$@"; }

# check NAME COMMAND...: the command succeeds.
check() {
    local name=$1
    shift
    cases=$((cases + 1))
    if "$@" >"$work/out" 2>"$work/err"; then
        echo "ok $cases - $name"
    else
        echo "not ok $cases - $name"
        sed 's/^/# /' "$work/out" "$work/err" | tail -n 30
    fi
}

# check_text NAME PATTERN FILE: the file has a line that the extended regular expression matches.
check_text() {
    cases=$((cases + 1))
    if grep -qE -- "$2" "$3"; then
        echo "ok $cases - $1"
    else
        echo "not ok $cases - $1"
        echo "# expected to match: $2"
        sed 's/^/# /' "$3" | tail -n 30
    fi
}

# check_status NAME STATUS COMMAND...: the command ends with this status; its output is in $work/out and $work/err.
check_status() {
    local name=$1 expected=$2 status=0
    shift 2
    cases=$((cases + 1))
    "$@" >"$work/out" 2>"$work/err" || status=$?
    if [ "$status" = "$expected" ]; then
        echo "ok $cases - $name"
    else
        echo "not ok $cases - $name"
        echo "# ended with status $status, expected $expected"
        sed 's/^/# /' "$work/out" "$work/err" | tail -n 30
    fi
}

skip() {
    cases=$((cases + 1))
    echo "ok $cases - $1 # SKIP $2"
}

done_testing() { echo "1..$cases"; }
