# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The page of `napm report` in a real browser without a window: every chart is drawn, nothing complains, nothing is asked
# of the network, and a name that looks like HTML stays a name.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"

page=$top_builddir/core/report/report.html
if [ ! -f "$page" ]; then
    skip "the page" "it was not bundled: npm was missing or could reach no registry when this was built"
    done_testing
    exit
fi
check "the page may run its own script only, and load nothing" grep -q "default-src 'none'; script-src 'sha256-" "$page"
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [ -z "$browser" ] || ! command -v python3 >/dev/null; then
    skip "the page in a browser" "chromium and python3 are needed"
    done_testing
    exit
fi

# render FILE: the page as the browser has it then, in $work/dom; what its console says in $work/console.
render() {
    local profile
    profile=$(mktemp -d "$work/browser.XXXXXX")
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --disable-dev-shm-usage --user-data-dir="$profile" --window-size=1280,4000 \
        --virtual-time-budget=20000 --enable-logging=stderr --dump-dom "file://$1" >"$work/dom" 2>"$work/log"
    grep CONSOLE "$work/log" >"$work/console"
    rm -rf "$profile"
    [ -s "$work/dom" ]
}
# draws NAME FILE CHARTS MARKS
draws() {
    check "$1 is shown" render "$2"
    check "$1: each of $3 charts is drawn, with a table beside it" python3 "$top_srcdir/tests/report/check_page.py" "$work/dom" "$3" "$4"
    check "$1: the console is silent" sh -c "cat '$work/console'; test ! -s '$work/console'"
}

napm model new tiny-cnn -o "$work/tiny-cnn.onnx" >/dev/null
cat >"$work/s.cfg" <<'CFG'
name = "</script><img src=x onerror=alert(1)><!--"; seed = 3;
nodes = ( { name = "station"; role = "station"; }, { name = "pi"; count = 2; } );
links = ( { from = "pi"; rate = "20Mbit"; delay = "1ms"; } );
streams = ( { device = "pi"; model = "tiny-cnn.onnx"; tasks = 30; arrivals = { plugin = "poisson"; interval = "15ms"; }; } );
backend = { plugin = "reference"; };
partitioner = { plugin = "station-only"; };
scheduler = { plugin = "fifo"; };
run = { warmup_tasks = 1; sample_every = "50ms"; };
CFG
check "runs" napm run "$work/s.cfg" --repeat 2
check "at another rate" napm run "$work/s.cfg" --set links.pi.rate=4Mbit

check "a page of one run" napm report 1 -o "$work/one.html"
check_text "says where it is" "$work/one.html" "$work/out"
draws "the page of one run" "$work/one.html" 7 6
check_text "the scenario's name is text" '<h1>&lt;/script&gt;&lt;img src=x onerror=alert\(1\)&gt;' "$work/dom"
check "a page of several runs" napm report 1-3 -o "$work/more.html"
draws "the page of several runs" "$work/more.html" 8 6
check_text "has curves" '<h2>Curves</h2>' "$work/dom"
check "and no word that was meant for nobody" sh -c "! grep -oE '>(false|undefined|null|NaN|\[object Object\])<' '$work/dom'"

cp "$top_srcdir/tests/report/way.cfg" "$work"
check "a run over another device, with power models and new plans" napm run "$work/way.cfg"
check "its page" napm report -o "$work/way.html"
draws "the page of a way" "$work/way.html" 8 6
check_text "has the lanes of the way" 'phone: computing' "$work/dom"
check_text "has cuts over time" '<h2>Cuts over time</h2>' "$work/dom"
check_text "has energy, parted" 'energy of a task, mean of all nodes together.*sending' "$work/dom"
check "no word that was meant for nobody" sh -c "! grep -oE '>(false|undefined|null|NaN|\[object Object\])<' '$work/dom'"

napm run "$work/s.cfg" --set run.time_limit=1ms >/dev/null 2>&1
check "a page of a run that came to nothing" napm report -o "$work/failed.html"
check "is shown" render "$work/failed.html"
check_text "and says so" 'there is nothing to draw' "$work/dom"
check "without a word on the console" test ! -s "$work/console"

# That the checks above can fail: something from elsewhere in the page is seen, on the console and in the page.
sed 's|<main id="page">|<img src="https://example.invalid/x.png">&|' "$work/one.html" >"$work/planted.html"
check "a page that asks for something elsewhere" render "$work/planted.html"
check "is stopped by its own policy" grep -q 'Content Security Policy' "$work/console"
check "and found" sh -c "! python3 '$top_srcdir/tests/report/check_page.py' '$work/dom' 7 6"

# The very least: a page whose document is no report says that, and is no blank page.
sed 's/"format":"napm-report\/1"/"format":"other"/' "$work/one.html" >"$work/other.html"
check "a page with another document is shown" render "$work/other.html"
check_text "as what it is" 'cannot be shown' "$work/dom"
done_testing
