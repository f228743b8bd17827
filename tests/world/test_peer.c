/* SPDX-License-Identifier: Apache-2.0 */
/* Frames to an agent that takes them slowly: what goes at once, what later, and what is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/world/peer.h"

enum { LARGE = 4 << 20, SMALL = 64 };

/* Both ends of an agent's data connection; the agent's end is read by the test. */
struct connection {
    struct event_base *base;
    struct peer peer;
    struct peer_owner owner;
    int control, data;
    uint8_t *content; /* of LARGE bytes */
};

static int is_unexpected(void *context, struct peer *peer, const Wire__Message *message, struct error *error)
{
    (void)context, (void)peer, (void)message;
    return error_set(error, ERROR_RUN, "a message");
}

static void is_lost(void *context, struct peer *peer)
{
    (void)context, (void)peer;
}

static int connect_both(void **state)
{
    struct connection *connection = NEW(struct connection);
    int control[2], data[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, data), 0);
    connection->base = event_base_new();
    connection->owner = (struct peer_owner){.silence_ns = INT64_MAX, .message = is_unexpected, .lost = is_lost};
    connection->control = control[1];
    connection->data = data[1];
    connection->content = memory_new(LARGE);
    for (int i = 0; i < LARGE; i++)
        connection->content[i] = (uint8_t)(i * 7 + i / 251);
    peer_open(&connection->peer, connection->base, 1, "pi", -1, control[0], &connection->owner);
    peer_connect_data(&connection->peer, data[0]);
    *state = connection;
    return 0;
}

static int disconnect_both(void **state)
{
    struct connection *connection = *state;
    peer_close(&connection->peer);
    event_base_free(connection->base);
    close(connection->control);
    close(connection->data);
    free(connection->content);
    free(connection);
    return 0;
}

static struct frame_header header_of(uint64_t task, uint64_t bytes)
{
    return (struct frame_header){
        .kind = FRAME_RESULT, .task = task, .payload_bytes = bytes, .tensor_bytes = bytes, .tensor_count = 1};
}

/* Takes what is there. Returns its bytes; with `rounds`, lets the event loop have so many turns in between. */
static size_t take(struct connection *connection, uint8_t *into, size_t room, int rounds)
{
    size_t got = 0;
    for (int round = 0; round <= rounds; round++) {
        ssize_t more;
        while (got < room && (more = read(connection->data, into + got, room - got)) > 0)
            got += (size_t)more;
        event_base_loop(connection->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    }
    return got;
}

static void assert_frame(const uint8_t *at, uint64_t task, const uint8_t *content, size_t bytes)
{
    struct frame_header header;
    struct error error = {0};
    assert_int_equal(frame_decode(at, &header, &error), 0);
    assert_int_equal(header.task, task);
    assert_int_equal(header.payload_bytes, bytes);
    assert_memory_equal(at + FRAME_HEADER_BYTES, content, bytes);
}

static void test_a_small_frame_goes_at_once(void **state)
{
    struct connection *connection = *state;
    struct frame_header header = header_of(5, SMALL);
    uint8_t came[2 * (FRAME_HEADER_BYTES + SMALL)];
    assert_int_equal(peer_send_now(&connection->peer, &header, connection->content), PEER_SENT_ALL);
    assert_int_equal(take(connection, came, sizeof(came), 0), FRAME_HEADER_BYTES + SMALL);
    assert_frame(came, 5, connection->content, SMALL);
}

/* Its content is the sender's again at once, and the next frame is not mixed into it. */
static void test_the_rest_of_a_large_frame_goes_as_soon_as_there_is_room(void **state)
{
    struct connection *connection = *state;
    struct frame_header header = header_of(1, LARGE), follower = header_of(2, SMALL);
    const size_t whole = FRAME_HEADER_BYTES + LARGE, room = whole + FRAME_HEADER_BYTES + SMALL;
    uint8_t *came = memory_new(room), *sent = memory_new(LARGE);
    memcpy(sent, connection->content, LARGE);
    assert_int_equal(peer_send_now(&connection->peer, &header, sent), PEER_SENT_PART);
    free(sent);
    assert_int_equal(peer_send_now(&connection->peer, &follower, connection->content), PEER_SENT_NOTHING);
    size_t first = take(connection, came, room, 100);
    assert_true(first > 0 && first < whole); /* nobody has told the event loop */
    peer_go_on(&connection->peer);
    peer_send_copy(&connection->peer, &follower, connection->content);
    assert_int_equal(first + take(connection, came + first, room - first, 10000), room);
    assert_frame(came, 1, connection->content, LARGE);
    assert_frame(came + whole, 2, connection->content, SMALL);
    assert_int_equal(peer_send_now(&connection->peer, &follower, connection->content), PEER_SENT_ALL);
    free(came);
}

/* The end of a run: what waits belongs to tasks that are freed now. */
static void test_nothing_of_a_forgotten_frame_is_touched(void **state)
{
    struct connection *connection = *state;
    struct frame_header header = header_of(1, LARGE);
    struct peer_outgoing *out = NEW(struct peer_outgoing);
    uint8_t *sent = memory_new(LARGE), *came = memory_new(LARGE);
    memcpy(sent, connection->content, LARGE);
    peer_send(&connection->peer, out, &header, sent);
    size_t first = take(connection, came, LARGE / 16, 0); /* makes room, and lets the event loop fill it again */
    peer_forget(&connection->peer);
    memset(sent, 0, LARGE);
    free(sent);
    free(out);
    first += take(connection, came + first, LARGE - first, 10000);
    peer_go_on(&connection->peer);
    assert_int_equal(take(connection, came + first, LARGE - first, 100), 0);
    assert_true(first < LARGE);
    assert_memory_equal(came + FRAME_HEADER_BYTES, connection->content, first - FRAME_HEADER_BYTES);
    free(came);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, connect_both, disconnect_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONNECTED(test_a_small_frame_goes_at_once),
        CONNECTED(test_the_rest_of_a_large_frame_goes_as_soon_as_there_is_room),
        CONNECTED(test_nothing_of_a_forgotten_frame_is_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
