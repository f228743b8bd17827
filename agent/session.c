/* SPDX-License-Identifier: Apache-2.0 */
/* One agent's life: the main thread's event loop over control connection, data connection and timers. */
#include "agent/session.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/data.h"
#include "agent/work.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/compute/compute.h"
#include "core/compute/monitor.h"
#include "core/compute/stress.h"
#include "core/wire/control.h"

#define CONTENT_BYTES_MAX (UINT64_C(1) << 30)
#define PROBES_MAX 64u
#define THREADS_MAX 1024u

struct session {
    struct control control;
    struct data_link data;
    struct event_base *base;
    struct event *control_event, *data_end, *sample_timer, *alive_timer;
    struct error data_trouble; /* why the data connection has ended */
    struct catalogue *catalogue;
    Wire__Configure *asked; /* what `how` points into */
    struct option_setting *settings;
    char *label;
    struct compute_settings how;
    struct compute *compute; /* until the work takes it over */
    struct work *work; /* NULL: not configured */
    struct stress *stress;
    struct monitor monitor;
    uint32_t node_index;
    uint8_t *scratch; /* for content that is received but not used; the data connection's thread's */
    size_t scratch_bytes;
    int exit_code;
};

/* The session cannot go on. */
static void fail(struct session *session, const struct error *why)
{
    control_send_error(&session->control, why, NULL);
    session->exit_code = 1;
    event_base_loopbreak(session->base);
}

/* ---- data connection */

static int make_scratch(struct session *session, uint64_t bytes, struct error *error)
{
    if (bytes <= session->scratch_bytes)
        return 0;
    free(session->scratch);
    session->scratch = memory_try_aligned((size_t)bytes);
    session->scratch_bytes = session->scratch ? (size_t)bytes : 0;
    return session->scratch ? 0 : error_set(error, ERROR_RUN, "no memory for a frame of %" PRIu64 " bytes", bytes);
}

static int begin_frame(void *context, const struct frame_header *header, int64_t **layer_ns, void **payload,
                       struct error *error)
{
    struct session *session = context;
    (void)layer_ns;
    if (!session->work || header->layer_count)
        return error_set(error, ERROR_RUN, "data connection: unexpected frame of kind %u", header->kind);
    if (header->kind == FRAME_INPUT) {
        *payload = work_input_room(session->work, header->stream, header->payload_bytes);
        return *payload ? 0
                        : error_set(error, ERROR_RUN,
                                    "data connection: input of %" PRIu64 " bytes for stream %u "
                                    "was not expected",
                                    header->payload_bytes, header->stream);
    }
    if (header->kind == FRAME_TASK) {
        *payload = work_task_room(session->work, header->stream, header->part, header->payload_bytes);
        return *payload ? 0
                        : error_set(error, ERROR_RUN,
                                    "data connection: no room for a task of stream %u with %" PRIu64 " bytes",
                                    header->stream, header->payload_bytes);
    }
    bool fits = false;
    if (header->kind == FRAME_EXPECT)
        fits = header->payload_bytes == 0 && header->started_ns >= 0 && header->ended_ns >= header->started_ns &&
               header->ended_ns - header->started_ns <= FRAME_EXPECT_NS_MAX;
    else if (header->kind == FRAME_PROBE || header->kind == FRAME_AHEAD)
        fits = header->payload_bytes <= CONTENT_BYTES_MAX;
    else if (header->kind == FRAME_RESULT)
        fits = header->payload_bytes == 0 || work_result_fits(session->work, header->stream, header->payload_bytes);
    if (!fits)
        return error_set(error, ERROR_RUN, "data connection: frame of kind %u with %" PRIu64 " bytes was not expected",
                         header->kind, header->payload_bytes);
    if (make_scratch(session, header->payload_bytes, error))
        return -1;
    *payload = session->scratch;
    return 0;
}

static int end_frame(void *context, const struct frame_header *header, struct error *error)
{
    struct session *session = context;
    int64_t now_ns = clock_now_ns();
    if (header->kind == FRAME_INPUT) {
        work_input_came(session->work, header->stream);
        return 0;
    }
    if (header->kind == FRAME_AHEAD)
        return 0;
    if (header->kind == FRAME_EXPECT) {
        data_expect(&session->data, header->started_ns, header->ended_ns);
        return 0;
    }
    if (header->kind == FRAME_RESULT || header->kind == FRAME_TASK)
        atomic_fetch_add(&session->data.received_bytes, header->tensor_bytes);
    if (header->kind == FRAME_TASK) {
        work_task_came(session->work, header->stream, header->part, header->task);
        return 0;
    }
    struct frame_header reply = {.kind = header->kind == FRAME_PROBE ? FRAME_PROBED : FRAME_RETURNED,
                                 .stream = header->stream,
                                 .task = header->task,
                                 .due_ns = header->sent_ns,
                                 .ended_ns = now_ns};
    return data_send(&session->data, &reply, NULL, NULL, NULL, 0, error);
}

/* On the data connection's thread. */
static void on_data_end(void *context, const struct error *why)
{
    struct session *session = context;
    session->data_trouble = *why;
    event_active(session->data_end, EV_READ, 0);
}

static void end_without_data(evutil_socket_t fd, short what, void *context)
{
    struct session *session = context;
    (void)fd;
    (void)what;
    fail(session, &session->data_trouble);
}

/* ---- samples */

/* The controller may be busy (a partitioner can think for minutes) and read nothing: samples are not worth waiting. */
static bool is_read(const struct session *session)
{
    struct pollfd room = {.fd = session->control.write_fd, .events = POLLOUT};
    return poll(&room, 1, 0) > 0;
}

static void send_sample(struct session *session, bool only_alive)
{
    if (!is_read(session))
        return;
    Wire__Sample body = WIRE__SAMPLE__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    struct monitor_sample sample = {0};
    body.only_alive = only_alive;
    if (!only_alive)
        monitor_sample(&session->monitor, &sample);
    body.at_ns = sample.at_ns;
    body.cpu_share = sample.cpu_share;
    body.resident_bytes = sample.resident_bytes;
    body.machine_available_bytes = sample.machine_available_bytes;
    body.machine_load = sample.machine_load;
    body.received_bytes = atomic_load(&session->data.received_bytes);
    body.sent_bytes = atomic_load(&session->data.sent_bytes);
    body.energy_j = -1;
    message.body_case = WIRE__MESSAGE__BODY_SAMPLE;
    message.sample = &body;
    struct error error;
    if (control_send(&session->control, &message, &error))
        event_base_loopbreak(session->base);
}

static void on_sample(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    send_sample(context, false);
}

static void on_alive(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    send_sample(context, true);
}

/* ---- control connection */

static int send_configured(struct session *session, struct error *error)
{
    Wire__Configured body = WIRE__CONFIGURED__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.backend = compute_label(compute_instance(session->compute));
    message.body_case = WIRE__MESSAGE__BODY_CONFIGURED;
    message.configured = &body;
    int status = control_send(&session->control, &message, error);
    free(body.backend);
    return status;
}

/* Messages are only valid while they are handled. */
static Wire__Configure *copy_configure(const Wire__Configure *asked)
{
    size_t bytes = wire__configure__get_packed_size(asked);
    uint8_t *packed = memory_new(bytes);
    wire__configure__pack(asked, packed);
    Wire__Configure *copy = wire__configure__unpack(NULL, bytes, packed);
    free(packed);
    return copy;
}

/* How each engine opens its backend. */
static void keep_how(struct session *session, const Wire__Configure *message)
{
    const Wire__Configure *asked = session->asked = copy_configure(message);
    session->settings = NEW_ARRAY(struct option_setting, asked->n_settings);
    for (size_t i = 0; i < asked->n_settings; i++)
        session->settings[i] =
            (struct option_setting){asked->settings[i]->name, asked->settings[i]->text, asked->settings[i]->where};
    session->label = text_format("backend:%s", asked->node);
    session->how = (struct compute_settings){.backend = {.name = asked->backend,
                                                         .where = asked->backend_where[0] ? asked->backend_where : NULL,
                                                         .settings = session->settings,
                                                         .setting_count = asked->n_settings},
                                             .threads = asked->threads,
                                             .cpu_share = asked->cpu_share,
                                             .host = {.label = session->label, .seed = asked->seed}};
}

static void free_how(struct session *session)
{
    if (session->asked)
        wire__configure__free_unpacked(session->asked, NULL);
    free(session->settings);
    free(session->label);
}

static int open_compute(struct session *session, const Wire__Configure *asked, struct error *error)
{
    const char **folders = NEW_ARRAY(const char *, asked->n_plugin_path + 1);
    for (size_t i = 0; i < asked->n_plugin_path; i++)
        folders[i] = asked->plugin_path[i];
    session->catalogue = catalogue_open(asked->n_plugin_path ? folders : NULL, error);
    free(folders);
    if (!session->catalogue)
        return -1;
    keep_how(session, asked);
    session->compute = compute_open(session->catalogue, &session->how, error);
    return session->compute ? 0 : -1;
}

static void start_timer(struct session *session, struct event **timer, int64_t period_ns, event_callback_fn callback)
{
    struct timeval period = {.tv_sec = period_ns / NS_PER_S, .tv_usec = period_ns % NS_PER_S / NS_PER_US};
    *timer = event_new(session->base, -1, EV_PERSIST, callback, session);
    event_add(*timer, &period);
}

static int configure(struct session *session, const Wire__Configure *asked, struct error *error)
{
    if (session->catalogue)
        return error_set(error, ERROR_RUN, "this agent is configured already");
    if (asked->threads == 0 || asked->threads > THREADS_MAX || !(asked->cpu_share > 0 && asked->cpu_share <= 1))
        return error_set(error, ERROR_RUN, "cannot compute with %u threads and %g of a processor", asked->threads,
                         asked->cpu_share);
    log_set_level((enum log_level)asked->log_level);
    session->node_index = asked->node_index;
    if (open_compute(session, asked, error) || send_configured(session, error))
        return -1;
    session->work = work_start(session->compute, session->catalogue, &session->how, &session->control, &session->data);
    session->compute = NULL;
    if (asked->sample_every_ns && asked->sample_every_ns <= INT64_MAX)
        start_timer(session, &session->sample_timer, (int64_t)asked->sample_every_ns, on_sample);
    return 0;
}

static int connect_data(struct session *session, const Wire__ConnectData *asked, struct error *error)
{
    if (session->data.fd >= 0 || asked->secret.len != FRAME_SECRET_BYTES || asked->port > UINT16_MAX)
        return error_set(error, ERROR_RUN, "malformed request to connect for data");
    if (data_connect(&session->data, asked->host, (uint16_t)asked->port, asked->secret.data, session->node_index,
                     error))
        return -1;
    const struct frame_receiver receiver = {.context = session, .begin = begin_frame, .end = end_frame};
    session->data_end = event_new(session->base, -1, 0, end_without_data, session);
    if (data_listen(&session->data, &receiver, on_data_end, error))
        return -1;
    Wire__Connected body = WIRE__CONNECTED__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    message.body_case = WIRE__MESSAGE__BODY_CONNECTED;
    message.connected = &body;
    return control_send(&session->control, &message, error);
}

static int send_probes(struct session *session, const Wire__Probe *asked, struct error *error)
{
    if (asked->bytes == 0 || asked->bytes > CONTENT_BYTES_MAX || asked->count > PROBES_MAX)
        return error_set(error, ERROR_RUN, "a probe of %" PRIu64 " bytes is not made", asked->bytes);
    void *buffer = memory_try_aligned((size_t)asked->bytes);
    if (!buffer)
        return error_set(error, ERROR_RUN, "no memory for a probe of %" PRIu64 " bytes", asked->bytes);
    memset(buffer, 0, (size_t)asked->bytes);
    const void *filler = buffer;
    int status = 0;
    for (uint32_t i = 0; i < asked->count && status == 0; i++) {
        struct frame_header header = {.kind = FRAME_PROBE, .stream = asked->link, .task = i};
        status = data_send(&session->data, &header, NULL, &filler, &asked->bytes, 1, error);
    }
    free(buffer);
    return status;
}

static void start_stress(struct session *session, const Wire__Stress *asked)
{
    struct stress_level *levels = NEW_ARRAY(struct stress_level, asked->n_levels);
    for (size_t i = 0; i < asked->n_levels; i++)
        levels[i] = (struct stress_level){asked->levels[i]->from_ns, asked->levels[i]->cpu_share,
                                          asked->levels[i]->memory_bytes};
    stress_stop(session->stress);
    session->stress = asked->n_levels ? stress_start(levels, asked->n_levels) : NULL;
    free(levels);
}

static int do_configured(struct session *session, const Wire__Message *message, struct error *error)
{
    switch (message->body_case) {
    case WIRE__MESSAGE__BODY_CONNECT_DATA:
        return connect_data(session, message->connect_data, error);
    case WIRE__MESSAGE__BODY_LOAD_MODEL:
        work_load_model(session->work, message->load_model->model, message->load_model->path,
                        message->load_model->hash);
        return 0;
    case WIRE__MESSAGE__BODY_PROFILE:
        work_profile(session->work, message->profile->model, message->profile->warmups, message->profile->repeats);
        return 0;
    case WIRE__MESSAGE__BODY_DEPLOY:
        work_deploy(session->work, message->deploy);
        return 0;
    case WIRE__MESSAGE__BODY_START:
        if (work_start_task(session->work, message->start->stream, message->start->part, message->start->task,
                            message->start->due_ns))
            return error_set(error, ERROR_RUN, "part %u of stream %u has not been deployed here", message->start->part,
                             message->start->stream);
        return 0;
    case WIRE__MESSAGE__BODY_PREPARE:
        work_prepare(session->work, message->prepare);
        return 0;
    case WIRE__MESSAGE__BODY_GIVE_UP:
        if (work_give_up(session->work, message->give_up->stream, message->give_up->part))
            return error_set(error, ERROR_RUN, "part %u of stream %u is not here to be given up",
                             message->give_up->part, message->give_up->stream);
        return 0;
    case WIRE__MESSAGE__BODY_PROBE:
        return send_probes(session, message->probe, error);
    case WIRE__MESSAGE__BODY_SPEED:
        if (!(message->speed->cpu_share > 0 && message->speed->cpu_share <= 1))
            return error_set(error, ERROR_RUN, "a speed of %g is not possible", message->speed->cpu_share);
        work_set_share(session->work, message->speed->cpu_share);
        return 0;
    case WIRE__MESSAGE__BODY_DROP:
        work_drop(session->work);
        return 0;
    case WIRE__MESSAGE__BODY_HALT:
        work_halt(session->work);
        start_stress(session, &(const Wire__Stress)WIRE__STRESS__INIT);
        return 0;
    default:
        return error_set(error, ERROR_RUN, "control message %d is not for an agent", (int)message->body_case);
    }
}

static int on_message(void *context, const Wire__Message *message, struct error *error)
{
    struct session *session = context;
    switch (message->body_case) {
    case WIRE__MESSAGE__BODY_CONFIGURE:
        return configure(session, message->configure, error);
    case WIRE__MESSAGE__BODY_STRESS:
        start_stress(session, message->stress);
        return 0;
    case WIRE__MESSAGE__BODY_STOP:
        event_base_loopbreak(session->base);
        return 0;
    default:
        if (!session->work)
            return error_set(error, ERROR_RUN, "control message %d before the agent was configured",
                             (int)message->body_case);
        return do_configured(session, message, error);
    }
}

static void on_control(evutil_socket_t fd, short what, void *context)
{
    struct session *session = context;
    struct error error = {0};
    int status = control_read(&session->control, on_message, session, &error);
    (void)fd;
    (void)what;
    if (status == 0)
        event_base_loopbreak(session->base); /* the controller is gone, and with it the reason to be here */
    else if (status < 0)
        fail(session, &error);
}

static int send_hello(struct session *session, struct error *error)
{
    Wire__Hello body = WIRE__HELLO__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    struct machine_facts facts;
    machine_facts_read(&facts);
    body.protocol = WIRE_PROTOCOL;
    body.version = (char *)(uintptr_t)PACKAGE_VERSION;
    body.pid = getpid();
    body.host = facts.host;
    body.machine = facts.machine;
    body.system = facts.system;
    body.processors = facts.processors;
    body.memory_bytes = facts.memory_bytes;
    message.body_case = WIRE__MESSAGE__BODY_HELLO;
    message.hello = &body;
    int status = control_send(&session->control, &message, error);
    machine_facts_free(&facts);
    return status;
}

static void free_event(struct event *event)
{
    if (event)
        event_free(event);
}

/* Frees everything, unless a layer is still running: then the process just ends. */
static void end_session(struct session *session)
{
    data_stop(&session->data); /* its thread uses the work */
    if (session->work && !work_stop(session->work))
        _exit(session->exit_code);
    stress_stop(session->stress);
    compute_close(session->compute);
    free_how(session);
    catalogue_close(session->catalogue);
    free_event(session->control_event);
    free_event(session->data_end);
    free_event(session->sample_timer);
    free_event(session->alive_timer);
    event_base_free(session->base);
    monitor_close(&session->monitor);
    data_close(&session->data);
    control_close(&session->control);
    free(session->scratch);
}

int session_run(int control_read_fd, int control_write_fd)
{
    struct session session = {.exit_code = 0};
    struct error error = {0};
    control_open(&session.control, control_read_fd, control_write_fd);
    data_init(&session.data);
    monitor_open(&session.monitor);
    evthread_use_pthreads(); /* the data connection's thread tells the loop of its end */
    session.base = event_base_new();
    session.control_event = event_new(session.base, control_read_fd, EV_READ | EV_PERSIST, on_control, &session);
    if (!session.control_event || event_add(session.control_event, NULL) || send_hello(&session, &error)) {
        log_error("agent", "%s", error.text[0] ? error.text : "the control connection cannot be watched");
        session.exit_code = 1;
    } else {
        start_timer(&session, &session.alive_timer, NS_PER_S, on_alive);
        event_base_dispatch(session.base);
    }
    end_session(&session);
    return session.exit_code;
}
