# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The template builds outside the tree against the installed SDK alone, without a warning, and keeps the contract.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

if ! command -v pkg-config >/dev/null; then
    echo "1..0 # SKIP pkg-config is not installed"
    exit 0
fi
stage=$work/stage
# A make of its own: the options of the one that runs the tests must not reach it.
alone() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "$@"; }

check "the SDK installs" alone make -s -C "$top_builddir" install-sdk DESTDIR="$stage"
template=$(find "$stage" -type d -path '*/napm/template')
pc=$(find "$stage" -name napm.pc)
check "the template is installed with it" test -f "$template/Makefile"
check "napm.pc is installed with it" test -f "$pc"
cp -r "$template" "$work/mine"
chmod -R u+w "$work/mine"
check_status "without the SDK the build says what is missing" 2 alone env PKG_CONFIG_PATH= PKG_CONFIG_LIBDIR=/nonexistent \
    make -s -C "$work/mine"
check_text "the remedy is named" 'install NAPM, or set PKG_CONFIG_PATH' "$work/err"
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$pc")
check "it builds by pkg-config alone, without a warning" \
    alone make -s -C "$work/mine" CFLAGS='-O2 -Wall -Wextra -Wshadow -Wconversion -Werror'
check "four plugins came out" test "$(find "$work/mine" -name '*.so' | wc -l)" = 4
check "they keep the contract" "$top_builddir/sdk/check/napm-plugin-check" "$work"/mine/*.so
check "its objective can be set" "$top_builddir/sdk/check/napm-plugin-check" --set objective=maximum --set slice=3 "$work"/mine/*.so
check_status "a wrong choice is refused" 1 "$top_builddir/sdk/check/napm-plugin-check" --set objective=most "$work/mine/partitioner.so"
check_text "with the choices" "'most' is none of the choices: total or maximum" "$work/out"
check "napm.pc names the plugins' folder" test -n "$(pkg-config --variable=plugindir napm)"
check "it installs elsewhere than configured" alone make -s -C "$top_builddir" install-sdk prefix="$work/moved"
check "and napm.pc says so" test -f "$(PKG_CONFIG_PATH=$(dirname "$(find "$work/moved" -name napm.pc)") \
    pkg-config --variable=includedir napm)/napm/plugin.h"
check "also after the tree has moved" sh -c "mv '$work/moved' '$work/again' &&
    PKG_CONFIG_PATH=\$(dirname \$(find '$work/again' -name napm.pc)) pkg-config --cflags napm | grep -qF '$work/again/'"
check "it cleans up" alone make -s -C "$work/mine" clean
check "nothing is left" test "$(find "$work/mine" -name '*.so' | wc -l)" = 0
done_testing
