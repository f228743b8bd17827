/* SPDX-License-Identifier: Apache-2.0 */
/* The local world: opening, setting up, closing. */
#include "core/world/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/base/units.h"
#include "core/model/tensor_file.h"
#include "core/world/local_private.h"
#include "core/world/spawn.h"

#define TICK_NS (20 * NS_PER_MS)
/* Without a tick for so long this process was stopped, or busy elsewhere: nobody was listened to. */
#define ABSENCE_NS NS_PER_S
/* A worker that was told to stop has so long to finish its layer. */
#define WORKER_LIMIT_NS (10 * NS_PER_S)
#define HELLO_LIMIT_NS (15 * NS_PER_S)
#define CONFIGURE_LIMIT_NS (60 * NS_PER_S)

/* ---- waiting */

bool local_is_cancelled(const struct world *world)
{
    return world->setup.cancel && atomic_load(world->setup.cancel);
}

static int took_too_long(const struct world *world, int64_t limit_ns, const char *what, struct error *error)
{
    char limit[UNITS_TEXT_BYTES];
    error_set(error, ERROR_RUN, "%s took longer than %s", what, units_format_duration(limit, (double)limit_ns));
    return limit_ns == world->scenario->time_limit_ns ? error_append(error, " (run.time_limit in the scenario)") : -1;
}

int local_wait(struct world *world, bool (*ready)(struct world *world, void *argument), void *argument,
               int64_t limit_ns, const char *what, struct error *error)
{
    const int64_t until_ns = limit_ns > INT64_MAX - clock_now_ns() ? INT64_MAX : clock_now_ns() + limit_ns;
    for (uint32_t i = 0; i < world->scenario->node_count; i++)
        peer_resume(&world->nodes[i].peer);
    while (!ready(world, argument)) {
        if (world->trouble.kind != ERROR_NONE) {
            *error = world->trouble;
            return -1;
        }
        if (local_is_cancelled(world))
            return error_set(error, ERROR_CANCELLED, "stopped by the user");
        if (clock_now_ns() > until_ns)
            return took_too_long(world, limit_ns, what, error);
        event_base_loop(world->base, EVLOOP_ONCE); /* the tick makes it return */
    }
    return 0;
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct world *world = context;
    int64_t now_ns = clock_now_ns();
    (void)fd;
    (void)what;
    listener_check(world->listener, now_ns);
    for (uint32_t i = 0; i < world->scenario->node_count; i++) {
        if (now_ns - world->ticked_ns > ABSENCE_NS) {
            peer_resume(&world->nodes[i].peer);
            world->nodes[i].computed_ns = now_ns;
        }
        peer_check(&world->nodes[i].peer, now_ns);
    }
    world->ticked_ns = now_ns;
    if (world->drive)
        drive_tick(world->drive, now_ns);
}

/* ---- links */

void local_pass(struct world *world, uint32_t link, enum link_direction direction, uint64_t bytes, int64_t sent_ns,
                struct passage *passage)
{
    if (shaper_send(world->shaper, link, direction, bytes, sent_ns, passage))
        passage->arrived(world, passage);
}

static void on_arrived(void *context, void *frame)
{
    struct passage *passage = frame;
    passage->arrived(context, passage);
}

static int open_shaper(struct world *world, struct error *error)
{
    const struct scenario *scenario = world->scenario;
    const struct link_spec **specs = NEW_ARRAY(const struct link_spec *, scenario->link_count);
    for (uint32_t i = 0; i < scenario->link_count; i++)
        specs[i] = &scenario->links[i].spec;
    world->shaper = shaper_new(world->base, specs, scenario->link_count, world->setup.seed, on_arrived, world, error);
    free(specs);
    return world->shaper ? 0 : -1;
}

void payload_layout_make(struct payload_layout *layout, const struct model *model, const uint32_t *order, uint32_t cut)
{
    const struct napm_model *view = model_view(model);
    uint32_t *tensors = NEW_ARRAY(uint32_t, view->tensor_count);
    memset(layout, 0, sizeof(*layout));
    layout->count = order_cut(view, order, cut, &layout->tensor_bytes, tensors);
    layout->offsets = NEW_ARRAY(uint64_t, layout->count);
    for (uint32_t i = 0; i < layout->count; i++) {
        layout->offsets[i] = layout->payload_bytes;
        layout->payload_bytes += frame_padded(view->tensors[tensors[i]]->bytes);
    }
    free(tensors);
}

void payload_layout_free(struct payload_layout *layout)
{
    free(layout->offsets);
    memset(layout, 0, sizeof(*layout));
}

/* ---- what agents say */

static int take_hello(struct world *world, struct local_node *node, const Wire__Hello *hello, struct error *error)
{
    if (node->greeted || hello->protocol != WIRE_PROTOCOL)
        return error_set(error, ERROR_RUN,
                         "its agent (%s) speaks version %u of the protocol, this program version %u; use agent and "
                         "program of one build",
                         hello->version, hello->protocol, WIRE_PROTOCOL);
    (void)world;
    node->host = text_copy(hello->host);
    node->machine = text_copy(hello->machine);
    node->system = text_copy(hello->system);
    node->facts = (struct node_facts){.host = node->host,
                                      .machine = node->machine,
                                      .system = node->system,
                                      .processors = hello->processors,
                                      .memory_bytes = hello->memory_bytes,
                                      .pid = hello->pid};
    node->greeted = true;
    return 0;
}

static int take_profile(struct local_node *node, const Wire__ProfileResult *result, struct error *error)
{
    if (!node->profile || result->n_layer_ns != node->profile_layers || result->n_mean_ns != node->profile_layers)
        return error_set(error, ERROR_RUN, "it sent a profile of %zu layers that was not asked for",
                         result->n_layer_ns);
    for (uint32_t i = 0; i < node->profile_layers; i++)
        node->profile[i] = (struct layer_time){result->layer_ns[i], result->mean_ns[i]};
    node->profile = NULL;
    node->profiled = true;
    return 0;
}

static int on_message(void *context, struct peer *peer, const Wire__Message *message, struct error *error)
{
    struct world *world = context;
    struct local_node *node = &world->nodes[peer->node];
    switch (message->body_case) {
    case WIRE__MESSAGE__BODY_HELLO:
        return take_hello(world, node, message->hello, error);
    case WIRE__MESSAGE__BODY_CONFIGURED:
        free(node->backend);
        node->backend = text_copy(message->configured->backend);
        node->facts.backend = node->backend;
        node->configured = true;
        return 0;
    case WIRE__MESSAGE__BODY_CONNECTED:
        node->connected = true;
        return 0;
    case WIRE__MESSAGE__BODY_MODEL_LOADED:
        if (message->model_loaded->model >= world->scenario->model_count)
            return error_set(error, ERROR_RUN, "it loaded model %u, which there is not", message->model_loaded->model);
        node->loaded[message->model_loaded->model] = true;
        return 0;
    case WIRE__MESSAGE__BODY_PROFILE_RESULT:
        return take_profile(node, message->profile_result, error);
    case WIRE__MESSAGE__BODY_DEPLOY_READY:
        node->deploy_ready = true;
        return 0;
    case WIRE__MESSAGE__BODY_DEPLOYED:
        node->deployed = true;
        return 0;
    case WIRE__MESSAGE__BODY_ERROR:
        if (world->drive)
            return error_set(error, ERROR_RUN, "%s", message->error->text);
        error_set(&world->trouble, peer->complaint_kind, "node %s: %s", peer->name, message->error->text);
        return 0;
    case WIRE__MESSAGE__BODY_SAMPLE:
    case WIRE__MESSAGE__BODY_TASK_FAILED:
    case WIRE__MESSAGE__BODY_PREPARED:
        return world->drive ? drive_message(world->drive, peer, message, error) : 0;
    default:
        return error_set(error, ERROR_RUN, "it sent a message that is for agents");
    }
}

static int on_frame_begin(void *context, struct peer *peer, const struct frame_header *header, int64_t **layer_ns,
                          void **payload, struct error *error)
{
    struct world *world = context;
    if (header->kind == FRAME_PROBE || header->kind == FRAME_PROBED)
        return probe_frame_begin(world, peer, header, payload, error);
    if ((header->kind == FRAME_TASK || header->kind == FRAME_RETURNED) && world->drive)
        return drive_frame_begin(world->drive, peer, header, layer_ns, payload, error);
    return error_set(error, ERROR_RUN, "it sent a frame of kind %u that was not asked for", header->kind);
}

static int on_frame_end(void *context, struct peer *peer, const struct frame_header *header, struct error *error)
{
    struct world *world = context;
    if (header->kind == FRAME_PROBE || header->kind == FRAME_PROBED)
        return probe_frame_end(world, peer, header, error);
    return drive_frame_end(world->drive, peer, header, error);
}

static void on_lost(void *context, struct peer *peer)
{
    struct world *world = context;
    if (world->drive)
        drive_lost(world->drive, peer);
    else if (world->trouble.kind == ERROR_NONE)
        error_set(&world->trouble, peer->complaint ? peer->complaint_kind : ERROR_RUN, "%s", peer->cause);
}

/* ---- workers */

static void on_done(evutil_socket_t fd, short what, void *context)
{
    struct world *world = context;
    (void)fd;
    (void)what;
    struct worker_item *items = workers_take_done(world->workers);
    if (world->drive) {
        drive_work_done(world->drive, items);
        return;
    }
    for (struct worker_item *item = items; item; item = item->next)
        *(bool *)item->user = true;
}

static bool is_flag_set(struct world *world, void *argument)
{
    (void)world;
    return *(bool *)argument;
}

struct waiting_work {
    struct worker_item item;
    bool done;
};

/*
 * One piece of work by one worker. Where waiting for it fails, the worker is told to stop; where it does not even do
 * that, what it works on is left to it.
 */
static int work_and_wait(struct world *world, uint32_t worker, const struct worker_item *what_to_do, const char *what,
                         struct error *error)
{
    const char *name = world->scenario->nodes[world->scenario->station].name;
    struct waiting_work *work = NEW(struct waiting_work);
    work->item = *what_to_do;
    work->item.user = &work->done;
    workers_post(world->workers, worker, &work->item);
    int status = local_wait(world, is_flag_set, &work->done, world->scenario->time_limit_ns, what, error);
    if (status) {
        const int64_t until_ns = clock_now_ns() + WORKER_LIMIT_NS;
        workers_cancel(world->workers);
        while (!work->done && clock_now_ns() < until_ns)
            event_base_loop(world->base, EVLOOP_ONCE);
        if (!work->done) {
            world->stuck = true;
            return error_append(error, "; and the backend of node %s does not return", name);
        }
    } else if (work->item.status) {
        *error = work->item.error;
        status = error_prefix(error, "node %s", name);
    }
    free(work);
    return status;
}

/* ---- opening */

static struct event_base *make_base(void)
{
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static void read_station_facts(struct world *world)
{
    struct local_node *node = &world->nodes[world->scenario->station];
    struct machine_facts facts;
    machine_facts_read(&facts);
    node->host = facts.host;
    node->machine = facts.machine;
    node->system = facts.system;
    node->backend = compute_label(workers_instance(world->workers));
    node->facts = (struct node_facts){.host = node->host,
                                      .machine = node->machine,
                                      .system = node->system,
                                      .backend = node->backend,
                                      .processors = facts.processors,
                                      .memory_bytes = facts.memory_bytes,
                                      .pid = getpid()};
}

static int start_agents(struct world *world, struct error *error)
{
    char *path = spawn_agent_path(error);
    int status = path ? 0 : -1;
    for (uint32_t i = 0; i < world->scenario->node_count && status == 0; i++) {
        int control_fd;
        if (world->scenario->nodes[i].is_station)
            continue;
        pid_t pid = spawn_agent(path, &control_fd, error);
        if (pid < 0)
            status = error_prefix(error, "node %s", world->scenario->nodes[i].name);
        else
            peer_open(&world->nodes[i].peer, world->base, i, world->scenario->nodes[i].name, pid, control_fd,
                      &world->owner);
    }
    free(path);
    return status;
}

static void tell_configure(struct world *world, uint32_t index)
{
    const struct scenario_node *node = &world->scenario->nodes[index];
    const char *const *folders = world->setup.plugin_path;
    Wire__Configure body = WIRE__CONFIGURE__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    Wire__Setting *settings = NEW_ARRAY(Wire__Setting, node->backend.setting_count);
    body.settings = NEW_ARRAY(Wire__Setting *, node->backend.setting_count);
    for (size_t i = 0; i < node->backend.setting_count; i++) {
        const struct option_setting *from = &node->backend.settings[i];
        wire__setting__init(&settings[i]);
        settings[i].name = (char *)(uintptr_t)from->name;
        settings[i].text = (char *)(uintptr_t)from->text;
        settings[i].where = (char *)(uintptr_t)(from->where ? from->where : "");
        body.settings[i] = &settings[i];
    }
    body.n_settings = node->backend.setting_count;
    while (folders && folders[body.n_plugin_path])
        body.n_plugin_path++;
    body.plugin_path = (char **)(uintptr_t)folders;
    body.node = (char *)(uintptr_t)node->name;
    body.node_index = index;
    body.backend = (char *)(uintptr_t)node->backend.name;
    body.backend_where = (char *)(uintptr_t)(node->backend.where ? node->backend.where : "");
    body.threads = node->threads;
    body.cpu_share = node->cpu_share;
    body.seed = world->setup.seed;
    body.sample_every_ns = (uint64_t)world->scenario->sample_every_ns;
    body.log_level = (uint32_t)log_level();
    message.body_case = WIRE__MESSAGE__BODY_CONFIGURE;
    message.configure = &body;
    peer_tell(&world->nodes[index].peer, &message);
    free(body.settings);
    free(settings);
}

static void tell_connect(struct world *world, struct peer *peer)
{
    char host[] = "127.0.0.1";
    Wire__ConnectData body = WIRE__CONNECT_DATA__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.host = host;
    body.port = listener_port(world->listener);
    body.secret.data = world->secret;
    body.secret.len = sizeof(world->secret);
    message.body_case = WIRE__MESSAGE__BODY_CONNECT_DATA;
    message.connect_data = &body;
    peer_tell(peer, &message);
}

static bool all_devices(const struct world *world, bool (*is)(const struct local_node *node))
{
    for (uint32_t i = 0; i < world->scenario->node_count; i++) {
        if (!world->scenario->nodes[i].is_station && !is(&world->nodes[i]))
            return false;
    }
    return true;
}

static bool has_greeted(const struct local_node *node)
{
    return node->greeted;
}

static bool all_greeted(struct world *world, void *argument)
{
    (void)argument;
    return all_devices(world, has_greeted);
}

static bool is_set_up(const struct local_node *node)
{
    return node->configured && node->connected && node->peer.data_fd >= 0;
}

static bool all_set_up(struct world *world, void *argument)
{
    (void)argument;
    return all_devices(world, is_set_up);
}

static int set_up_agents(struct world *world, struct error *error)
{
    if (start_agents(world, error) ||
        local_wait(world, all_greeted, NULL, HELLO_LIMIT_NS, "starting the agents", error))
        return -1;
    for (uint32_t i = 0; i < world->scenario->node_count; i++) {
        if (world->scenario->nodes[i].is_station)
            continue;
        tell_configure(world, i);
        tell_connect(world, &world->nodes[i].peer);
    }
    return local_wait(world, all_set_up, NULL, CONFIGURE_LIMIT_NS, "setting up the agents", error);
}

/*
 * Waking a processor from a sleep state takes tens of microseconds, several times in a task, which a real device and a
 * real station would not add to each other's. While this descriptor is open, the kernel keeps processors awake (PM
 * QoS); only privileged users may ask for that, and others do without.
 */
static int keep_awake(void)
{
    const int32_t latency_us = 0;
    int fd = open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, &latency_us, sizeof(latency_us)) == sizeof(latency_us))
        return fd;
    log_info("local", "processors may sleep during the run, which adds tens of microseconds to each task: %s",
             strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static int open_parts(struct world *world, struct error *error)
{
    const struct scenario *scenario = world->scenario;
    const struct timeval tick = {.tv_usec = TICK_NS / NS_PER_US};
    if (getrandom(world->secret, sizeof(world->secret), 0) != (ssize_t)sizeof(world->secret))
        return error_set(error, ERROR_RUN, "no random numbers for the run's secret: %s", strerror(errno));
    world->listener = listener_open(world, error);
    if (!world->listener || open_shaper(world, error))
        return -1;
    world->workers =
        workers_open(world->setup.catalogue, &scenario->nodes[scenario->station], world->setup.seed, error);
    if (!world->workers)
        return error_prefix(error, "node %s", scenario->nodes[scenario->station].name);
    world->done_event = event_new(world->base, workers_done_fd(world->workers), EV_READ | EV_PERSIST, on_done, world);
    event_add(world->done_event, NULL);
    world->tick = event_new(world->base, -1, EV_PERSIST, on_tick, world);
    event_add(world->tick, &tick);
    read_station_facts(world);
    return set_up_agents(world, error);
}

static void local_close(struct world *world);

static struct world *local_open(const struct world_setup *setup, struct error *error)
{
    struct world *world = NEW(struct world);
    world->setup = *setup;
    world->scenario = setup->scenario;
    world->owner = (struct peer_owner){.context = world,
                                       .silence_ns = world->scenario->silence_ns,
                                       .message = on_message,
                                       .frame_begin = on_frame_begin,
                                       .frame_end = on_frame_end,
                                       .lost = on_lost};
    world->nodes = NEW_ARRAY(struct local_node, world->scenario->node_count);
    for (uint32_t i = 0; i < world->scenario->node_count; i++)
        world->nodes[i].loaded = NEW_ARRAY(bool, world->scenario->model_count);
    world->base = make_base();
    world->awake_fd = keep_awake();
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    if (!world->base)
        error_set(error, ERROR_RUN, "the event loop cannot be made: %s", strerror(errno));
    else if (open_parts(world, error) == 0)
        return world;
    local_close(world);
    return NULL;
}

static const struct node_facts *local_facts(struct world *world, uint32_t node)
{
    return &world->nodes[node].facts;
}

/* ---- profiling */

struct loading {
    uint32_t node, model;
};

static bool is_loaded(struct world *world, void *argument)
{
    const struct loading *loading = argument;
    return world->nodes[loading->node].loaded[loading->model];
}

void local_fill_load(const struct scenario *scenario, uint32_t model, Wire__LoadModel *load)
{
    const struct model *what = scenario->models[model].model;
    wire__load_model__init(load);
    load->model = model;
    load->path = (char *)(uintptr_t)model_path(what);
    load->hash = (char *)(uintptr_t)model_view(what)->hash;
}

static void tell_load(struct world *world, uint32_t node, uint32_t model)
{
    Wire__LoadModel body;
    Wire__Message message = WIRE__MESSAGE__INIT;
    local_fill_load(world->scenario, model, &body);
    message.body_case = WIRE__MESSAGE__BODY_LOAD_MODEL;
    message.load_model = &body;
    peer_tell(&world->nodes[node].peer, &message);
}

static int load_model(struct world *world, uint32_t node, uint32_t model, struct error *error)
{
    struct loading loading = {node, model};
    if (is_loaded(world, &loading))
        return 0;
    tell_load(world, node, model);
    return local_wait(world, is_loaded, &loading, world->scenario->time_limit_ns, "loading a model", error);
}

static int profile_station(struct world *world, uint32_t model, uint32_t batch, struct layer_time *times,
                           struct error *error)
{
    struct worker_item item = {.kind = WORK_PROFILE,
                               .model = world->scenario->models[model].model,
                               .warmups = world->scenario->profile_warmups,
                               .repeats = world->scenario->profile_repeats,
                               .batch = batch,
                               .times = times};
    return work_and_wait(world, 0, &item, "profiling", error);
}

static int profile_device(struct world *world, uint32_t index, uint32_t model, struct layer_time *times,
                          struct error *error)
{
    struct local_node *node = &world->nodes[index];
    Wire__Profile body = WIRE__PROFILE__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    if (load_model(world, index, model, error))
        return -1;
    node->profile = times;
    node->profile_layers = model_view(world->scenario->models[model].model)->layer_count;
    node->profiled = false;
    body.model = model;
    body.warmups = world->scenario->profile_warmups;
    body.repeats = world->scenario->profile_repeats;
    message.body_case = WIRE__MESSAGE__BODY_PROFILE;
    message.profile = &body;
    peer_tell(&node->peer, &message);
    int status = local_wait(world, is_flag_set, &node->profiled, world->scenario->time_limit_ns, "profiling", error);
    node->profile = NULL;
    return status;
}

static int local_profile(struct world *world, uint32_t node, uint32_t model, struct layer_time *times,
                         struct error *error)
{
    return node == world->scenario->station ? profile_station(world, model, 1, times, error)
                                            : profile_device(world, node, model, times, error);
}

/* ---- deploying */

static uint32_t find_hop(const struct local_way *way, uint32_t node)
{
    uint32_t hop = 0;
    while (hop < way->count && way->hops[hop].node != node)
        hop++;
    return hop;
}

bool local_has_part(const struct local_way *way, uint32_t hop)
{
    return hop < way->count && (hop == 0 || way->hops[hop].first < way->hops[hop].cut);
}

bool local_passes(const struct world *world, uint32_t stream, uint32_t node)
{
    return find_hop(&world->ways[stream], node) < world->ways[stream].count;
}

static bool has_part(const struct world *world, uint32_t stream, uint32_t node)
{
    return local_has_part(&world->ways[stream], find_hop(&world->ways[stream], node));
}

static bool is_stream_of(const struct world *world, uint32_t stream, uint32_t node)
{
    return world->scenario->streams[stream].device == node;
}

static bool has_parts(const struct world *world, uint32_t node)
{
    for (uint32_t i = 0; i < world->scenario->stream_count; i++)
        if (has_part(world, i, node))
            return true;
    return false;
}

void local_fill_plan(const struct scenario *scenario, uint32_t stream, const struct local_way *way, uint32_t hop,
                     Wire__StreamPlan *plan)
{
    wire__stream_plan__init(plan);
    plan->stream = stream;
    plan->model = scenario->streams[stream].model;
    plan->first = way->hops[hop].first;
    plan->cut = way->hops[hop].cut;
    plan->part = way->hops[hop].part;
    plan->order = (uint32_t *)(uintptr_t)way->order;
    plan->n_order = way->order ? model_view(scenario->models[plan->model].model)->layer_count : 0;
    plan->on_the_way = hop > 0;
    plan->result_to_station = scenario->streams[stream].result_to_station;
    plan->result_returns = scenario->streams[stream].result_returns;
}

static void tell_deploy(struct world *world, uint32_t node)
{
    const struct scenario *scenario = world->scenario;
    Wire__Deploy body = WIRE__DEPLOY__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    Wire__StreamPlan *plans = NEW_ARRAY(Wire__StreamPlan, scenario->stream_count);
    body.streams = NEW_ARRAY(Wire__StreamPlan *, scenario->stream_count);
    for (uint32_t i = 0; i < scenario->stream_count; i++) {
        if (!has_part(world, i, node))
            continue;
        Wire__StreamPlan *plan = &plans[body.n_streams];
        local_fill_plan(scenario, i, &world->ways[i], find_hop(&world->ways[i], node), plan);
        body.streams[body.n_streams++] = plan;
    }
    message.body_case = WIRE__MESSAGE__BODY_DEPLOY;
    message.deploy = &body;
    peer_tell(&world->nodes[node].peer, &message);
    free(body.streams);
    free(plans);
}

static uint32_t input_number(const struct napm_model *view, uint32_t tensor)
{
    for (uint32_t i = 0; i < view->input_count; i++) {
        if (view->inputs[i] == tensor)
            return i;
    }
    return 0;
}

static int read_input(const struct world *world, const struct scenario_input *from, const struct napm_tensor *what,
                      struct tensor *tensor, struct error *error)
{
    size_t length = from->path ? strlen(from->path) : 0;
    char *source = !from->path ? text_copy("random")
                   : length > 4 && strcmp(from->path + length - 4, ".bin") == 0
                       ? text_format("%s:%u", from->path, from->record)
                       : text_copy(from->path);
    int status = tensor_read(source, what, world->setup.seed, tensor, error);
    free(source);
    return status;
}

/* The stream's input tensors go to its device, once. */
static int send_inputs(struct world *world, uint32_t stream, struct error *error)
{
    const struct scenario_stream *spec = &world->scenario->streams[stream];
    const struct model *model = world->scenario->models[spec->model].model;
    const struct napm_model *view = model_view(model);
    uint64_t all_bytes;
    uint32_t *indices = NEW_ARRAY(uint32_t, view->tensor_count);
    uint32_t count = model_cut(model, 0, &all_bytes, indices), read = 0;
    struct tensor *tensors = NEW_ARRAY(struct tensor, count);
    const void **data = NEW_ARRAY(const void *, count);
    uint64_t *bytes = NEW_ARRAY(uint64_t, count);
    int status = 0;
    for (; read < count && status == 0; read++) {
        const struct napm_tensor *what = view->tensors[indices[read]];
        status = read_input(world, &spec->inputs[input_number(view, indices[read])], what, &tensors[read], error);
        data[read] = tensors[read].data;
        bytes[read] = what->bytes;
        if (status == 0 && tensors[read].count * sizeof(float) != what->bytes)
            status = error_set(error, ERROR_INPUT, "input \"%s\" is no float32 tensor: that is not supported yet",
                               what->name);
    }
    struct frame_header header = {.kind = FRAME_INPUT, .stream = stream};
    if (status == 0)
        status = peer_send_whole(&world->nodes[spec->device].peer, &header, data, bytes, count, error);
    for (uint32_t i = 0; i < read; i++)
        tensor_free(&tensors[i]);
    free(bytes);
    free(data);
    free(tensors);
    free(indices);
    return status ? error_prefix(error, "inputs of stream %s", spec->name) : 0;
}

static int deploy_device(struct world *world, uint32_t node, struct error *error)
{
    for (uint32_t i = 0; i < world->scenario->stream_count; i++) {
        if (has_part(world, i, node) && load_model(world, node, world->scenario->streams[i].model, error))
            return -1;
    }
    tell_deploy(world, node);
    if (local_wait(world, is_flag_set, &world->nodes[node].deploy_ready, world->scenario->time_limit_ns, "deploying",
                   error))
        return -1;
    for (uint32_t i = 0; i < world->scenario->stream_count; i++) {
        if (is_stream_of(world, i, node) && send_inputs(world, i, error))
            return -1;
    }
    return local_wait(world, is_flag_set, &world->nodes[node].deployed, world->scenario->time_limit_ns, "warming up",
                      error);
}

static int prepare_parts(struct world *world, struct worker_part **parts, uint32_t count, struct error *error)
{
    if (count == 0)
        return 0;
    workers_place(world->workers, parts, count);
    for (uint32_t i = 0; i < workers_count(world->workers); i++) {
        struct worker_item item = {.kind = WORK_PREPARE, .parts = parts, .part_count = count};
        if (work_and_wait(world, i, &item, "deploying", error))
            return -1;
    }
    return 0;
}

static int deploy_station(struct world *world, struct error *error)
{
    const struct scenario *scenario = world->scenario;
    struct worker_part **parts = NEW_ARRAY(struct worker_part *, scenario->stream_count);
    uint32_t count = 0;
    world->station_parts = NEW_ARRAY(struct worker_part *, scenario->stream_count);
    for (uint32_t i = 0; i < scenario->stream_count; i++) {
        const struct model *model = scenario->models[scenario->streams[i].model].model;
        uint32_t cut = world->ways[i].hops[world->ways[i].count - 1].cut;
        bool is_new;
        if (cut == model_view(model)->layer_count)
            continue;
        world->station_parts[i] = workers_part(world->workers, model, world->ways[i].order, cut, &is_new);
        if (is_new)
            parts[count++] = world->station_parts[i];
    }
    int status = prepare_parts(world, parts, count, error);
    if (!world->stuck)
        free(parts);
    return status;
}

static const struct local_order *know_order(struct world *world, uint32_t model, const uint32_t *layers)
{
    const uint32_t count = model_view(world->scenario->models[model].model)->layer_count;
    struct local_order *known = world->orders;
    while (known && (known->model != model || !order_same(known->layers, layers, 0, count)))
        known = known->next;
    if (known)
        return known;
    known = memory_new(sizeof(*known) + count * sizeof(*layers));
    known->model = model;
    known->number = world->orders ? world->orders->number + 1 : 1;
    memcpy(known->layers, layers, count * sizeof(*layers));
    known->next = world->orders;
    world->orders = known;
    return known;
}

int local_lay_way(struct world *world, uint32_t stream, const uint32_t *order, const uint32_t *cuts,
                  struct local_way *way, struct error *error)
{
    const struct scenario *scenario = world->scenario;
    const struct local_order *known = order ? know_order(world, scenario->streams[stream].model, order) : NULL;
    uint32_t layers = model_view(scenario->models[scenario->streams[stream].model].model)->layer_count;
    uint32_t node = scenario->streams[stream].device, done = 0;
    way->count = scenario_way_length(scenario, node);
    way->order = known ? known->layers : NULL;
    way->order_number = known ? known->number : 0;
    way->hops = NEW_ARRAY(struct local_hop, way->count);
    for (uint32_t h = 0; h < way->count; h++) {
        const uint32_t link = scenario->link_of_node[node];
        if (cuts[h] > layers || cuts[h] < done)
            return error_set(error, ERROR_RUN, "stream %s: cut %u behind cut %u of a model with %u layers",
                             scenario->streams[stream].name, cuts[h], done, layers);
        way->hops[h] = (struct local_hop){.node = node, .link = link, .first = done, .cut = cuts[h]};
        node = scenario->links[link].upper;
        done = cuts[h];
    }
    return 0;
}

static int lay_ways(struct world *world, const struct placements *placements, struct error *error)
{
    const struct scenario *scenario = world->scenario;
    const uint32_t *cuts = placements->cuts;
    world->ways = NEW_ARRAY(struct local_way, scenario->stream_count);
    for (uint32_t i = 0; i < scenario->stream_count; cuts += world->ways[i++].count)
        if (local_lay_way(world, i, placements_order(placements, i), cuts, &world->ways[i], error))
            return -1;
    return 0;
}

void local_note_part(struct world *world, uint32_t stream, const struct local_way *way, uint32_t number)
{
    const struct local_hop *hop = &way->hops[number];
    struct local_node *node = &world->nodes[hop->node];
    const uint32_t model = world->scenario->streams[stream].model;
    const int64_t *profile = world->layer_ns[hop->node] ? world->layer_ns[hop->node][model] : NULL;
    int64_t task_ns = 0;
    for (uint32_t place = hop->first; profile && place < hop->cut; place++)
        task_ns += profile[order_layer(way->order, place)];
    node->task_ns = task_ns > node->task_ns ? task_ns : node->task_ns;
}

static void keep_times(struct world *world, const int64_t *const *const *layer_ns)
{
    const struct scenario *scenario = world->scenario;
    world->layer_ns = layer_ns;
    for (uint32_t i = 0; i < scenario->stream_count; i++)
        for (uint32_t h = 0; h < world->ways[i].count; h++)
            local_note_part(world, i, &world->ways[i], h);
    world->station_layer_ns = NEW_ARRAY(int64_t *, scenario->model_count);
    for (uint32_t i = 0; i < scenario->model_count; i++) {
        const int64_t *profile = layer_ns[scenario->station] ? layer_ns[scenario->station][i] : NULL;
        uint32_t layers = model_view(scenario->models[i].model)->layer_count;
        world->station_layer_ns[i] =
            profile ? memory_copy(profile, layers * sizeof(*profile)) : memory_new_array(layers, sizeof(*profile));
    }
}

static int local_deploy(struct world *world, const struct placements *placements, const int64_t *const *const *layer_ns,
                        struct error *error)
{
    const struct scenario *scenario = world->scenario;
    if (world->ways)
        return error_set(error, ERROR_RUN, "a plan has been deployed already");
    if (lay_ways(world, placements, error))
        return -1;
    keep_times(world, layer_ns);
    for (uint32_t i = 0; i < scenario->node_count; i++) {
        if (!scenario->nodes[i].is_station && has_parts(world, i) && deploy_device(world, i, error))
            return -1;
    }
    return deploy_station(world, error);
}

static int local_drive(struct world *world, const struct world_sink *sink, struct error *error)
{
    if (!world->station_parts)
        return error_set(error, ERROR_RUN, "nothing has been deployed");
    return drive_run(world, sink, error);
}

static int local_probe(struct world *world, uint32_t link, struct link_report report[2], struct error *error)
{
    return probe_link(world, link, report, error);
}

/* ---- closing */

static void free_event(struct event *event)
{
    if (event)
        event_free(event);
}

static void free_orders(struct world *world)
{
    while (world->orders) {
        struct local_order *next = world->orders->next;
        free(world->orders);
        world->orders = next;
    }
}

static void local_close(struct world *world)
{
    const struct scenario *scenario = world->scenario;
    if (world->awake_fd >= 0)
        close(world->awake_fd);
    if (world->stuck) {
        for (uint32_t i = 0; i < scenario->node_count; i++)
            peer_kill(&world->nodes[i].peer);
        return;
    }
    if (world->workers)
        workers_cancel(world->workers);
    for (uint32_t i = 0; i < scenario->node_count; i++)
        peer_stop(&world->nodes[i].peer);
    for (uint32_t i = 0; i < scenario->node_count; i++)
        peer_close(&world->nodes[i].peer);
    free_event(world->done_event);
    free_event(world->tick);
    workers_close(world->workers);
    shaper_free(world->shaper);
    listener_close(world->listener);
    if (world->base)
        event_base_free(world->base);
    for (uint32_t i = 0; i < scenario->node_count; i++) {
        free(world->nodes[i].loaded);
        free(world->nodes[i].host);
        free(world->nodes[i].machine);
        free(world->nodes[i].system);
        free(world->nodes[i].backend);
    }
    for (uint32_t i = 0; world->station_layer_ns && i < scenario->model_count; i++)
        free(world->station_layer_ns[i]);
    free(world->station_layer_ns);
    free(world->station_parts);
    for (uint32_t i = 0; world->ways && i < scenario->stream_count; i++)
        free(world->ways[i].hops);
    free(world->ways);
    free_orders(world);
    free(world->nodes);
    free(world);
}

const struct world_kind local_world = {.name = "local",
                                       .summary = "agent processes on this machine, links shaped in user space",
                                       .open = local_open,
                                       .facts = local_facts,
                                       .profile = local_profile,
                                       .profile_batch = profile_station,
                                       .probe = local_probe,
                                       .deploy = local_deploy,
                                       .drive = local_drive,
                                       .close = local_close};
