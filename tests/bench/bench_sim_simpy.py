# SPDX-License-Identifier: Apache-2.0
"""The models of bench_sim.c in SimPy 2, which is Debian's python3-simpy.

Usage: bench_sim_simpy.py tandem|shared N; prints customers a second and the mean delay in ms.
"""
import random
import sys
import time

from SimPy.Simulation import Process, Resource, Simulation, hold, release, request

delays = []


class Tandem(Process):
    def go(self, first, second):
        started = self.sim.now()
        for server, mean in ((first, 0.8), (second, 0.6)):
            yield request, self, server
            yield hold, self, random.expovariate(1 / mean)
            yield release, self, server
        delays.append(self.sim.now() - started)


class Shared(Process):
    def go(self, device, up, down, station):
        started = self.sim.now()
        for server, takes, then in ((device, 0.4, 0), (up, 8.0, 2.0), (station, 0.08, 0), (down, 0.4, 2.0)):
            yield request, self, server
            yield hold, self, takes
            yield release, self, server
            if then:
                yield hold, self, then
        delays.append(self.sim.now() - started)


class Source(Process):
    def go(self, kind, servers, customers, interval):
        for _ in range(customers):
            yield hold, self, random.expovariate(1 / interval)
            customer = kind(sim=self.sim)
            self.sim.activate(customer, customer.go(*servers))


def main():
    model, customers = sys.argv[1], int(sys.argv[2])
    devices = 1 if model == "tandem" else 1000
    random.seed(1)
    simulation = Simulation()
    simulation.initialize()

    def server():
        return Resource(capacity=1, sim=simulation)

    station = server()
    for _ in range(devices):
        source = Source(sim=simulation)
        servers = (server(), station) if model == "tandem" else (server(), server(), server(), station)
        go = source.go(Tandem if model == "tandem" else Shared, servers, customers // devices,
                       1.0 if model == "tandem" else devices * 0.1)
        simulation.activate(source, go)
    began = time.perf_counter()
    simulation.simulate(until=1e12)
    took = time.perf_counter() - began
    print(f"{len(delays) / took:.0f} {sum(delays) / len(delays):.6f}")


main()
