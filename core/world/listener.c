/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data connections: a listener on the loopback address. A connection counts once its first frame has shown the run's
 * secret; until then it is a stranger, of which only a few are heard, for a short time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/world/local_private.h"

#define STRANGERS_MAX 64
#define STRANGER_LIMIT_NS (5 * NS_PER_S)

struct stranger {
    struct listener *listener;
    int fd; /* -1: free */
    struct event *event;
    struct frame_reader reader;
    uint8_t secret[FRAME_ALIGN]; /* padded */
    int64_t since_ns;
    bool proven;
};

struct listener {
    struct world *world;
    int fd;
    uint16_t port;
    struct event *event;
    struct stranger strangers[STRANGERS_MAX];
};

static void forget(struct stranger *stranger, bool keep_connection)
{
    if (stranger->event)
        event_free(stranger->event);
    stranger->event = NULL;
    if (!keep_connection)
        close(stranger->fd);
    stranger->fd = -1;
}

static int begin_hello(void *context, const struct frame_header *header, int64_t **layer_ns, void **payload,
                       struct error *error)
{
    struct stranger *stranger = context;
    (void)layer_ns;
    if (header->kind != FRAME_HELLO || header->layer_count || header->payload_bytes != sizeof(stranger->secret))
        return error_set(error, ERROR_RUN, "its first frame is no greeting");
    *payload = stranger->secret;
    return 0;
}

static int end_hello(void *context, const struct frame_header *header, struct error *error)
{
    struct stranger *stranger = context;
    struct world *world = stranger->listener->world;
    if (!frame_secret_equal(stranger->secret, world->secret))
        return error_set(error, ERROR_RUN, "it does not know this run's secret");
    struct local_node *node = header->stream < world->scenario->node_count ? &world->nodes[header->stream] : NULL;
    if (!node || !node->peer.open || node->peer.lost || node->peer.data_fd >= 0)
        return error_set(error, ERROR_RUN, "it calls itself node %u, which is not awaited", header->stream);
    stranger->proven = true;
    peer_connect_data(&node->peer, stranger->fd);
    return 0;
}

/* One frame and not a byte more: what follows belongs to the peer. */
static void on_stranger(evutil_socket_t fd, short what, void *context)
{
    struct stranger *stranger = context;
    const struct frame_receiver receiver = {.context = stranger, .begin = begin_hello, .end = end_hello};
    struct error error = {.text = "it has closed the connection"};
    (void)what;
    while (!stranger->proven) {
        struct iovec pieces[2];
        struct msghdr message = {.msg_iov = pieces};
        message.msg_iovlen = (size_t)frame_reader_room(&stranger->reader, pieces);
        ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0 || frame_reader_advance(&stranger->reader, (size_t)got, &receiver, &error)) {
            log_warning("local", "a data connection was refused: %s", error.text);
            forget(stranger, false);
            return;
        }
    }
    forget(stranger, true);
}

static void on_connection(evutil_socket_t listening, short what, void *context)
{
    struct listener *listener = context;
    const int on = 1;
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    (void)what;
    if (fd < 0)
        return;
    struct stranger *place = NULL;
    for (size_t i = 0; i < STRANGERS_MAX && !place; i++)
        place = listener->strangers[i].fd < 0 ? &listener->strangers[i] : NULL;
    if (!place) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    place->fd = fd;
    place->proven = false;
    place->since_ns = clock_now_ns();
    frame_reader_init(&place->reader);
    place->event = event_new(listener->world->base, fd, EV_READ | EV_PERSIST, on_stranger, place);
    event_add(place->event, NULL);
}

static int listen_on_loopback(struct listener *listener, struct error *error)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0 || bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) ||
        listen(listener->fd, STRANGERS_MAX) || getsockname(listener->fd, (struct sockaddr *)&address, &bytes))
        return error_set(error, ERROR_RUN, "listening on the loopback address: %s", strerror(errno));
    listener->port = ntohs(address.sin_port);
    return 0;
}

struct listener *listener_open(struct world *world, struct error *error)
{
    struct listener *listener = NEW(struct listener);
    listener->world = world;
    for (size_t i = 0; i < STRANGERS_MAX; i++)
        listener->strangers[i] = (struct stranger){.listener = listener, .fd = -1};
    if (listen_on_loopback(listener, error)) {
        listener_close(listener);
        return NULL;
    }
    listener->event = event_new(world->base, listener->fd, EV_READ | EV_PERSIST, on_connection, listener);
    event_add(listener->event, NULL);
    return listener;
}

void listener_close(struct listener *listener)
{
    if (!listener)
        return;
    for (size_t i = 0; i < STRANGERS_MAX; i++) {
        if (listener->strangers[i].fd >= 0)
            forget(&listener->strangers[i], false);
    }
    if (listener->event)
        event_free(listener->event);
    if (listener->fd >= 0)
        close(listener->fd);
    free(listener);
}

uint16_t listener_port(const struct listener *listener)
{
    return listener->port;
}

void listener_check(struct listener *listener, int64_t now_ns)
{
    for (size_t i = 0; i < STRANGERS_MAX; i++) {
        if (listener->strangers[i].fd >= 0 && now_ns - listener->strangers[i].since_ns > STRANGER_LIMIT_NS) {
            log_warning("local", "a data connection was refused: it said nothing");
            forget(&listener->strangers[i], false);
        }
    }
}
