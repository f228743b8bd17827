/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The models of bench_sim.c on ns-3's core: plain event scheduling, nothing of its networks. One event for the start of a
 * task, for the end of computing, and for the arrival of a frame. Usage: bench_sim_ns3 tandem|shared N; prints customers
 * a second and the mean delay in ms.
 */
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <vector>

#include <ns3/core-module.h>

using namespace ns3;

static std::mt19937_64 bits(1);
static double sum_ns;
static uint64_t ended;

static double exponential(double mean_ns)
{
    return std::exponential_distribution<double>(1 / mean_ns)(bits);
}

static int64_t now_ns()
{
    return Simulator::Now().GetNanoSeconds();
}

struct Task
{
    int64_t started_ns;
    uint32_t device;
};

/* A server, first come, first served. */
class Server
{
  public:
    Server(double mean_ns, bool random, void (*next)(Task)) : m_mean_ns(mean_ns), m_random(random), m_next(next)
    {
    }

    void Arrive(Task task)
    {
        m_queue.push_back(task);
        if (m_queue.size() == 1)
            Begin();
    }

  private:
    void Begin()
    {
        double ns = m_random ? exponential(m_mean_ns) : m_mean_ns;
        Simulator::Schedule(NanoSeconds(int64_t(ns)), &Server::End, this);
    }

    void End()
    {
        Task task = m_queue.front();
        m_queue.pop_front();
        if (!m_queue.empty())
            Begin();
        m_next(task);
    }

    std::deque<Task> m_queue;
    double m_mean_ns;
    bool m_random;
    void (*m_next)(Task);
};

static void leave(Task task)
{
    sum_ns += double(now_ns() - task.started_ns);
    ended++;
}

/* A link: when a frame arrives is known when it is sent. */
struct Link
{
    int64_t free_ns = 0;

    void Send(Task task, int64_t air_ns, void (*arrive)(Task))
    {
        free_ns = (free_ns > now_ns() ? free_ns : now_ns()) + air_ns;
        Simulator::Schedule(NanoSeconds(free_ns + 2000000 - now_ns()), arrive, task);
    }
};

static Server *station;
static std::vector<Server> servers;
static std::vector<Link> ups, downs;

static void at_station(Task task)
{
    station->Arrive(task);
}

static void send_down(Task task)
{
    downs[task.device].Send(task, 400000, leave);
}

static void send_up(Task task)
{
    ups[task.device].Send(task, 8000000, at_station);
}

static void start(uint32_t device, uint64_t left, double interval_ns)
{
    servers[device].Arrive(Task{now_ns(), device});
    if (left > 1)
        Simulator::Schedule(NanoSeconds(int64_t(exponential(interval_ns))), start, device, left - 1, interval_ns);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    bool tandem = std::strcmp(argv[1], "tandem") == 0;
    uint64_t customers = std::strtoull(argv[2], nullptr, 10);
    uint32_t devices = tandem ? 1 : 1000;
    double interval_ns = tandem ? 1e6 : devices * 1e5;
    station = new Server(tandem ? 600000 : 80000, tandem, tandem ? leave : send_down);
    for (uint32_t i = 0; i < devices; i++)
    {
        servers.emplace_back(tandem ? 800000 : 400000, tandem, tandem ? at_station : send_up);
        ups.emplace_back();
        downs.emplace_back();
    }
    for (uint32_t i = 0; i < devices; i++)
        Simulator::Schedule(NanoSeconds(int64_t(exponential(interval_ns))), start, i, customers / devices, interval_ns);
    auto began = std::chrono::steady_clock::now();
    Simulator::Run();
    double took_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    Simulator::Destroy();
    std::printf("%.0f %.6f\n", double(ended) / took_s, sum_ns / double(ended) / 1e6);
}
