/* SPDX-License-Identifier: Apache-2.0 */
/* Runs scenarios in a world. */
#include "tests/world/world_trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/zoo.h"
#include "tests/builtin_plugins.h"

static void must(int good, const char *what, const struct error *error)
{
    if (good)
        return;
    fprintf(stderr, "%s: %s\n", what, error->text);
    exit(99);
}

static char *file_in(const struct trial *trial, const char *name)
{
    return text_format("%s/%s", trial->folder, name);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file))
        exit(99);
}

/* The agent and the plugins of this build. */
static void set_environment(void)
{
    const char *build = getenv("top_builddir");
    char *agent = text_format("%s/agent/napm-agent", build ? build : ".");
    char *plugins =
        text_format("%s/plugins/.libs:%s/tests/world/fixtures/.libs", build ? build : ".", build ? build : ".");
    setenv("NAPM_AGENT", agent, 1);
    setenv("NAPM_PLUGIN_PATH", plugins, 1);
    free(agent);
    free(plugins);
}

void trial_make(struct trial *trial, const char *model, const char *scenario_text)
{
    struct error error = {0};
    memset(trial, 0, sizeof(*trial));
    snprintf(trial->folder, sizeof(trial->folder), "%s", "/tmp/napm-trial-XXXXXX");
    must(mkdtemp(trial->folder) != NULL, "mkdtemp", &error);
    set_environment();
    char *model_file = file_in(trial, "model.onnx"), *scenario_file = file_in(trial, "scenario.cfg");
    must(zoo_write(model, 1, model_file, &error) == 0, "zoo_write", &error);
    write_text(scenario_file, scenario_text);
    trial->catalogue = builtin_catalogue();
    must(trial->catalogue != NULL, "catalogue", &error);
    trial->scenario = scenario_open(scenario_file, NULL, 0, trial->catalogue, &error);
    must(trial->scenario != NULL, "scenario_open", &error);
    trial->kind = world_find("local", &error);
    must(trial->kind != NULL, "world_find", &error);
    free(model_file);
    free(scenario_file);
}

void trial_end(struct trial *trial)
{
    trial_close(trial);
    scenario_close(trial->scenario);
    catalogue_close(trial->catalogue);
    char *model_file = file_in(trial, "model.onnx"), *scenario_file = file_in(trial, "scenario.cfg");
    unlink(model_file);
    unlink(scenario_file);
    rmdir(trial->folder);
    free(model_file);
    free(scenario_file);
    ARRAY_FREE(&trial->tasks);
    ARRAY_FREE(&trial->samples);
    ARRAY_FREE(&trial->taken);
}

int trial_open(struct trial *trial, struct error *error)
{
    const struct world_setup setup = {.scenario = trial->scenario,
                                      .catalogue = trial->catalogue,
                                      .seed = 1,
                                      .cancel = &trial->cancel,
                                      .replan = trial->replan,
                                      .replan_context = trial};
    trial->world = trial->kind->open(&setup, error);
    return trial->world ? 0 : -1;
}

int trial_deploy(struct trial *trial, const struct placements *placements, struct error *error)
{
    const struct scenario *scenario = trial->scenario;
    const int64_t **by_model = NEW_ARRAY(const int64_t *, scenario->model_count);
    const int64_t *const **by_node = NEW_ARRAY(const int64_t *const *, scenario->node_count + 1);
    for (uint32_t i = 0; i < scenario->model_count; i++) {
        uint32_t layers = model_view(scenario->models[i].model)->layer_count;
        int64_t *times = NEW_ARRAY(int64_t, layers);
        for (uint32_t k = 0; k < layers; k++)
            times[k] = 1000000;
        by_model[i] = times;
    }
    for (uint32_t i = 0; i < scenario->node_count; i++)
        by_node[i] = by_model;
    trial->layer_ns = by_node;
    return trial->kind->deploy(trial->world, placements, by_node, error);
}

static void free_times(struct trial *trial)
{
    const int64_t *const *by_model = trial->layer_ns ? trial->layer_ns[0] : NULL;
    for (uint32_t i = 0; by_model && i < trial->scenario->model_count; i++)
        free((void *)(uintptr_t)by_model[i]);
    free((void *)(uintptr_t)by_model);
    free((void *)(uintptr_t)trial->layer_ns);
    trial->layer_ns = NULL;
}

static void keep_task(void *context, const struct task_record *record)
{
    struct trial *trial = context;
    struct trial_task *kept = ARRAY_ADD(&trial->tasks);
    kept->record = *record;
    kept->record.layer_ns = NULL;
    kept->record.hops = NULL;
    if (record->hop_count > 0)
        kept->hop = record->hops[0];
    kept->record.cause = NULL;
    snprintf(kept->cause, sizeof(kept->cause), "%s", record->cause ? record->cause : "");
    if (trial->on_task)
        trial->on_task(trial, record);
}

static void keep_sample(void *context, const struct node_sample *sample)
{
    struct trial *trial = context;
    *ARRAY_ADD(&trial->samples) = *sample;
}

static void keep_loss(void *context, uint32_t node, const char *cause)
{
    struct trial *trial = context;
    (void)node;
    trial->nodes_lost++;
    snprintf(trial->lost_cause, sizeof(trial->lost_cause), "%s", cause);
}

static void keep_taken(void *context, uint32_t plan, uint32_t stream, int64_t at_ns)
{
    struct trial *trial = context;
    *ARRAY_ADD(&trial->taken) = (struct trial_taken){plan, stream, at_ns};
}

int trial_drive(struct trial *trial, struct error *error)
{
    const struct world_sink sink = {
        .context = trial, .task = keep_task, .sample = keep_sample, .node_lost = keep_loss, .plan_taken = keep_taken};
    return trial->kind->drive(trial->world, &sink, error);
}

void trial_close(struct trial *trial)
{
    if (trial->world)
        trial->kind->close(trial->world);
    trial->world = NULL;
    free_times(trial);
}

int trial_run(struct trial *trial, uint32_t cut, struct error *error)
{
    uint32_t *cuts = NEW_ARRAY(uint32_t, trial->scenario->stream_count);
    for (uint32_t i = 0; i < trial->scenario->stream_count; i++)
        cuts[i] = cut;
    int status = trial_open(trial, error) || trial_deploy(trial, &(struct placements){.cuts = cuts}, error) ||
                         trial_drive(trial, error)
                     ? -1
                     : 0;
    free(cuts);
    return status;
}

size_t trial_count(const struct trial *trial, enum task_status status)
{
    size_t count = 0;
    for (size_t i = 0; i < trial->tasks.count; i++)
        count += trial->tasks.items[i].record.status == status;
    return count;
}
