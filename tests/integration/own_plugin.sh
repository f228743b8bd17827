# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A stranger's plugin: the template, built outside the tree against the installed SDK alone, dropped into a folder,
# named in a scenario, and run.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

if ! command -v pkg-config >/dev/null; then
    echo "1..0 # SKIP pkg-config is not installed"
    exit 0
fi
stage=$work/stage
check "the SDK installs" make -s -C "$top_builddir" install-sdk DESTDIR="$stage"
pc=$(find "$stage" -name napm.pc)
check "its pkg-config file is there" test -n "$pc"
cp -r "$top_srcdir/sdk/template" "$work/mine"
chmod -R u+w "$work/mine"
check "the template builds outside the tree by pkg-config alone" \
    env PKG_CONFIG_PATH="$(dirname "$pc")" make -C "$work/mine"
check "the conformance tester passes its plugins" \
    "$top_builddir/run-in-tree" sdk/check/napm-plugin-check "$work"/mine/*.so

napm model new tiny-cnn -o "$work/tiny-cnn.onnx"
cat >"$work/mine.cfg" <<'CFG'
nodes = ( { name = "station"; role = "station"; }, { name = "pi"; count = 2; } );
links = ( { from = "pi"; rate = "50Mbit"; delay = "1ms"; } );
streams = ( { device = "pi"; model = "tiny-cnn.onnx"; tasks = 5; arrivals = { plugin = "periodic"; period = "10ms"; }; } );
backend = { plugin = "reference"; };
partitioner = { plugin = "template-partitioner"; };
scheduler = { plugin = "template-scheduler"; };
CFG
check "napm lists it" sh -c "'$top_builddir/run-in-tree' core/cli/napm plugin list --plugin-path '$work/mine' | grep template-scheduler"
check "a scenario runs with it" napm run "$work/mine.cfg" --plugin-path "$work/mine" --format json
check "the run records which plugin and version it was" \
    sh -c "jq -e '.plugins[] | select(.name == \"template-scheduler\") | .version' '$work/out'"
done_testing
