/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A document for gnuplot: data files of numbers, and a script that draws them. Names stand in the data only, never in the
 * script, and without what gnuplot would read as more than a name.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/report/parts.h"
#include "core/world/world.h"

static double ms(const json_t *ns)
{
    return json_number_value(ns) / NS_PER_MS;
}

static void put_name(FILE *file, const char *name)
{
    fputc('"', file);
    for (const char *at = name ? name : ""; *at; at++)
        fputc(*at == '"' || *at == '\\' || (unsigned char)*at < ' ' ? '\'' : *at, file);
    fputc('"', file);
}

/* ---- one run ---- */

/* Blocks are parted by two empty lines. */
static void put_quantiles(FILE *file, const char *separator, const char *name, const json_t *distribution)
{
    const json_t *quantiles = json_object_get(distribution, "quantiles_ns"), *delay;
    const json_t *delays = json_object_get(distribution, "delays_ns");
    const double each = (double)json_array_size(delays);
    size_t i, last = json_array_size(quantiles);
    if (last == 0)
        return;
    fputs(separator, file);
    put_name(file, name);
    fputc('\n', file);
    if (each > 0) /* few: both corners of each one's step */
        json_array_foreach(delays, i, delay)
            fprintf(file, "%.6f %.4f\n%.6f %.4f\n", ms(delay), (double)i / each, ms(delay), (double)(i + 1) / each);
    else
        json_array_foreach(quantiles, i, delay) fprintf(file, "%.6f %.4f\n", ms(delay), (double)i / (double)(last - 1));
}

/* A block for all tasks, then one for each stream. */
static void put_delays(FILE *file, const json_t *run)
{
    const json_t *distributions = json_object_get(json_object_get(run, "detail"), "distributions"), *stream;
    size_t i;
    fputs("# delay in ms, share of the tasks that took no longer\n", file);
    put_quantiles(file, "", "all", json_object_get(distributions, "all"));
    json_array_foreach(json_object_get(distributions, "streams"), i, stream)
        put_quantiles(file, "\n\n", json_string_value(json_object_get(stream, "stream")), stream);
}

static void put_phases(FILE *file, const json_t *run)
{
    const json_t *stream;
    size_t i;
    fputs("stream", file);
    for (int phase = 0; phase < PHASE_COUNT; phase++)
        fprintf(file, " %s predicted_%s", phase_names[phase], phase_names[phase]);
    fputc('\n', file);
    json_array_foreach(json_object_get(run, "streams"), i, stream)
    {
        put_name(file, json_string_value(json_object_get(stream, "stream")));
        for (int phase = 0; phase < PHASE_COUNT; phase++) {
            char measured[32], predicted[48];
            snprintf(measured, sizeof(measured), "%s_ns", phase_names[phase]);
            snprintf(predicted, sizeof(predicted), "predicted_%s", measured);
            fprintf(file, " %.6f %.6f", ms(json_object_get(stream, measured)), ms(json_object_get(stream, predicted)));
        }
        fputc('\n', file);
    }
}

static void put_activity(FILE *file, const json_t *run)
{
    const json_t *activity = json_object_get(json_object_get(run, "detail"), "activity");
    const json_t *tasks = json_object_get(activity, "tasks");
    double bin_s = json_number_value(json_object_get(activity, "bin_ns")) / NS_PER_S;
    size_t bins = json_array_size(json_object_get(tasks, phase_names[0]));
    fputs("s", file);
    for (int phase = 0; phase < PHASE_COUNT; phase++)
        fprintf(file, " %s", phase_names[phase]);
    fputc('\n', file);
    for (size_t bin = 0; bin < bins; bin++) {
        fprintf(file, "%.9g", ((double)bin + 0.5) * bin_s);
        for (int phase = 0; phase < PHASE_COUNT; phase++)
            fprintf(file, " %.6g", json_number_value(json_array_get(json_object_get(tasks, phase_names[phase]), bin)));
        fputc('\n', file);
    }
}

/* ---- several runs ---- */

/* The combinations of settings, one a row: their values, then mean, low and high of the delay. */
static void put_points(FILE *file, const json_t *document)
{
    const json_t *point, *parameter;
    size_t i, j;
    fputs("# settings; mean delay in ms, its 95 % interval (both ends the mean where a point has one run), runs\n",
          file);
    json_array_foreach(json_object_get(document, "points"), i, point)
    {
        const json_t *delay = json_object_get(json_object_get(point, "metrics"), "mean_delay_ns");
        const json_t *mean = json_object_get(delay, "mean"), *low = json_object_get(delay, "low");
        if (!json_is_number(mean))
            continue;
        char text[512] = "";
        json_array_foreach(json_object_get(document, "parameters"), j, parameter)
        {
            const char *name = json_string_value(json_object_get(parameter, "name"));
            const char *value = json_string_value(json_object_get(json_object_get(point, "settings"), name));
            size_t length = strlen(text);
            snprintf(text + length, sizeof(text) - length, "%s%s", length ? ", " : "", value ? value : "");
        }
        put_name(file, *text ? text : "all runs");
        bool has_interval = json_is_number(low);
        fprintf(file, " %.6f %.6f %.6f %lld\n", ms(mean), ms(has_interval ? low : mean),
                ms(has_interval ? json_object_get(delay, "high") : mean),
                (long long)json_integer_value(json_object_get(delay, "runs")));
    }
}

/* ---- the script ---- */

static const char script_head[] =
    "# Draws what `napm export --format gnuplot` wrote beside it: gnuplot plot.gp\n"
    "# For paper sizes, other formats and fonts change the next line (pngcairo, pdfcairo, cairolatex ...).\n"
    "set terminal svg size 900,540 noenhanced background \"white\"\n"
    "set linetype 1 lc rgb \"#0072b2\" lw 2\nset linetype 2 lc rgb \"#e69f00\" lw 2\n"
    "set linetype 3 lc rgb \"#cc79a7\" lw 2\nset linetype 4 lc rgb \"#009e73\" lw 2\n"
    "set linetype 5 lc rgb \"#56b4e9\" lw 2\nset linetype 6 lc rgb \"#d55e00\" lw 2\n"
    "set grid\n";

static const char script_run[] =
    "\nstats \"delays.dat\" using 1 nooutput\n"
    "set output \"delays.svg\"\nset xlabel \"delay (ms)\"\nset ylabel \"share of tasks\"\nset yrange [0:1]\n"
    "set key bottom right\n"
    "plot for [i=0:STATS_blocks-1] \"delays.dat\" index i using 1:2 with lines title columnheader(1)\n"
    "\nset output \"phases.svg\"\nset xlabel \"\"\nset ylabel \"mean time (ms)\"\nset yrange [0:*]\nset key outside\n"
    "set style data histograms\nset style histogram rowstacked\nset style fill solid 0.9\nset boxwidth 0.7\n"
    "set xtics rotate by -30\n"
    "plot for [c=2:10:2] \"phases.dat\" using c:xtic(1) title columnheader(c)\n"
    "\nset output \"activity.svg\"\nset xlabel \"time (s)\"\nset ylabel \"tasks in this phase\"\nset style data lines\n"
    "set xtics norotate autofreq\n"
    "plot for [c=2:6] \"activity.dat\" using 1:c title columnheader(c)\n";

static const char script_points[] =
    "\nset output \"points.svg\"\nset xlabel \"\"\nset ylabel \"mean delay (ms), 95 % interval\"\nset yrange [0:*]\n"
    "unset key\nset style fill solid 0.5\nset boxwidth 0.6\nset xtics rotate by -30\n"
    "plot \"points.dat\" using 0:2:xtic(1) with boxes, \"\" using 0:2:3:4 with yerrorbars lc rgb \"black\"\n";

static int write_file(const char *folder, const char *name, void (*put)(FILE *file, const json_t *of), const json_t *of,
                      struct error *error)
{
    FILE *file = report_create(folder, name, error);
    if (!file)
        return -1;
    put(file, of);
    return report_close(file, folder, name, error);
}

static void put_script(FILE *file, const json_t *document)
{
    fputs(script_head, file);
    fputs(json_array_size(json_object_get(document, "runs")) == 1 ? script_run : script_points, file);
}

/* Whether some task ended well. */
static bool has_figures(const json_t *document)
{
    const json_t *point;
    size_t i;
    json_array_foreach(
        json_object_get(document, "points"), i,
        point) if (json_is_number(json_object_get(json_object_get(json_object_get(point, "metrics"), "mean_delay_ns"),
                                                  "mean"))) return true;
    return false;
}

int report_export_gnuplot(const json_t *document, const char *folder, struct error *error)
{
    const json_t *runs = json_object_get(document, "runs"), *run = json_array_get(runs, 0);
    if (!has_figures(document))
        return error_set(error, ERROR_INPUT, "there is nothing to plot: no task of it has ended well");
    if (report_make_folder(folder, error) != 0 || write_file(folder, "plot.gp", put_script, document, error) != 0)
        return -1;
    if (json_array_size(runs) > 1)
        return write_file(folder, "points.dat", put_points, document, error);
    bool wrote = write_file(folder, "delays.dat", put_delays, run, error) == 0 &&
                 write_file(folder, "phases.dat", put_phases, run, error) == 0 &&
                 write_file(folder, "activity.dat", put_activity, run, error) == 0;
    return wrote ? 0 : -1;
}
