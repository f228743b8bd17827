# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A sweep as a job array of a real Slurm, brought up on this host with a configuration and state of its own.
# shellcheck source=tests/tap.sh
. "$top_srcdir/tests/tap.sh"
# shellcheck source=tests/sweep/grid.sh
. "$top_srcdir/tests/sweep/grid.sh"

skip_all() { echo "1..0 # SKIP $1"; exit 0; }
for program in munged slurmctld slurmd sbatch squeue scancel sqlite3; do
    PATH=$PATH:/usr/sbin command -v "$program" >/dev/null ||
        skip_all "$program is not installed (Debian: munge slurmctld slurmd slurm-client sqlite3)"
done
PATH=$PATH:/usr/sbin
[ "$(id -u)" = 0 ] || skip_all "slurmd starts jobs only as root"
cd "$work" || exit 1

# ---- a cluster of two nodes ----
end_cluster() {
    local file
    scancel --name="${1:-}" 2>/dev/null
    for file in slurmd-n1.pid slurmd-n2.pid slurmctld.pid munge/pid; do
        if [ -s "$work/cluster/$file" ]; then kill "$(cat "$work/cluster/$file")" 2>/dev/null; fi
    done
    for _ in $(seq 50); do
        [ -e "$work/cluster/slurmctld.pid" ] || break
        sleep 0.1
    done
    rm -rf "$work"
}

host=$(hostname) port=$((21000 + $$ % 20000))
chmod 755 "$work" # munge's socket is for everybody
mkdir -p cluster/munge cluster/state
dd if=/dev/urandom of=cluster/munge/key bs=128 count=1 status=none
chmod 400 cluster/munge/key
cat >cluster/slurm.conf <<CONF
ClusterName=napm
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/cluster/munge/socket
CredType=cred/munge
StateSaveLocation=$work/cluster/state
SlurmdSpoolDir=$work/cluster/spool-%n
SlurmctldPidFile=$work/cluster/slurmctld.pid
SlurmdPidFile=$work/cluster/slurmd-%n.pid
SlurmctldLogFile=$work/cluster/slurmctld.log
SlurmdLogFile=$work/cluster/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
KillWait=5
SlurmdParameters=config_overrides
NodeName=n[1-2] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + 2))] CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$work/cluster/slurm.conf
trap end_cluster EXIT
{
    munged --key-file=cluster/munge/key --socket="$work/cluster/munge/socket" --pid-file="$work/cluster/munge/pid" \
        --log-file="$work/cluster/munge/log" --seed-file="$work/cluster/munge/seed" &&
        slurmctld && slurmd -N n1 && slurmd -N n2
} >cluster/said 2>&1 || skip_all "Slurm does not start here: $(tail -n 1 cluster/said)"
for _ in $(seq 100); do
    timeout 5 sinfo --noheader --states=idle --format=%D 2>/dev/null | grep -q 2 && break
    sleep 0.1
done
timeout 5 sinfo --noheader --states=idle --format=%D 2>/dev/null | grep -q 2 ||
    skip_all "Slurm's nodes do not come up here: $(grep -h error: cluster/*.log | tail -n 1)"

# ---- what is swept ----
write_grid
# Points that take two seconds each, as they run in real time.
cat >real.cfg <<'END_OF_FILE'
name = "real";
nodes = ( { name = "station"; role = "station"; }, { name = "pi"; } );
links = ( { from = "pi"; rate = "50Mbit"; } );
streams = ( { device = "pi"; model = "tiny.onnx"; tasks = 100; arrivals = { plugin = "periodic"; period = "20ms"; }; } );
partitioner = { plugin = "device-only"; };
backend = { plugin = "reference"; };
scheduler = { plugin = "fifo"; };
run = { time_limit = "60s"; };
END_OF_FILE
slow() { printf 'name = "%s"; scenario = "real.cfg"; repeat = %s;\n' "$1" "$2" >"$1.cfg"; }
runs() { sqlite3 -cmd '.timeout 10000' "$NAPM_DB" "SELECT count(*) FROM run WHERE $1"; }
jobs() { squeue --noheader --array --states="$1" | wc -l; }
until_true() { # COMMAND...
    for _ in $(seq 200); do
        "$@" && return
        sleep 0.1
    done
    return 1
}
# begin SWEEP TASKS: carried out in the background, until so many of its array tasks run a point.
begin() {
    setsid "$top_builddir/run-in-tree" core/cli/napm sweep "$1.cfg" --engine slurm --jobs "$2" >"$1.out" 2>"$1.err" &
    command=$!
    until_true running "$2"
    sleep 0.7
}
running() { [ "$(jobs RUNNING)" -ge "$1" ]; }
idle() { [ "$(jobs PENDING,RUNNING,COMPLETING)" = 0 ]; }
# done_once SWEEP POINTS RUNS: that many points are done, each by one run, and that many runs were begun in all.
done_once() {
    [ "$(sqlite3 "$NAPM_DB" "SELECT sum(status = 'done') || ' ' || count(DISTINCT CASE status WHEN 'done' THEN point END)
        || ' ' || count(*) FROM run WHERE sweep = $1")" = "$2 $2 $3" ]
}

# ---- from beginning to end ----
check "a sweep runs as a job array" napm sweep grid.cfg --engine slurm --jobs 5 --format csv
check_text "it says what it submitted" 'submitted 12 points to Slurm as 5 array tasks' "$work/err"
cp out slurm.csv
check "each point is done once" [ "$(sqlite3 "$NAPM_DB" \
    "SELECT count(*) || ' ' || count(DISTINCT point) FROM run WHERE status = 'done' AND sweep = 1")" = "12 12" ]
check "what was merged refers to what is there" [ -z "$(sqlite3 "$NAPM_DB" 'PRAGMA foreign_key_check')" ]
check "the ledger names the engine" [ "$(sqlite3 "$NAPM_DB" "SELECT engine FROM sweep")" = slurm ]
check "no part is left" [ -z "$(find napm.db.parts/ -type f)" ]
check "the same command has nothing left to do" napm sweep grid.cfg
check "and runs nothing twice" [ "$(runs 1)" = 12 ]
check "the same sweep on this machine" env NAPM_DB="$work/local.db" \
    "$top_builddir/run-in-tree" core/cli/napm sweep grid.cfg --format csv
cp out local.csv
check "gives the same values" cmp local.csv slurm.csv

# ---- options of sbatch ----
check_status "options go to sbatch as they are" 1 napm sweep grid.cfg --again --engine slurm \
    --slurm-option='--partition=none; touch hacked'
check_text "whose refusal is shown" 'sbatch failed:.*invalid partition' "$work/err"
check "and no shell reads them" [ ! -e hacked ]
mkdir -p 'elsewhere $(touch hacked) %j'
check "parts can lie elsewhere, under any name" napm sweep grid.cfg --engine slurm --jobs 2 \
    --parts 'elsewhere $(touch hacked) %j' --slurm-option=--partition=main --slurm-option=--comment='$(touch hacked)'
check "and still no shell reads it" [ ! -e hacked ]
check "all its points are done" [ "$(runs "sweep = 2 AND status = 'done'")" = 12 ]

# ---- an array task is killed ----
slow lost 4
begin lost 4
scancel "$(squeue --noheader --array --format=%F_%K | sort | tail -n 1)"
wait "$command"
check "a sweep that lost an array task ends with 1" [ $? = 1 ]
check_text "its point failed, with the cause" 'failed: array task 3 of Slurm ended without it, CANCELLED' lost.out
check_text "the others are done" '3 of 4 points done, 1 failed, 0 left' lost.out
check "it can be tried again" napm sweep lost.cfg --retry-failed
check "only that point was" done_once 3 4 5

# ---- Ctrl-C ----
slow stopped 6
begin stopped 3
kill -INT "$command"
wait "$command"
check "a sweep that was stopped ends with 1" [ $? = 1 ]
check "nothing of it is left in Slurm" idle
check "its runs were cut short in order" [ "$(runs "sweep = 4 AND status = 'stopped'")" -ge 1 ]
check "the same command goes on" napm sweep stopped.cfg
check "each point is done by one run" [ "$(runs "sweep = 4 AND status = 'done'")" = 6 ]

# ---- the submitting command is killed ----
slow killed 8
begin killed 4
kill -KILL "$command"
wait "$command" 2>/dev/null
check "array tasks outlive the command" running 1
until_true idle
round=$(echo napm.db.parts/sweep-5-*/round-*)
dd if=/dev/urandom of="$round/task-1.db" bs=4096 seek=1 count=8 conv=notrunc status=none
cp -r "$round" saved
check "the same command merges what they did, and goes on" napm sweep killed.cfg
check_text "a damaged part is refused by name" 'part .*/task-1.db: .*kept as .*/task-1.db.refused' err
check_text "and only its points are run again" 'goes on: 2 of 8 points are left' err
check "nothing was lost or run twice" done_once 5 8 8
rm saved/task-1.db
mv saved "$round-again"
check "parts that were merged already" napm sweep killed.cfg
check "are not merged twice" done_once 5 8 8
done_testing
