/* SPDX-License-Identifier: Apache-2.0 */
/* The controller's side of one agent. */
#include "core/world/peer.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/units.h"
#include "core/world/spawn.h"

/* After one connection's end the control connection's end usually follows, with a better explanation. */
#define BROKEN_PATIENCE_NS (300 * NS_PER_MS)
/* A process that is ending: time to become a zombie; time to end in order. */
#define ENDING_PATIENCE_NS (300 * NS_PER_MS)
#define STOP_PATIENCE_NS (2 * NS_PER_S)

static void end_event(struct event **event)
{
    if (*event)
        event_free(*event);
    *event = NULL;
}

/* With the lock held. */
static void drop_outgoing(struct peer *peer)
{
    while (peer->first_out) {
        struct peer_outgoing *next = peer->first_out->next;
        if (peer->first_out->owned)
            free(peer->first_out);
        peer->first_out = next;
    }
    peer->last_out = &peer->first_out;
}

static void end_connections(struct peer *peer)
{
    end_event(&peer->control_event);
    end_event(&peer->data_event);
    end_event(&peer->write_event);
    control_close(&peer->control);
    pthread_mutex_lock(&peer->send_lock);
    if (peer->data_fd >= 0)
        close(peer->data_fd);
    peer->data_fd = -1;
    drop_outgoing(peer);
    pthread_mutex_unlock(&peer->send_lock);
}

void peer_lose(struct peer *peer, const char *format, ...)
{
    char reason[512] = "";
    if (!peer->open || peer->lost)
        return;
    peer->lost = true;
    if (format) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(reason, sizeof(reason), format, arguments);
        va_end(arguments);
    }
    end_connections(peer);
    if (peer->pid > 0) {
        char how[128];
        spawn_reap(peer->pid, format ? 0 : ENDING_PATIENCE_NS, how, sizeof(how));
        peer->pid = -1;
        if (!format)
            snprintf(reason, sizeof(reason), "%s", how);
    } else if (!format) {
        snprintf(reason, sizeof(reason), "it has closed the connection");
    }
    snprintf(peer->cause, sizeof(peer->cause), "node %s is gone: %s", peer->name,
             peer->complaint ? peer->complaint : reason);
    peer->owner->lost(peer->owner->context, peer);
}

/* ---- control */

static int on_message(void *context, const Wire__Message *message, struct error *error)
{
    struct peer *peer = context;
    peer->heard_ns = clock_now_ns();
    if (message->body_case == WIRE__MESSAGE__BODY_ERROR) {
        free(peer->complaint);
        peer->complaint = text_copy(message->error->text);
        peer->complaint_kind = message->error->kind >= ERROR_INPUT && message->error->kind <= ERROR_CANCELLED
                                   ? (enum error_kind)message->error->kind
                                   : ERROR_RUN;
    }
    return peer->owner->message(peer->owner->context, peer, message, error);
}

static void on_control(evutil_socket_t fd, short what, void *context)
{
    struct peer *peer = context;
    struct error error = {0};
    (void)fd;
    (void)what;
    int status = control_read(&peer->control, on_message, peer, &error);
    if (status == 0)
        peer_lose(peer, NULL);
    else if (status < 0)
        peer_lose(peer, "%s", error.text);
}

void peer_open(struct peer *peer, struct event_base *base, uint32_t node, const char *name, pid_t pid, int control_fd,
               const struct peer_owner *owner)
{
    memset(peer, 0, sizeof(*peer));
    peer->node = node;
    peer->name = name;
    peer->base = base;
    peer->owner = owner;
    peer->pid = pid;
    peer->data_fd = -1;
    peer->last_out = &peer->first_out;
    peer->heard_ns = clock_now_ns();
    peer->open = true;
    pthread_mutex_init(&peer->send_lock, NULL);
    control_open(&peer->control, control_fd, control_fd);
    peer->control_event = event_new(base, control_fd, EV_READ | EV_PERSIST, on_control, peer);
    event_add(peer->control_event, NULL);
}

void peer_stop(struct peer *peer)
{
    Wire__Stop body = WIRE__STOP__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    if (!peer->open || peer->lost)
        return;
    message.body_case = WIRE__MESSAGE__BODY_STOP;
    message.stop = &body;
    control_send(&peer->control, &message, NULL);
}

void peer_kill(struct peer *peer)
{
    char how[128];
    if (peer->open && peer->pid > 0)
        spawn_reap(peer->pid, 0, how, sizeof(how));
    peer->pid = -1;
}

void peer_close(struct peer *peer)
{
    char how[128];
    if (!peer->open)
        return;
    if (!peer->lost)
        end_connections(peer); /* which also tells the agent to end */
    if (peer->pid > 0)
        spawn_reap(peer->pid, STOP_PATIENCE_NS, how, sizeof(how));
    free(peer->complaint);
    pthread_mutex_destroy(&peer->send_lock);
    peer->open = false;
}

void peer_tell(struct peer *peer, const Wire__Message *message)
{
    if (!peer->lost && !peer->broken_ns && control_send(&peer->control, message, NULL))
        peer->broken_ns = clock_now_ns(); /* not lost at once: this may be called while something of it is read */
}

/* ---- data */

static int on_frame_begin(void *context, const struct frame_header *header, int64_t **layer_ns, void **payload,
                          struct error *error)
{
    struct peer *peer = context;
    return peer->owner->frame_begin(peer->owner->context, peer, header, layer_ns, payload, error);
}

static int on_frame_end(void *context, const struct frame_header *header, struct error *error)
{
    struct peer *peer = context;
    return peer->owner->frame_end(peer->owner->context, peer, header, error);
}

static void on_data(evutil_socket_t fd, short what, void *context)
{
    struct peer *peer = context;
    struct error error = {0};
    const struct frame_receiver receiver = {.context = peer, .begin = on_frame_begin, .end = on_frame_end};
    (void)what;
    int status = frame_read(&peer->reader, fd, &receiver, &error);
    if (peer->lost)
        return;
    if (status < 0 && !(peer->reader.in_content || peer->reader.raw_got)) {
        peer_lose(peer, "%s", error.text);
    } else if (status < 0 || status == 0) {
        end_event(&peer->data_event);
        peer->broken_ns = clock_now_ns();
    }
}

void peer_connect_data(struct peer *peer, int fd)
{
    pthread_mutex_lock(&peer->send_lock);
    peer->data_fd = fd;
    pthread_mutex_unlock(&peer->send_lock);
    frame_reader_init(&peer->reader);
    peer->data_event = event_new(peer->base, fd, EV_READ | EV_PERSIST, on_data, peer);
    event_add(peer->data_event, NULL);
}

/* What the socket takes now, with the lock held. 1: all; 0: not all; -1: it takes nothing ever again. */
static int push(struct peer *peer, struct peer_outgoing *out)
{
    while (out->at < FRAME_HEADER_BYTES + out->payload_bytes) {
        struct iovec pieces[2];
        struct msghdr message = {.msg_iov = pieces};
        size_t in_payload = out->at > FRAME_HEADER_BYTES ? out->at - FRAME_HEADER_BYTES : 0;
        if (out->at < FRAME_HEADER_BYTES)
            pieces[message.msg_iovlen++] = (struct iovec){out->raw + out->at, FRAME_HEADER_BYTES - out->at};
        if (in_payload < out->payload_bytes)
            pieces[message.msg_iovlen++] =
                (struct iovec){(void *)(uintptr_t)(out->payload + in_payload), out->payload_bytes - in_payload};
        ssize_t sent = sendmsg(peer->data_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN)
            return 0;
        if (sent < 0 && errno != EINTR)
            return -1;
        out->at += sent > 0 ? (size_t)sent : 0;
    }
    return 1;
}

/* Sends what is queued, with the lock held. true: nothing is left. */
static bool push_queue(struct peer *peer)
{
    while (peer->first_out) {
        struct peer_outgoing *out = peer->first_out;
        int status = push(peer, out);
        if (status == 0)
            return false;
        if (status < 0) {
            drop_outgoing(peer); /* the reading side learns of it */
            return true;
        }
        peer->first_out = out->next;
        if (out->owned)
            free(out);
    }
    peer->last_out = &peer->first_out;
    return true;
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct peer *peer = context;
    (void)fd;
    (void)what;
    pthread_mutex_lock(&peer->send_lock);
    bool all = push_queue(peer);
    pthread_mutex_unlock(&peer->send_lock);
    if (all)
        end_event(&peer->write_event);
}

/* On the event loop's thread: queued frames go when the socket takes them. */
static void watch_writable(struct peer *peer)
{
    if (peer->write_event)
        return;
    peer->write_event = event_new(peer->base, peer->data_fd, EV_WRITE | EV_PERSIST, on_writable, peer);
    event_add(peer->write_event, NULL);
}

static void prepare_outgoing(struct peer_outgoing *out, const struct frame_header *header, const void *payload)
{
    frame_encode(header, out->raw);
    out->payload = payload;
    out->payload_bytes = (size_t)header->payload_bytes;
    out->at = 0;
    out->next = NULL;
    out->owned = false;
}

void peer_send(struct peer *peer, struct peer_outgoing *out, const struct frame_header *header, const void *payload)
{
    if (peer->lost || peer->data_fd < 0)
        return;
    prepare_outgoing(out, header, payload);
    pthread_mutex_lock(&peer->send_lock);
    bool queued = peer->first_out || push(peer, out) == 0;
    if (queued) {
        *peer->last_out = out;
        peer->last_out = &out->next;
    }
    pthread_mutex_unlock(&peer->send_lock);
    if (queued)
        watch_writable(peer);
}

void peer_forget(struct peer *peer)
{
    if (!peer->open)
        return;
    end_event(&peer->write_event);
    pthread_mutex_lock(&peer->send_lock);
    drop_outgoing(peer);
    pthread_mutex_unlock(&peer->send_lock);
}

/* What is left of a frame, last in the queue as a copy of its own. With the lock held. */
static void queue_copy(struct peer *peer, const struct peer_outgoing *begun)
{
    struct peer_outgoing *rest = memory_new(sizeof(*rest) + begun->payload_bytes);
    *rest = *begun;
    if (begun->payload_bytes)
        memcpy(rest + 1, begun->payload, begun->payload_bytes);
    rest->payload = (const uint8_t *)(rest + 1);
    rest->owned = true;
    *peer->last_out = rest;
    peer->last_out = &rest->next;
}

void peer_send_copy(struct peer *peer, const struct frame_header *header, const void *payload)
{
    struct peer_outgoing out;
    if (peer->lost || peer->data_fd < 0)
        return;
    prepare_outgoing(&out, header, payload);
    pthread_mutex_lock(&peer->send_lock);
    bool queued = peer->first_out || push(peer, &out) == 0;
    if (queued)
        queue_copy(peer, &out);
    pthread_mutex_unlock(&peer->send_lock);
    if (queued)
        watch_writable(peer);
}

enum peer_sent peer_send_now(struct peer *peer, const struct frame_header *header, const void *payload)
{
    struct peer_outgoing out;
    enum peer_sent sent = PEER_SENT_NOTHING;
    prepare_outgoing(&out, header, payload);
    pthread_mutex_lock(&peer->send_lock);
    if (peer->data_fd >= 0 && !peer->first_out) {
        bool all = push(peer, &out) != 0;
        sent = all ? PEER_SENT_ALL : out.at > 0 ? PEER_SENT_PART : PEER_SENT_NOTHING;
        if (sent == PEER_SENT_PART)
            queue_copy(peer, &out);
    }
    pthread_mutex_unlock(&peer->send_lock);
    return sent;
}

void peer_go_on(struct peer *peer)
{
    pthread_mutex_lock(&peer->send_lock);
    bool queued = peer->first_out != NULL;
    pthread_mutex_unlock(&peer->send_lock);
    if (queued)
        watch_writable(peer);
}

int peer_send_whole(struct peer *peer, struct frame_header *header, const void *const *tensors,
                    const uint64_t *tensor_bytes, uint32_t tensor_count, struct error *error)
{
    if (peer->lost || peer->data_fd < 0)
        return error_set(error, ERROR_RUN, "%s", peer->lost ? peer->cause : "there is no data connection");
    return frame_send(peer->data_fd, header, NULL, tensors, tensor_bytes, tensor_count, error);
}

void peer_resume(struct peer *peer)
{
    peer->heard_ns = clock_now_ns();
}

void peer_check(struct peer *peer, int64_t now_ns)
{
    if (!peer->open || peer->lost)
        return;
    if (peer->broken_ns && now_ns - peer->broken_ns > BROKEN_PATIENCE_NS)
        peer_lose(peer, "its connection is broken");
    else if (now_ns - peer->heard_ns > peer->owner->silence_ns) {
        char silence[UNITS_TEXT_BYTES];
        units_format_duration(silence, (double)peer->owner->silence_ns);
        peer_lose(peer, "it has given no sign of life for %s (run.silence in the scenario)", silence);
    }
}
