/* SPDX-License-Identifier: Apache-2.0 */
/* Sweep file -> points. */
#include "core/sweep/definition.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/scenario/reader.h"
#include "core/sweep/outcome.h"

struct sweep_private {
    struct arena arena;
};

/* A list of "PATH=VALUE". */
struct settings {
    const char **items;
    size_t count;
};

struct variant {
    const char *name;
    struct settings set;
};

/* One axis of the grid: the settings of each of its values. */
struct axis {
    struct settings *values;
    size_t count;
};

struct definition {
    struct reader reader;
    const char **scenarios;
    struct settings common;
    struct variant *variants; /* at least one: a nameless one where the file has none */
    struct axis *axes;
    size_t scenario_count, variant_count, axis_count;
    struct sweep_tolerance *tolerances;
    size_t tolerance_count;
    uint32_t repeat;
    int64_t seed;
};

static const char *const keys[] = {"name", "scenario", "scenarios", "set", "variants", "grid", "repeat", "seed", NULL};
static const char *const suite_keys[] = {"name", "scenario", "scenarios", "set",     "variants",
                                         "grid", "repeat",   "seed",      "metrics", NULL};
static const char *const metric_keys[] = {"metric", "tolerance", NULL};
static const char *const variant_keys[] = {"name", "set", NULL};
static const char *const axis_keys[] = {"path", "values", NULL};

/* A value as --set takes it, or NULL for groups and lists. */
static const char *value_text(struct arena *arena, const struct value *value)
{
    switch (value->type) {
    case VALUE_TEXT:
        return value->as.text;
    case VALUE_INTEGER:
        return arena_text(arena, "%" PRId64, value->as.integer);
    case VALUE_REAL:
        return arena_text(arena, "%.15g", value->as.real);
    case VALUE_BOOL:
        return value->as.truth ? "true" : "false";
    case VALUE_GROUP:
    case VALUE_LIST:
        break;
    }
    return NULL;
}

/* The member `key` as a list of texts; a single text is a list of one. */
static int read_texts(const struct reader *reader, const struct value *group, const char *key, const char *example,
                      struct settings *texts)
{
    const struct value *value = tree_member(group, key);
    *texts = (struct settings){0};
    if (!value)
        return 0;
    size_t count = value->type == VALUE_LIST ? value->count : 1;
    texts->items = ARENA_ARRAY(reader->arena, const char *, count);
    for (size_t i = 0; i < count; i++) {
        const struct value *item = value->type == VALUE_LIST ? value->items[i] : value;
        if (item->type != VALUE_TEXT)
            return reader_fail(reader, item->where, "%s takes texts, such as %s = %s; this is %s", key, key, example,
                               tree_type_text(item->type));
        texts->items[texts->count++] = item->as.text;
    }
    return 0;
}

static int read_settings(const struct reader *reader, const struct value *group, struct settings *settings)
{
    if (read_texts(reader, group, "set", "(\"scheduler.plugin=rr\", \"nodes.pi.cpu=0.5\")", settings) != 0)
        return -1;
    for (size_t i = 0; i < settings->count; i++)
        if (!strchr(settings->items[i], '=') || settings->items[i][0] == '=')
            return reader_fail(reader, tree_member(group, "set")->where,
                               "set: \"%s\" is not PATH=VALUE, such as \"nodes.pi.cpu=0.5\"", settings->items[i]);
    return 0;
}

static int read_scenarios(struct definition *it, const struct value *root, const char *path)
{
    struct settings one, more;
    if (read_texts(&it->reader, root, "scenario", "\"wifi.cfg\"", &one) != 0 ||
        read_texts(&it->reader, root, "scenarios", "(\"a.cfg\", \"b.cfg\")", &more) != 0)
        return -1;
    if (one.count + more.count == 0)
        return reader_fail(&it->reader, path, "which scenario? add scenario = \"FILE\";");
    if (one.count && more.count)
        return reader_fail(&it->reader, tree_member(root, "scenario")->where,
                           "there are both scenario and scenarios; keep one of them");
    const struct settings *files = one.count ? &one : &more;
    it->scenarios = ARENA_ARRAY(it->reader.arena, const char *, files->count);
    for (size_t i = 0; i < files->count; i++) {
        char *beside = file_path_beside(path, files->items[i]);
        it->scenarios[it->scenario_count++] = arena_copy(it->reader.arena, beside);
        free(beside);
    }
    return 0;
}

static int read_variants(struct definition *it, const struct value *root)
{
    const struct value *list = tree_member(root, "variants");
    it->variant_count = list ? list->count : 1;
    it->variants = ARENA_ARRAY(it->reader.arena, struct variant, it->variant_count);
    if (!list)
        return 0;
    if (list->type != VALUE_LIST || list->count == 0)
        return reader_fail(&it->reader, list->where,
                           "variants must be a list of groups, such as "
                           "( { name = \"slow\"; set = (\"nodes.pi.cpu=0.1\"); } )");
    for (size_t i = 0; i < list->count; i++) {
        const struct value *item = list->items[i];
        if (item->type != VALUE_GROUP)
            return reader_fail(&it->reader, item->where,
                               "a variant must be a group, such as "
                               "{ name = \"slow\"; set = (\"nodes.pi.cpu=0.1\"); }");
        if (reader_check_keys(&it->reader, item, "a variant", variant_keys) != 0)
            return -1;
        int named = reader_get_text(&it->reader, item, "name", &it->variants[i].name);
        if (named < 0 || read_settings(&it->reader, item, &it->variants[i].set) != 0)
            return -1;
        if (named == 0)
            return reader_fail(&it->reader, item->where, "a variant needs a name; add name = \"...\";");
        for (size_t k = 0; k < i; k++)
            if (strcmp(it->variants[k].name, it->variants[i].name) == 0)
                return reader_fail(&it->reader, item->where, "there are two variants called \"%s\"; rename one",
                                   it->variants[i].name);
    }
    return 0;
}

/* All settings of one value of an axis: of one path, or of several that change together. */
static int read_axis_value(struct definition *it, const struct settings *paths, const struct value *value,
                           struct settings *result)
{
    struct arena *arena = it->reader.arena;
    bool together = paths->count > 1;
    if (together && (value->type != VALUE_LIST || value->count != paths->count))
        return reader_fail(&it->reader, value->where, "each value must be a list of %zu, one for each path",
                           paths->count);
    result->items = ARENA_ARRAY(arena, const char *, paths->count);
    for (size_t i = 0; i < paths->count; i++) {
        const struct value *part = together ? value->items[i] : value;
        const char *text = value_text(arena, part);
        if (!text)
            return reader_fail(&it->reader, part->where, "a value must be a text, number, true or false; this is %s",
                               tree_type_text(part->type));
        result->items[result->count++] = arena_text(arena, "%s=%s", paths->items[i], text);
    }
    return 0;
}

static int read_axis(struct definition *it, const struct value *group, struct axis *axis)
{
    static const char example[] = "{ path = \"nodes.pi.cpu\"; values = (0.1, 0.25); }";
    struct settings paths;
    if (group->type != VALUE_GROUP)
        return reader_fail(&it->reader, group->where, "an axis of the grid must be a group, such as %s", example);
    if (reader_check_keys(&it->reader, group, "an axis of the grid", axis_keys) != 0 ||
        read_texts(&it->reader, group, "path", "\"nodes.pi.cpu\"", &paths) != 0)
        return -1;
    const struct value *values = tree_member(group, "values");
    if (paths.count == 0 || !values || values->type != VALUE_LIST || values->count == 0)
        return reader_fail(&it->reader, group->where, "an axis needs a path and a list of values, such as %s", example);
    axis->values = ARENA_ARRAY(it->reader.arena, struct settings, values->count);
    for (size_t i = 0; i < values->count; i++)
        if (read_axis_value(it, &paths, values->items[i], &axis->values[axis->count++]) != 0)
            return -1;
    return 0;
}

static int read_grid(struct definition *it, const struct value *root)
{
    const struct value *grid = tree_member(root, "grid");
    if (!grid)
        return 0;
    if (grid->type != VALUE_LIST)
        return reader_fail(&it->reader, grid->where,
                           "grid must be a list of groups, such as "
                           "( { path = \"nodes.pi.cpu\"; values = (0.1, 0.25); } )");
    it->axes = ARENA_ARRAY(it->reader.arena, struct axis, grid->count);
    for (size_t i = 0; i < grid->count; i++)
        if (read_axis(it, grid->items[i], &it->axes[it->axis_count++]) != 0)
            return -1;
    return 0;
}

static int read_tolerance(struct definition *it, const struct value *group, struct sweep_tolerance *tolerance)
{
    static const char example[] = "{ metric = \"mean_delay\"; tolerance = \"2%\"; }";
    const char *names[OUTCOME_METRICS];
    if (group->type != VALUE_GROUP)
        return reader_fail(&it->reader, group->where, "a metric must be a group, such as %s", example);
    if (reader_check_keys(&it->reader, group, "a metric", metric_keys) != 0)
        return -1;
    int named = reader_get_text(&it->reader, group, "metric", &tolerance->metric);
    if (named == 0)
        return reader_fail(&it->reader, group->where, "which metric? It goes like %s", example);
    if (named < 0 || reader_get_share(&it->reader, group, "tolerance", &tolerance->share) < 0)
        return -1;
    for (int i = 0; i < OUTCOME_METRICS; i++) {
        names[i] = outcome_metric_kinds[i].name;
        if (strcmp(names[i], tolerance->metric) == 0)
            return 0;
    }
    reader_fail(&it->reader, tree_member(group, "metric")->where, "there is no metric \"%s\"", tolerance->metric);
    return reader_suggest(&it->reader, tolerance->metric, names, OUTCOME_METRICS);
}

/* A suite that says nothing of metrics watches the mean delay and lost tasks. */
static int read_metrics(struct definition *it, const struct value *root)
{
    static struct sweep_tolerance usual[] = {{"mean_delay", 0.02}, {"lost_tasks", 0}};
    const struct value *list = tree_member(root, "metrics");
    it->tolerances = usual;
    it->tolerance_count = sizeof(usual) / sizeof(usual[0]);
    if (!list)
        return 0;
    if (list->type != VALUE_LIST || list->count == 0)
        return reader_fail(&it->reader, list->where,
                           "metrics must be a list of groups, such as "
                           "( { metric = \"mean_delay\"; tolerance = \"2%%\"; } )");
    it->tolerances = ARENA_ARRAY(it->reader.arena, struct sweep_tolerance, list->count);
    it->tolerance_count = list->count;
    for (size_t i = 0; i < list->count; i++)
        if (read_tolerance(it, list->items[i], &it->tolerances[i]) != 0)
            return -1;
    return 0;
}

static int read_all(struct definition *it, const struct value *root, const char *path, bool suite, const char **name)
{
    it->repeat = 1;
    it->seed = 1;
    if (reader_check_keys(&it->reader, root, suite ? "a suite" : "a sweep", suite ? suite_keys : keys) != 0 ||
        reader_get_text(&it->reader, root, "name", name) < 0 ||
        reader_get_count(&it->reader, root, "repeat", 1, SWEEP_MOST_POINTS, &it->repeat) < 0 ||
        reader_get_integer(&it->reader, root, "seed", 0, INT64_MAX / 2, &it->seed) < 0 ||
        read_scenarios(it, root, path) != 0 || read_settings(&it->reader, root, &it->common) != 0)
        return -1;
    if (read_variants(it, root) != 0 || read_grid(it, root) != 0)
        return -1;
    return suite ? read_metrics(it, root) : 0;
}

/* ---- points ---- */

static int count_points(const struct definition *it, const char *path, size_t *combinations, size_t *points)
{
    *combinations = 1;
    for (size_t i = 0; i < it->axis_count; i++) {
        *combinations *= it->axes[i].count;
        if (*combinations > SWEEP_MOST_POINTS)
            break;
    }
    *points = it->scenario_count * it->variant_count * *combinations;
    if (*combinations <= SWEEP_MOST_POINTS && *points <= SWEEP_MOST_POINTS)
        *points *= it->repeat;
    if (*combinations > SWEEP_MOST_POINTS || *points > SWEEP_MOST_POINTS)
        return reader_fail(&it->reader, path, "this sweep has more than %d points; make several sweeps of it",
                           SWEEP_MOST_POINTS);
    return 0;
}

static void append(const char **items, size_t *count, const struct settings *more)
{
    for (size_t i = 0; i < more->count; i++)
        items[(*count)++] = more->items[i];
}

/* One combination: the first axis changes slowest, as in nested loops read from top to bottom. */
static struct sweep_point make_point(const struct definition *it, const char *scenario, const struct variant *variant,
                                     size_t combination)
{
    size_t most = it->common.count + variant->set.count, divisor = 1;
    for (size_t i = 0; i < it->axis_count; i++) {
        most += it->axes[i].values[0].count;
        divisor *= it->axes[i].count;
    }
    const char **settings = ARENA_ARRAY(it->reader.arena, const char *, most);
    struct sweep_point point = {.scenario = scenario, .variant = variant->name, .settings = settings};
    append(settings, &point.setting_count, &it->common);
    append(settings, &point.setting_count, &variant->set);
    point.varied_from = point.setting_count;
    for (size_t i = 0; i < it->axis_count; i++) {
        divisor /= it->axes[i].count;
        append(settings, &point.setting_count, &it->axes[i].values[combination / divisor % it->axes[i].count]);
    }
    return point;
}

static void fill_points(const struct definition *it, size_t combinations, struct sweep *sweep)
{
    for (size_t s = 0; s < it->scenario_count; s++)
        for (size_t v = 0; v < it->variant_count; v++)
            for (size_t c = 0; c < combinations; c++) {
                struct sweep_point point = make_point(it, it->scenarios[s], &it->variants[v], c);
                for (uint32_t r = 0; r < it->repeat; r++) {
                    point.seed = (uint64_t)it->seed + r;
                    point.repetition = r;
                    sweep->points[sweep->point_count++] = point;
                }
            }
}

/* ---- the whole ---- */

/* The digest of the digests of the sweep file and of each scenario file, which so have to be there. */
static int digest_files(struct sweep *sweep, const struct file_map *file, const struct definition *it)
{
    ARRAY_OF(char) digests = {0};
    char digest[FILE_DIGEST_BYTES];
    file_digest(file->bytes, file->size, digest);
    int result = 0;
    for (size_t i = 0; i <= it->scenario_count && result == 0; i++) {
        for (const char *c = digest; *c; c++)
            *ARRAY_ADD(&digests) = *c;
        if (i == it->scenario_count)
            break;
        struct file_map scenario;
        result = file_map(it->scenarios[i], &scenario, it->reader.error);
        if (result == 0) {
            file_digest(scenario.bytes, scenario.size, digest);
            file_unmap(&scenario);
        }
    }
    file_digest(digests.items, digests.count, sweep->digest);
    ARRAY_FREE(&digests);
    return result;
}

static int fill(struct sweep *sweep, const struct file_map *file, bool suite, struct error *error)
{
    struct arena *arena = &sweep->private_part->arena;
    struct definition it = {.reader = {.arena = arena, .error = error}};
    char *text = arena_text(arena, "%.*s", (int)file->size, (const char *)file->bytes);
    size_t combinations = 0, points = 0;
    const struct value *root = tree_parse(arena, text, sweep->path, error);
    if (!root || read_all(&it, root, sweep->path, suite, &sweep->name) != 0 || digest_files(sweep, file, &it) != 0 ||
        count_points(&it, sweep->path, &combinations, &points) != 0)
        return -1;
    if (!sweep->name) {
        const char *slash = strrchr(sweep->path, '/');
        sweep->name = slash ? slash + 1 : sweep->path;
    }
    sweep->scenario_count = it.scenario_count;
    sweep->tolerances = it.tolerances;
    sweep->tolerance_count = it.tolerance_count;
    sweep->points = ARENA_ARRAY(arena, struct sweep_point, points);
    fill_points(&it, combinations, sweep);
    return 0;
}

struct sweep *sweep_open(const char *path, bool suite, struct error *error)
{
    struct file_map file;
    if (file_map(path, &file, error) != 0)
        return NULL;
    struct sweep *sweep = NEW(struct sweep);
    sweep->private_part = NEW(struct sweep_private);
    sweep->path = arena_copy(&sweep->private_part->arena, path);
    if (fill(sweep, &file, suite, error) != 0) {
        sweep_close(sweep);
        sweep = NULL;
    }
    file_unmap(&file);
    return sweep;
}

void sweep_close(struct sweep *sweep)
{
    if (!sweep)
        return;
    arena_free(&sweep->private_part->arena);
    free(sweep->private_part);
    free(sweep);
}

/* What a setting's path is called in a label: its last word, without the "plugin" at its end. */
static const char *short_name(const char *setting, size_t *length)
{
    static const char tail[] = ".plugin";
    *length = strcspn(setting, "=");
    if (*length > strlen(tail) && strncmp(setting + *length - strlen(tail), tail, strlen(tail)) == 0)
        *length -= strlen(tail);
    const char *name = setting;
    for (size_t i = 0; i < *length; i++)
        if (setting[i] == '.')
            name = setting + i + 1;
    *length -= (size_t)(name - setting);
    return name;
}

/* Whether another varied setting of the point would be called the same. */
static bool is_ambiguous(const struct sweep_point *point, size_t which)
{
    size_t length, other_length;
    const char *name = short_name(point->settings[which], &length);
    for (size_t i = point->varied_from; i < point->setting_count; i++) {
        const char *other = short_name(point->settings[i], &other_length);
        if (i != which && length == other_length && strncmp(name, other, length) == 0)
            return true;
    }
    return false;
}

/* A scenario as the sweep file names it: two may have the same name in different folders. */
static const char *scenario_name(const struct sweep *sweep, const char *scenario)
{
    const char *slash = strrchr(sweep->path, '/');
    size_t folder = slash ? (size_t)(slash + 1 - sweep->path) : 0;
    return strncmp(scenario, sweep->path, folder) == 0 ? scenario + folder : scenario;
}

char *sweep_point_label(const struct sweep *sweep, const struct sweep_point *point)
{
    bool several = sweep->scenario_count > 1;
    const char *file = scenario_name(sweep, point->scenario);
    char *label = text_format("%s%s%s", several ? file : "", several && point->variant ? " " : "",
                              point->variant ? point->variant : "");
    for (size_t i = point->varied_from; i < point->setting_count; i++) {
        size_t length;
        const char *setting = point->settings[i], *name = short_name(setting, &length);
        if (is_ambiguous(point, i)) {
            name = setting;
            length = strcspn(setting, "=");
        }
        char *longer = text_format("%s%s%.*s%s", label, *label ? " " : "", (int)length, name, strchr(setting, '='));
        free(label);
        label = longer;
    }
    if (*label)
        return label;
    free(label);
    return text_copy(file);
}
