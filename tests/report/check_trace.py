# SPDX-License-Identifier: Apache-2.0
"""A trace is what the viewers ask for: check_trace.py TRACE TASKS [--way NODE]

Slices of one thread do not overlap, every arrow begins, goes on and ends within slices, every process and thread with
slices has a name, and the phases of every task add up to its delay in TASKS (tasks.csv of the same run). With --way, a run in virtual time (so without
samples): tasks pass NODE, which computes for others and carries their results down."""
import collections
import csv
import json
import sys

trace = json.load(open(sys.argv[1], encoding="utf-8"))
tasks = [row for row in csv.DictReader(open(sys.argv[2], newline="", encoding="utf-8")) if row["status"] == "ok"]
events = trace["traceEvents"]
names = {(event["name"], event["pid"], event["tid"]) for event in events if event["ph"] == "M"}
threads = collections.defaultdict(list)
spent = collections.Counter()
for event in events:
    if event["ph"] == "X":
        assert event["dur"] > 0
        assert ("process_name", event["pid"], 0) in names and ("thread_name", event["pid"], event["tid"]) in names, event
        threads[event["pid"], event["tid"]].append((round(event["ts"] * 1000), round(event["dur"] * 1000)))
        spent[event["name"]] += round(event["dur"] * 1000)
for slices in threads.values():
    slices.sort()
    for (begin, length), (later, _) in zip(slices, slices[1:]):
        assert begin + length <= later, "slices of one thread overlap"
flows = collections.defaultdict(list)
for event in events:
    if event["ph"] in "stf":
        flows[event["id"]].append((event["ts"], event["ph"]))
        at = round(event["ts"] * 1000)
        assert any(begin <= at <= begin + length for begin, length in threads[event["pid"], event["tid"]]), event
for steps in flows.values():
    kinds = "".join(kind for _, kind in sorted(steps))
    assert kinds[0] == "s" and kinds[-1] == "f" and set(kinds[1:-1]) <= {"t"}, kinds
phases = ["local_ns", "transmit_ns", "queue_ns", "remote_ns", "return_ns"]
moved = [task for task in tasks if sum(int(task[phase]) > 0 for phase in phases) > 1]  # others stay where they are
assert len(flows) == len(moved), (len(flows), len(moved))
for task in tasks:
    name = f"{task['stream']} #{task['task']}"
    assert spent[name] == int(task["delay_ns"]), (name, spent[name], task["delay_ns"])
way = sys.argv[4] if len(sys.argv) > 4 else None
assert way or any(event["ph"] == "C" for event in events), "no samples"
lanes = {(event["pid"], event["tid"]): event["args"]["name"] for event in events if event["name"] in ("process_name", "thread_name")}
seen = {(lanes[event["pid"], 0], lanes[event["pid"], event["tid"]].rstrip(" 0123456789")) for event in events if event["ph"] == "X"}
if way:
    assert {(way, "computing for others"), (f"{way}: link", "up"), (f"{way}: link", "down")} <= seen, seen
