#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tasks in virtual time beside SimPy (Debian: python3-simpy) and the core of ns-3 (libns3-dev, libgsl-dev), interleaved in
# one run on one core each: the best of three. What is not installed is said to be absent.
set -u
: "${top_srcdir:?set by the test environment}" "${top_builddir:?}"
bench=$top_builddir/tests/bench/bench_sim
here=$top_srcdir/tests/bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$bench" || exit 1

simpy=''
/usr/bin/python3 -c 'import SimPy.Simulation' 2>/dev/null && simpy=yes
ns3=''
# shellcheck disable=SC2046
if pkg-config --exists ns3-core 2>/dev/null; then
    ${CXX:-g++} -O2 -o "$work/ns3" "$here/bench_sim_ns3.cc" $(pkg-config --cflags --libs ns3-core) 2>"$work/log" && ns3=$work/ns3
fi

best() { # customers a second: the greatest of the lines of a file
    sort -g "$1" | tail -n 1
}

row() { # name, file, events a customer, ours
    local line rate mean
    if [ ! -s "$2" ]; then
        printf '  %-10s absent\n' "$1"
        return
    fi
    line=$(best "$2")
    rate=${line% *} mean=${line#* }
    awk -v name="$1" -v rate="$rate" -v mean="$mean" -v events="$3" -v ours="$4" 'BEGIN {
        printf "  %-10s %12.0f %12.2f %10.3f %9.1f\n", name, rate, rate * events / 1e6, mean, ours / rate }'
}

compare() { # model, events a customer, customers of ours, of SimPy, of ns-3
    local pass ours
    for pass in 1 2 3; do
        "$bench" "$1" "$3" >>"$work/$1.napm"
        [ -n "$ns3" ] && "$ns3" "$1" "$5" >>"$work/$1.ns3"
        [ -n "$simpy" ] && [ "$pass" -eq 1 ] && /usr/bin/python3 "$here/bench_sim_simpy.py" "$1" "$4" >>"$work/$1.simpy"
    done
    ours=$(best "$work/$1.napm")
    printf '%s, %s events a customer\n' "$1" "$2"
    printf '  %-10s %12s %12s %10s %9s\n' '' 'customers/s' 'M events/s' 'mean, ms' 'napm is x'
    row napm "$work/$1.napm" "$2" "${ours% *}"
    row ns-3 "$work/$1.ns3" "$2" "${ours% *}"
    row SimPy "$work/$1.simpy" "$2" "${ours% *}"
}

printf '\nthe same models beside others\n'
compare tandem 3 3000000 100000 1000000
compare shared 5 1000000 50000 500000
