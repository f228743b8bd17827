# SPDX-License-Identifier: Apache-2.0
"""Enumerates the device/edge/cloud pipelines of a chain the way that Scission (Lockhart and others, 2020) does.

Not its code, but its procedure: every pipeline is an object; the time of each of its three parts is summed layer by layer
with the layers listed; its description is a text; then the transfers of each are added and the five fastest kept. Reads
files of bench_enumerate.c and prints "LAYERS PIPELINES SECONDS BEST_NS" for each. What the cloud gets from the device
passes the edge, as in the tree of links that a scenario has.
"""
import sys
import time

KEPT = 5
LEAST_S = 0.1  # small chains are enumerated again until so much time has passed; the fastest counts


class Pipeline:
    def __init__(self):
        self.blocks = [(-1, -1)] * 3
        self.layers = [None] * 3
        self.compute_ns = 0
        self.text = ""


def part(times, first, end):
    total, layers = 0, []
    for layer in range(first, end):
        total += times[layer]
        layers.append((layer, layer, times[layer]))
    return total, layers


def enumerate_pipelines(count, times):
    pipelines = []
    for first in range(count + 1):
        for second in range(first, count + 1):
            pipeline = Pipeline()
            for place, (begin, end) in enumerate(((0, first), (first, second), (second, count))):
                if begin < end:
                    total, pipeline.layers[place] = part(times[place], begin, end)
                    pipeline.compute_ns += total
                    pipeline.blocks[place] = (begin, end - 1)
            pipeline.text = " ".join(
                f"{name}({block[0]} - {block[1]})" for name, block in zip(("Device", "Edge", "Cloud"), pipeline.blocks))
            pipelines.append((first, second, pipeline))
    return pipelines


def transfer_ns(first, second, count, sizes, links):
    total = 0
    for border, (rate, delay) in zip((first, second), links):
        if border < count:
            total += delay + sizes[border] * 1e9 / rate
    return total


def fastest(pipelines, count, sizes, links):
    best = [None] * KEPT
    for first, second, pipeline in pipelines:
        total = pipeline.compute_ns + transfer_ns(first, second, count, sizes, links)
        for place, other in enumerate(best):
            if other is None or other[0] > total:
                best.insert(place, (total, f"{round(total, 4)} ns - {pipeline.text}"))
                del best[KEPT:]
                break
    return best


def main():
    for path in sys.argv[1:]:
        with open(path, encoding="ascii") as file:
            rows = [line.split() for line in file]
        count = int(rows[0][0])
        times = [[int(word) for word in row] for row in rows[1:4]]
        sizes = [int(word) for word in rows[4]]
        links = [(float(rate), int(delay)) for rate, delay in rows[5:7]]
        spent, least = 0, float("inf")
        while spent < LEAST_S:
            began = time.perf_counter()
            pipelines = enumerate_pipelines(count, times)
            best = fastest(pipelines, count, sizes, links)
            took = time.perf_counter() - began
            spent, least = spent + took, min(least, took)
        print(count, len(pipelines), f"{least:.6f}", f"{best[0][0]:.0f}", flush=True)


main()
