# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Layer times of nodes that do not exist: what is stated of them, at the share of the processor that they have.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

cd "$work" || exit 1
napm model new tiny-cnn -o tiny.onnx >/dev/null
cat >pi.cfg <<'END'
world = "sim";
nodes = ( { name = "station"; role = "station"; gflops = 1.0; }, { name = "pi"; gflops = 0.05; } );
links = ( { from = "pi"; rate = "1Mbit"; } );
streams = ( { device = "pi"; model = "tiny.onnx"; tasks = 3; arrivals = { plugin = "periodic"; period = "10s"; }; } );
partitioner = { plugin = "device-only"; };
backend = { plugin = "reference"; };
scheduler = { plugin = "fifo"; };
END

# mean_ns SETTING...: the mean delay with these settings.
mean_ns() {
    local setting settings=()
    for setting; do settings+=(--set "$setting"); done
    napm run pi.cfg "${settings[@]}" --format json | jq .delay.mean_ns
}
# is_about VALUE EXPECTED: but for the rounding of each layer's time.
is_about() { jq -en --argjson is "$1" --argjson expected "$2" '($is - $expected) | fabs < 100'; }

whole=$(mean_ns)
check "an estimate is the FLOPs at the stated speed" \
    is_about "$whole" "$(napm model info tiny.onnx --format json | jq '[.layers[].flops] | add / 0.05')"
check "a quarter of the processor takes four times as long" is_about "$(mean_ns nodes.pi.cpu=0.25)" "$((4 * whole))"

napm profile tiny.onnx --backend reference --runs 3 --format json >pi.json
sed 's/gflops = 0.05/profile = "pi.json"/' pi.cfg >profile.cfg && mv profile.cfg pi.cfg
check "a profile from a file is kept" is_about "$(mean_ns)" "$(jq '[.layers[].mean_ns] | add' pi.json)"
check "and is four times as long at a quarter" \
    is_about "$(mean_ns nodes.pi.cpu=0.25)" "$(jq '4 * ([.layers[].mean_ns] | add)' pi.json)"
done_testing
