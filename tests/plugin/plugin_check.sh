# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# napm-plugin-check sees each way in which a plugin can break its contract, and survives it.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

tester=$top_builddir/sdk/check/napm-plugin-check
naughty=$top_builddir/tests/plugin/fixtures/.libs/naughty.so

# sees FAULT PATTERN: with this fault the tester fails and says so.
sees() {
    check_status "fault '$1' fails the tester" 1 "$tester" --timeout 3 --set "fault=$1" "$naughty"
    check_text "fault '$1' is named" "$2" "$work/out"
}

# With sanitizers the heap is not the C library's own (so leaks are the sanitizer's to find), and a crash ends the process.
if grep -q '^SANITIZE_CFLAGS = -f' "$top_builddir/Makefile"; then
    skip "fault 'leak'" "built with sanitizers"
    crashed='ended the whole process'
else
    sees leak 'it leaks: [0-9]+ bytes'
    crashed='crashed: signal 11'
fi
sees limit 'level=9: .*it gave no reason'
sees create 'will not be created'
sees exit 'ended the whole process \(exit status 0\)'
sees crash "$crashed"
sees loop 'not done after 3 s'
sees write 'ready\(\) wrote to a field of a job'
sees silent 'ready\(\) returned -4: without a text'
sees starve 'NAPM_WAIT without a time to wake while [0-9]+ jobs are ready'
sees past 'NAPM_WAIT with a time to wake that is past'
sees unknown 'named job 4711, which does not exist'
sees again 'named job [0-9]+, which is (running|gone)'
sees chance 'scheduled in two ways'
sees zero 'asked for 0 layers'
sees node 'on node 77, which cannot run it'
sees backwards 'on the device behind a layer at the station'
sees behind 'wrote behind the plan of stream 0'
sees problem "$crashed"
sees memory 'on a device that has not the memory'
sees status 'plan\(\) returned 17, which is no status of plan\(\)'
sees deaf 'said NAPM_ERR_CANCELLED, plan\(\) returned 0'
sees wait 'no task is unfinished'
sees back 'earlier than the one before it'
sees early 'before the stream does'
sees interval 'interval_ns\(\) is negative'
sees mute 'should be NAPM_ERR_UNSUPPORTED with a text that names the operator'
sees none 'output element 0 is .* expected'
check_text "a run that depends on the split is seen" 'gives other bits than the whole run' "$work/out"
check_text "a check that needs an option is skipped" "SKIP option 'must' is required: give --set must=VALUE" "$work/out"

check_status "no file is wrong usage" 2 "$tester"
check_status "an unknown switch is wrong usage" 2 "$tester" --nonsense "$naughty"
check_status "help is help" 0 "$tester" --help
check_status "a missing file is a failure" 1 "$tester" "$work/nothing.so"
check_text "a missing file is named" 'cannot be read: cannot open: No such file' "$work/out"
done_testing
