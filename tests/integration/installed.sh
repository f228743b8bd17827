# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What `make install` puts down works where it lies: the command finds its agent beside it and its plugins, and the manual
# and the completion are where they are looked for.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

stage=$work/stage
check "make install" make -s -C "$top_builddir" install DESTDIR="$stage"
command=$(find "$stage" -path '*/bin/napm' -type f)
check "the command is there" test -x "$command"
check "the agent is beside it" test -x "${command%napm}napm-agent"
plugins=$(dirname "$(find "$stage" -name fifo.so)")
check "the plugins are there" test -e "$plugins/greedy-delay.so"
check "so is the manual" sh -c "find '$stage' -name napm.1 | grep -q man1"
check "so is the completion" sh -c "find '$stage' -path '*bash-completion/completions/*' | grep -q /napm$"
check "nothing refers to the build folder" sh -c "! grep -rl -- \"$(cd "$top_builddir" && pwd)/\" '$stage' | grep -v '\.la$' | grep ."

# Staged, so the folder that was compiled in does not exist: the plugins are named by the environment.
export NAPM_PLUGIN_PATH=$plugins
check "it lists its plugins" "$command" plugin list
check_text "from where they lie" "$plugins/fifo.so" "$work/out"
"$command" model new tiny-cnn -o "$work/tiny-cnn.onnx" >/dev/null
cat >"$work/s.cfg" <<'CFG'
nodes = ( { name = "station"; role = "station"; }, { name = "pi1"; } );
links = ( { from = "pi1"; rate = "100Mbit"; delay = "1ms"; } );
streams = ( { device = "pi1"; model = "tiny-cnn.onnx"; tasks = 3; arrivals = { plugin = "periodic"; period = "5ms"; }; } );
backend = { plugin = "reference"; };
partitioner = { plugin = "station-only"; };
scheduler = { plugin = "fifo"; };
CFG
check "and runs a scenario" "$command" run "$work/s.cfg"
mv "${command%napm}napm-agent" "${command%napm}elsewhere"
if [ ! -x /usr/local/bin/napm-agent ] && [ ! -x /usr/bin/napm-agent ]; then
    check_status "without its agent it says so" 2 "$command" run "$work/s.cfg"
    check_text "and what to do" 'NAPM_AGENT' "$work/err"
fi
check "NAPM_AGENT names another place" env NAPM_AGENT="${command%napm}elsewhere" "$command" run "$work/s.cfg"
done_testing
