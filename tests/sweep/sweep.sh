# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A sweep as a user runs it: points, resuming after a kill, points that fail, and what the comparison says of it.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"
# shellcheck source=tests/sweep/grid.sh
. "$top_srcdir/tests/sweep/grid.sh"

cd "$work" || exit 1
write_grid

# runs WHERE: how many runs of the ledger the condition names.
runs() { sqlite3 -cmd '.timeout 10000' "$NAPM_DB" "SELECT count(*) FROM run WHERE $1"; }

# ---- a sweep from beginning to end ----
check "a sweep runs" napm sweep grid.cfg --format csv
check_text "each combination is a row" '^rate=4Mbit partitioner=neurosurgeon,3,0,[0-9]+' "$work/out"
check "there is a run for each point" [ "$(runs "status = 'done' AND sweep = 1")" = 12 ]
check "given again, it has nothing left to do" napm sweep grid.cfg
check "and runs nothing twice" [ "$(runs 1)" = 12 ]
check "sweeps are listed" napm sweep --list
check_text "with their points" ' grid +ended +12 +12 +0 ' "$work/out"
check "--again begins anew" napm sweep grid.cfg --again
check "with runs of its own" [ "$(runs "sweep = 2 AND status = 'done'")" = 12 ]

# ---- comparing what it recorded ----
check "groups of its runs are compared" napm compare 1-12 --by partitioner
check_text "in plain words" 'mean delay: (neurosurgeon is (lower|higher) than|no difference beyond noise between|neurosurgeon differs from)' "$work/out"
check "by a path that was swept" napm compare sweep:1 --by links.pi.rate --format json
check_text "paired, since the seeds are the same" '"paired": 1' "$work/out"
check_text "a faster link is better" '"verdict": "better"' "$work/out"
check "a run against its repetition of the same seed and settings" napm compare 1 13
check_text "is the same: nothing beyond noise" 'mean delay: no difference beyond noise' "$work/out"
check_status "a sweep that there is not is refused" 2 napm compare sweep:9
check_text "with the remedy" 'there is no sweep "9"; .napm sweep --list. names' "$work/err"
napm run base.cfg --world sim --set seed=5 --set streams.pi.tasks=9 --set streams.pi.tasks=40 >/dev/null
napm run base.cfg --world sim --set seed=5 --set streams.pi.tasks=40 --set scheduler.plugin=sjf >/dev/null
last=$(runs 1)
check "runs whose settings come to the same" napm compare "$((last - 1))" "$last" --by scheduler
check "are not called mixed" sh -c "! grep -q 'more than one setting' '$work/err'"
check "and by something else than what differs" napm compare "$((last - 1))" "$last" 1 --by links.pi.rate
check_text "they are" 'more than one setting' "$work/err"
check_status "one group alone is refused" 2 napm compare 1
check_text "with the remedy" 'nothing to compare it with; name more runs' "$work/err"
check_status "an unknown key is refused" 2 napm compare --by colour
check_text "naming those there are" '"colour" is nothing to group by; there are partitioner' "$work/err"

# ---- killed and taken up again ----
sed 's/name = "grid"/name = "killed"/; s/repeat = 3/repeat = 6/' grid.cfg >killed.cfg
before=$(runs 1)
setsid "$top_builddir/run-in-tree" core/cli/napm sweep killed.cfg --jobs 1 >/dev/null 2>&1 &
sweep=$!
for _ in $(seq 600); do
    [ "$(runs "sweep = 3 AND status = 'done'")" -ge 3 ] && break
    sleep 0.05
done
kill -KILL -- "-$sweep" 2>/dev/null
wait "$sweep" 2>/dev/null
check "a killed sweep has runs done" [ "$(runs "sweep = 3 AND status = 'done'")" -ge 3 ]
check "and some left" [ "$(runs "sweep = 3 AND status = 'done'")" -lt 24 ]
sleep 1 # workers that outlived it end by themselves
check "the same command goes on" napm sweep killed.cfg
check_text "and says so" 'sweep 3 goes on: [0-9]+ of 24 points are left' "$work/err"
check "each point is done once, none twice" [ "$(sqlite3 "$NAPM_DB" \
    "SELECT count(*) || ' ' || count(DISTINCT point) FROM run WHERE sweep = 3 AND status = 'done'")" = "24 24" ]
check "no run was lost meanwhile" [ "$(runs 1)" -ge $((before + 24)) ]

# ---- points that measure at the same time ----
cat >real.cfg <<'END'
nodes = ( { name = "station"; role = "station"; }, { name = "pi"; } );
links = ( { from = "pi"; rate = "50Mbit"; } );
streams = ( { device = "pi"; model = "tiny.onnx"; tasks = 2; arrivals = { plugin = "periodic"; period = "1ms"; }; } );
partitioner = { plugin = "device-only"; };
backend = { plugin = "reference"; };
scheduler = { plugin = "fifo"; };
profile = { repeats = 200; };
END
printf 'scenario = "real.cfg"; repeat = 4;\n' >measured.cfg
check "points that measure, four at a time" env NAPM_DB="$work/measured.db" \
    "$top_builddir/run-in-tree" core/cli/napm sweep measured.cfg --jobs 4
check "measure each profile once" [ "$(sqlite3 measured.db \
    'SELECT count(*) > 0 AND count(*) = count(DISTINCT key) FROM profile')" = 1 ]

# ---- points that fail ----
cat >failing.cfg <<'END'
scenario = "base.cfg";
set = ("world=sim");
grid = ( { path = "partitioner.plugin"; values = ("station-only", "no-such-plugin", "device-only"); } );
END
check_status "a sweep with a bad point ends with 1" 1 napm sweep failing.cfg
check_text "names the point and its cause" 'point 2 \(partitioner=no-such-plugin\) failed: .*no-such-plugin' "$work/out"
check_text "and did the rest" '2 of 3 points done, 1 failed, 0 left' "$work/out"
check_status "failed points are not tried again by themselves" 1 napm sweep failing.cfg
check_text "but remembered" '2 of 3 points done, 1 failed, 0 left' "$work/out"

# ---- mistakes in the file ----
bad() { # NAME TEXT PATTERN
    printf '%s\n' "$2" >bad.cfg
    check_status "$1" 2 napm sweep bad.cfg
    check_text "$1: says what and where" "$3" "$work/err"
}
bad "a sweep without a scenario" 'repeat = 2;' 'bad.cfg: which scenario'
bad "an unknown key" 'scenario = "base.cfg"; repaet = 2;' "bad.cfg:1: .*repaet.*repeat"
bad "a scenario that does not exist" 'scenario = "none.cfg";' 'none.cfg'
bad "a setting without a value" 'scenario = "base.cfg"; set = ("world");' 'bad.cfg:1: set: "world" is not PATH=VALUE'
bad "an axis without values" 'scenario = "base.cfg"; grid = ( { path = "seed"; } );' 'bad.cfg:1: an axis needs a path and a list'
bad "paths that change together, with too few values" \
    'scenario = "base.cfg"; grid = ( { path = ("seed", "name"); values = (1); } );' 'bad.cfg:1: each value must be a list of 2'
bad "two variants of one name" 'scenario = "base.cfg"; variants = ( { name = "a"; }, { name = "a"; } );' 'two variants called "a"'
bad "too many points" 'scenario = "base.cfg"; grid = ( { path = "seed"; values = (1, 2, 3); } ); repeat = 999999;' 'more than 1000000 points'
done_testing
