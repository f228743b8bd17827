/* SPDX-License-Identifier: Apache-2.0 */
/* How near the user-space link shaping comes to what was asked for, through the world's own probe. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/world/world_trial.h"

enum { ROUNDS = 3 };

static const char scenario_format[] =
    "name = \"links\"; backend = { plugin = \"reference\"; };\n"
    "partitioner = { plugin = \"device-only\"; }; scheduler = { plugin = \"fifo\"; };\n"
    "nodes = ( { name = \"station\"; role = \"station\"; }, { name = \"pi\"; } );\n"
    "links = ( { from = \"pi\"; rate = \"%s\"; delay = \"%s\"; } );\n"
    "streams = ( { device = \"pi\"; model = \"model.onnx\"; tasks = 1;\n"
    "  arrivals = { plugin = \"periodic\"; period = \"10ms\"; }; } );\n";

static void print_row(const char *rate, const struct link_report *report)
{
    double error_percent = 100 * (report->achieved_bytes_per_s / report->requested_bytes_per_s - 1);
    double delay_error_us = (double)(report->achieved_delay_ns - report->requested_delay_ns) / 1e3;
    printf("%8s %-4s %10.3f %10.3f %+7.2f%% | %9.3f %9.3f %+8.1f us   %s\n", rate,
           report->direction == LINK_UP ? "up" : "down", report->requested_bytes_per_s * 8e-6,
           report->achieved_bytes_per_s * 8e-6, error_percent, (double)report->requested_delay_ns / 1e6,
           (double)report->achieved_delay_ns / 1e6, delay_error_us,
           fabs(error_percent) <= 2 && fabs(delay_error_us) <= 500 ? "ok" : "MISSED");
    fflush(stdout);
}

int main(void)
{
    static const struct {
        const char *rate, *delay;
    } cases[] = {{"1Mbit", "10ms"},  {"5Mbit", "2ms"},   {"20Mbit", "2ms"},   {"50Mbit", "5ms"},
                 {"100Mbit", "1ms"}, {"200Mbit", "1ms"}, {"500Mbit", "0.2ms"}};
    printf("    link      Mbit/s:    asked   achieved   error | delay ms:  asked  achieved    error\n");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct trial trial;
        struct error error = {0};
        struct link_report report[2];
        char text[2048];
        snprintf(text, sizeof(text), scenario_format, cases[i].rate, cases[i].delay);
        trial_make(&trial, "tiny-cnn", text);
        int status = trial_open(&trial, &error);
        for (int round = 0; round < ROUNDS && status == 0; round++) {
            status = trial.kind->probe(trial.world, 0, report, &error);
            if (status == 0) {
                print_row(cases[i].rate, &report[LINK_UP]);
                print_row(cases[i].rate, &report[LINK_DOWN]);
            }
        }
        if (status) {
            fprintf(stderr, "bench_link: %s\n", error.text);
            return 1;
        }
        trial_end(&trial);
    }
    return 0;
}
