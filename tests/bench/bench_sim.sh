#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tasks in virtual time beside SimPy (Debian: python3-simpy) and the core of ns-3 (libns3-dev, libgsl-dev), in turns on one
# and the same processor, as two of one machine need not be equally fast at a time: medians of the passes, and the median
# of the ratios within a pass. What is not installed is said to be absent.
set -u
: "${top_srcdir:?set by the test environment}" "${top_builddir:?}"
bench=$top_builddir/tests/bench/bench_sim
here=$top_srcdir/tests/bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
processor=$(taskset -cp $$ | sed 's/.*: *//; s/[-,].*//') # the first of those that this process may use

"$bench" || exit 1

simpy=''
/usr/bin/python3 -c 'import SimPy.Simulation' 2>/dev/null && simpy=yes
ns3=''
# shellcheck disable=SC2046
if pkg-config --exists ns3-core 2>/dev/null; then
    ${CXX:-g++} -O2 -o "$work/ns3" "$here/bench_sim_ns3.cc" $(pkg-config --cflags --libs ns3-core) 2>"$work/log" && ns3=$work/ns3
fi

median() { # of the numbers on standard input
    sort -g | awk '{ all[NR] = $1 } END { print NR % 2 ? all[(NR + 1) / 2] : (all[NR / 2] + all[NR / 2 + 1]) / 2 }'
}

here_too() { # the command, on the processor that all passes run on
    taskset -c "$processor" "$@"
}

row() { # name, file of "customers/s mean" lines, events a customer, file of ours
    local rate mean ratio
    if [ ! -s "$2" ]; then
        printf '  %-10s absent\n' "$1"
        return
    fi
    rate=$(cut -d ' ' -f 1 "$2" | median)
    mean=$(head -n 1 "$2" | cut -d ' ' -f 2)
    ratio=$(paste -d ' ' "$4" "$2" | awk 'NF == 4 { print $1 / $3 }' | median)
    awk -v name="$1" -v rate="$rate" -v mean="$mean" -v events="$3" -v ratio="$ratio" 'BEGIN {
        printf "  %-10s %12.0f %12.2f %10.3f %9.2f\n", name, rate, rate * events / 1e6, mean, ratio }'
}

compare() { # model, events a customer, customers of ours, of SimPy, of ns-3
    local pass
    for pass in 1 2 3 4 5; do
        here_too "$bench" "$1" "$3" >>"$work/$1.napm"
        [ -n "$ns3" ] && here_too "$ns3" "$1" "$5" >>"$work/$1.ns3"
        [ -n "$simpy" ] && [ "$pass" -eq 1 ] && here_too /usr/bin/python3 "$here/bench_sim_simpy.py" "$1" "$4" >>"$work/$1.simpy"
    done
    printf '%s, %s events a customer\n' "$1" "$2"
    printf '  %-10s %12s %12s %10s %9s\n' '' 'customers/s' 'M events/s' 'mean, ms' 'napm is x'
    row napm "$work/$1.napm" "$2" "$work/$1.napm"
    row ns-3 "$work/$1.ns3" "$2" "$work/$1.napm"
    row SimPy "$work/$1.simpy" "$2" "$work/$1.napm"
}

printf '\nthe same models beside others\n'
compare tandem 3 3000000 100000 1000000
compare shared 5 1000000 50000 500000
