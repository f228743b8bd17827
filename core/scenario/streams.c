/* SPDX-License-Identifier: Apache-2.0 */
/* The streams of a scenario, with their models and inputs. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/units.h"
#include "core/model/tensor_file.h"
#include "core/scenario/reader.h"

/* ---- models */

static struct scenario_cut *cut_memory(struct arena *arena, const struct model *model)
{
    uint32_t layers = model_view(model)->layer_count;
    struct scenario_cut *cuts = ARENA_ARRAY(arena, struct scenario_cut, layers + 1);
    for (uint32_t c = 0; c <= layers; c++) {
        model_part_memory(model, 0, c, &cuts[c].device_weight_bytes, &cuts[c].device_activation_bytes);
        model_part_memory(model, c, layers, &cuts[c].station_weight_bytes, &cuts[c].station_activation_bytes);
    }
    return cuts;
}

/* Opens the model at `path`, or finds it open. `models` has room. */
static int open_model(struct reader *reader, const char *where, char *path, struct scenario_model *models,
                      uint32_t *index)
{
    struct scenario *scenario = reader->scenario;
    for (*index = 0; *index < scenario->model_count; (*index)++)
        if (strcmp(models[*index].path, path) == 0)
            return 0;
    if (access(path, R_OK) != 0)
        return reader_fail(
            reader, where,
            "there is no model file %s; make one with `napm model new NAME -o %s` (napm model new --help "
            "tells the names)",
            path, path);
    struct model *model = model_open(path, reader->error);
    if (!model)
        return error_prefix(reader->error, "%s", where);
    models[*index] = (struct scenario_model){path, model, cut_memory(reader->arena, model)};
    scenario->model_count++;
    return 0;
}

static int read_model(struct reader *reader, const struct value *group, struct scenario_stream *stream,
                      struct scenario_model *models)
{
    const char *file = NULL;
    int got = reader_get_text(reader, group, "model", &file);
    if (got <= 0)
        return got < 0 ? -1
                       : reader_fail(reader, group->where, "the stream '%s' has no model; write model = \"FILE.onnx\";",
                                     stream->name);
    char *path = arena_keep(reader->arena, file_path_beside(reader->scenario->path, file));
    return open_model(reader, tree_member(group, "model")->where, path, models, &stream->model);
}

/* ---- inputs */

static bool ends_in(const char *text, const char *ending)
{
    size_t length = strlen(text), end = strlen(ending);
    return length > end && strcmp(text + length - end, ending) == 0;
}

static int read_input(struct reader *reader, const struct value *file, struct scenario_input *input)
{
    if (file->type != VALUE_TEXT)
        return reader_fail(reader, file->where, "an input is %s; write a file's name in \"quotes\"",
                           tree_type_text(file->type));
    input->path = arena_keep(reader->arena, file_path_beside(reader->scenario->path, file->as.text));
    if (!ends_in(input->path, ".npy") && !ends_in(input->path, ".pb") && !ends_in(input->path, ".bin"))
        return reader_fail(reader, file->where,
                           "the input %s has an ending that is not known; it may be .npy, .pb (an ONNX tensor) or .bin "
                           "(a CIFAR-10 batch)",
                           file->as.text);
    if (access(input->path, R_OK) != 0)
        return reader_fail(reader, file->where,
                           "there is no input file %s; leave 'input' out for a synthetic input of the right shape",
                           input->path);
    return 0;
}

/* Reads the file once, to learn now whether it can be read and has the shape that the model takes. */
static int check_input(struct reader *reader, const char *where, const struct scenario_input *input,
                       const struct napm_tensor *expected)
{
    struct tensor tensor;
    const char *source =
        ends_in(input->path, ".bin") ? arena_text(reader->arena, "%s:%u", input->path, input->record) : input->path;
    if (tensor_read(source, expected, 0, &tensor, reader->error) != 0)
        return error_prefix(reader->error, "%s", where);
    tensor_free(&tensor);
    return 0;
}

static int read_inputs(struct reader *reader, const struct value *group, struct scenario_stream *stream)
{
    const struct napm_model *model = model_view(reader->scenario->models[stream->model].model);
    const struct value *one = tree_member(group, "input"), *list = tree_member(group, "inputs");
    struct scenario_input *inputs = ARENA_ARRAY(reader->arena, struct scenario_input, model->input_count);
    uint32_t record = 0;
    stream->inputs = inputs;
    if (one && list)
        return reader_fail(reader, list->where, "there are both 'input' and 'inputs'; keep one of them");
    if (list && list->type != VALUE_LIST)
        return reader_fail(reader, list->where, "'inputs' is %s; write inputs = (\"a.npy\", \"b.npy\");",
                           tree_type_text(list->type));
    size_t given = list ? list->count : one ? 1 : 0;
    if ((one || list) && given != model->input_count)
        return reader_fail(reader, (one ? one : list)->where, "%zu input file%s given, but the model takes %u", given,
                           given == 1 ? " is" : "s are", model->input_count);
    for (size_t i = 0; i < given; i++)
        if (read_input(reader, one ? one : list->items[i], &inputs[i]) != 0)
            return -1;
    int got = reader_get_count(reader, group, "record", 0, 9999999, &record);
    if (got == 1 && (!given || !ends_in(inputs[0].path, ".bin")))
        return reader_fail(reader, tree_member(group, "record")->where,
                           "'record' picks a picture of a CIFAR-10 batch; write also input = \"FILE.bin\";");
    for (size_t i = 0; got >= 0 && i < given; i++) {
        inputs[i].record = record;
        if (check_input(reader, (one ? one : list->items[i])->where, &inputs[i], model->tensors[model->inputs[i]]) != 0)
            return -1;
    }
    return got < 0 ? -1 : 0;
}

/* ---- one stream */

static int read_result(struct reader *reader, const struct value *group, struct scenario_stream *stream)
{
    static const char *const kinds[] = {"return", "station", "stay"};
    const char *result = "return";
    if (reader_get_text(reader, group, "result", &result) < 0)
        return -1;
    stream->result_returns = strcmp(result, "return") == 0;
    stream->result_to_station = strcmp(result, "station") == 0;
    if (stream->result_returns || stream->result_to_station || strcmp(result, "stay") == 0)
        return 0;
    reader_fail(reader, tree_member(group, "result")->where, "'result' cannot be '%s'", result);
    return reader_suggest(reader, result, kinds, 3);
}

static int read_arrivals(struct reader *reader, const struct value *group, struct scenario_stream *stream)
{
    int got = reader_get_plugin(reader, group, "arrivals", NAPM_KIND_LOADGEN, &stream->arrivals);
    if (got < 0)
        return -1;
    if (got == 0)
        return reader_fail(reader, group->where,
                           "the stream '%s' has no arrivals; write arrivals = { plugin = \"NAME\"; }; "
                           "(napm plugin list tells the names)",
                           stream->name);
    return reader_need_extension(reader, &stream->arrivals, NAPM_KIND_LOADGEN, NAPM_LOADGEN_ARRIVALS, "make tasks");
}

static int read_tasks(struct reader *reader, const struct value *group, struct scenario_stream *stream)
{
    int got = reader_get_count(reader, group, "tasks", 1, 100000000, &stream->task_count);
    if (got <= 0)
        return got < 0 ? -1
                       : reader_fail(reader, group->where,
                                     "the stream '%s' does not say how many tasks; write tasks = 20;", stream->name);
    if (stream->task_count <= reader->scenario->warmup_tasks)
        return reader_fail(reader, tree_member(group, "tasks")->where,
                           "all %u tasks are warm-up (run.warmup_tasks = %u), so none would count; ask for more tasks",
                           stream->task_count, reader->scenario->warmup_tasks);
    int64_t priority = 0;
    stream->weight = 1;
    if (reader_get_duration(reader, group, "deadline", &stream->deadline_ns) < 0 ||
        reader_get_integer(reader, group, "priority", -1000000, 1000000, &priority) < 0 ||
        reader_get_real(reader, group, "weight", 1e-6, 1e6, &stream->weight) < 0)
        return -1;
    stream->priority = (int32_t)priority;
    return 0;
}

static int read_device(struct reader *reader, const struct value *group, struct scenario_stream *stream)
{
    const struct scenario *scenario = reader->scenario;
    const char *device = NULL;
    int got = reader_get_text(reader, group, "device", &device);
    if (got <= 0)
        return got < 0
                   ? -1
                   : reader_fail(reader, group->where, "the stream has no device; write device = \"NAME OF A NODE\";");
    int64_t node = reader_find_node(reader, tree_member(group, "device")->where, "device", device);
    if (node < 0)
        return -1;
    if ((uint32_t)node == scenario->station)
        return reader_fail(reader, tree_member(group, "device")->where,
                           "a stream begins at a device; '%s' is the station", device);
    stream->device = (uint32_t)node;
    stream->link = scenario->link_of_node[stream->device];
    stream->name = device;
    return reader_get_name(reader, group, "name", &stream->name) < 0 ? -1 : 0;
}

/* Is there any cut whose two parts fit the two nodes? */
static int check_memory(struct reader *reader, const struct value *group, const struct scenario_stream *stream)
{
    const struct scenario *scenario = reader->scenario;
    const struct scenario_node *device = &scenario->nodes[stream->device],
                               *station = &scenario->nodes[scenario->station];
    const struct scenario_model *model = &scenario->models[stream->model];
    uint32_t layers = model_view(model->model)->layer_count;
    uint64_t whole = 0;
    for (uint32_t c = 0; c <= layers; c++) {
        const struct scenario_cut *cut = &model->cuts[c];
        uint64_t here = cut->device_weight_bytes + cut->device_activation_bytes,
                 there = cut->station_weight_bytes + cut->station_activation_bytes;
        whole = here;
        if ((!device->memory_bytes || here <= device->memory_bytes) &&
            (!station->memory_bytes || there <= station->memory_bytes))
            return 0;
    }
    char need[UNITS_TEXT_BYTES], has[UNITS_TEXT_BYTES], station_has[UNITS_TEXT_BYTES];
    return reader_fail(
        reader, group->where,
        "the stream '%s' fits nowhere: at no cut do both parts of %s (%s in all) fit the memory of '%s' (%s) and of "
        "'%s' "
        "(%s); give one of them more 'memory' (%s, %s), or take a smaller model",
        stream->name, model->path, units_format_size(need, (double)whole), device->name,
        device->memory_bytes ? units_format_size(has, (double)device->memory_bytes) : "not limited", station->name,
        station->memory_bytes ? units_format_size(station_has, (double)station->memory_bytes) : "not limited",
        device->where, station->where);
}

static int read_stream(struct reader *reader, const struct value *group, struct scenario_stream *stream,
                       struct scenario_model *models)
{
    static const char *const keys[] = {"name",   "device", "model", "tasks",  "arrivals", "deadline", "priority",
                                       "weight", "result", "input", "inputs", "record",   NULL};
    stream->where = group->where;
    return reader_check_keys(reader, group, "a stream", keys) != 0 || read_device(reader, group, stream) != 0 ||
                   read_tasks(reader, group, stream) != 0 || read_result(reader, group, stream) != 0 ||
                   read_arrivals(reader, group, stream) != 0 || read_model(reader, group, stream, models) != 0 ||
                   read_inputs(reader, group, stream) != 0 || check_memory(reader, group, stream) != 0
               ? -1
               : 0;
}

int reader_streams(struct reader *reader, const struct value *root)
{
    const struct value *list = reader_need_list(
        reader, root, "streams",
        "streams = ( { device = \"pi1\"; model = \"FILE.onnx\"; tasks = 20; arrivals = { plugin = \"NAME\"; }; } );");
    if (!list)
        return -1;
    struct scenario *scenario = reader->scenario;
    struct scenario_stream *streams = ARENA_ARRAY(reader->arena, struct scenario_stream, list->count);
    struct scenario_model *models = ARENA_ARRAY(reader->arena, struct scenario_model, list->count);
    scenario->models = models;
    struct names names = {0};
    int result = 0;
    for (uint32_t i = 0; i < list->count && result == 0; i++) {
        result = read_stream(reader, list->items[i], &streams[i], models);
        uint32_t other = result == 0 ? names_add(&names, reader->arena, streams[i].name, i) : i;
        if (other != i)
            result = reader_fail(reader, streams[i].where,
                                 "there is already a stream '%s' (%s); give this one a name of its own: name = "
                                 "\"%s-b\";",
                                 streams[i].name, streams[other].where, streams[i].name);
    }
    names_free(&names);
    if (result != 0)
        return -1;
    scenario->streams = streams;
    scenario->stream_count = (uint32_t)list->count;
    return 0;
}
