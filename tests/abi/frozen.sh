# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Plugins that were built from the frozen headers of version 1 load in today's platform, and work.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

for kind in partitioner scheduler loadgen backend; do
    plugin=$top_builddir/tests/abi/v1/.libs/$kind.so
    check "the frozen $kind loads and keeps the contract" "$top_builddir/sdk/check/napm-plugin-check" "$plugin"
    check_text "the frozen $kind was really used" "ok [0-9]+ - $kind.so: $kind 'template-$kind' " "$work/out"
done
done_testing
