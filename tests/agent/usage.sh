# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The agent started by hand: it says what it is for, and refuses what it cannot use.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"
agent=$top_builddir/agent/napm-agent

check_status "it explains itself" 0 "$agent" --help
check_text "and says who starts it" 'napm run' "$work/out"
check_status "it tells its version" 0 "$agent" --version
check_text "with its name" '^napm-agent [0-9]' "$work/out"
check_status "without a connection it ends as misused" 2 "$agent"
check_status "a descriptor that is not open is refused" 2 "$agent" --control-fd=77
check_text "by name" '--control-fd=77' "$work/err"
check_status "a descriptor that is no number is refused" 2 "$agent" --control-fd=x
over_pipes() { : | "$agent" --control-stdio; }
check_status "over standard input and output it greets and ends with its input, a pipe" 0 over_pipes
check_text "with its version in the greeting" '[0-9]+\.[0-9]+\.[0-9]+' "$work/out"
done_testing
