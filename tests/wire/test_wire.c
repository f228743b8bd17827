/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the agent protocol: what is sent comes in, whatever the portions, and malformed input is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/wire/control.h"
#include "core/wire/frame.h"

/* ---- control */

struct heard {
    size_t count;
    uint64_t last_task;
    int64_t last_due_ns;
    char text[64];
};

static int hear(void *context, const Wire__Message *message, struct error *error)
{
    struct heard *heard = context;
    heard->count++;
    if (message->body_case == WIRE__MESSAGE__BODY_START) {
        heard->last_task = message->start->task;
        heard->last_due_ns = message->start->due_ns;
    }
    if (message->body_case == WIRE__MESSAGE__BODY_ERROR)
        strncpy(heard->text, message->error->text, sizeof(heard->text) - 1);
    return message->body_case == WIRE__MESSAGE__BODY_STOP ? error_set(error, ERROR_RUN, "enough") : 0;
}

static size_t pack_start(uint8_t *bytes, uint64_t task, int64_t due_ns)
{
    Wire__Start body = WIRE__START__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.task = task;
    body.due_ns = due_ns;
    message.body_case = WIRE__MESSAGE__BODY_START;
    message.start = &body;
    size_t length = wire__message__pack(&message, bytes + 4);
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(length >> (8 * i));
    return length + 4;
}

static void test_messages_come_in_whatever_the_portions(void **state)
{
    (void)state;
    for (size_t portion = 1; portion < 40; portion++) {
        struct control_parser parser;
        struct heard heard = {0};
        struct error error = {0};
        uint8_t bytes[4096];
        size_t count = 0;
        for (uint64_t i = 0; i < 50; i++)
            count += pack_start(bytes + count, i, -(int64_t)i);
        control_parser_init(&parser);
        for (size_t at = 0; at < count; at += portion) {
            size_t now = portion < count - at ? portion : count - at;
            assert_int_equal(control_parser_feed(&parser, bytes + at, now, hear, &heard, &error), 0);
        }
        assert_int_equal(heard.count, 50);
        assert_int_equal(heard.last_task, 49);
        assert_int_equal(heard.last_due_ns, -49);
        control_parser_free(&parser);
    }
}

static void feed_and_expect(const void *bytes, size_t count, const char *complaint)
{
    struct control_parser parser;
    struct heard heard = {0};
    struct error error = {0};
    control_parser_init(&parser);
    assert_int_equal(control_parser_feed(&parser, bytes, count, hear, &heard, &error), -1);
    assert_non_null(strstr(error.text, complaint));
    assert_int_equal(heard.count, 0);
    control_parser_free(&parser);
}

static void test_malformed_messages_are_refused(void **state)
{
    (void)state;
    feed_and_expect("\0\0\0\0", 4, "control message of 0 bytes");
    feed_and_expect("\xff\xff\xff\xff", 4, "control message of 4294967295 bytes");
    feed_and_expect("\x03\0\0\0\xff\xff\xff", 7, "malformed control message of 3 bytes");
    feed_and_expect("\x02\0\0\0\xf8\x01", 6, "malformed");
    feed_and_expect("\x03\0\0\0\xb8\x7f\x01", 7, "without content"); /* only an unknown field */
}

static void test_the_handlers_error_ends_the_reading(void **state)
{
    int pair[2];
    struct control one, other;
    struct heard heard = {0};
    struct error error = {0};
    Wire__Stop stop = WIRE__STOP__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    control_open(&one, pair[0], pair[0]);
    control_open(&other, pair[1], pair[1]);
    message.body_case = WIRE__MESSAGE__BODY_STOP;
    message.stop = &stop;
    assert_int_equal(control_send(&one, &message, &error), 0);
    assert_int_equal(control_read(&other, hear, &heard, &error), -1);
    assert_string_equal(error.text, "enough");
    control_close(&one);
    assert_int_equal(control_read(&other, hear, &heard, &error), 0);
    control_close(&other);
}

struct sender {
    struct control *control;
    size_t bytes;
};

static void *send_big(void *argument)
{
    struct sender *sender = argument;
    Wire__Error body = WIRE__ERROR__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.text = memory_new(sender->bytes + 1);
    memset(body.text, 'a', sender->bytes);
    message.body_case = WIRE__MESSAGE__BODY_ERROR;
    message.error = &body;
    int status = control_send(sender->control, &message, NULL);
    free(body.text);
    return status == 0 ? argument : NULL;
}

static void test_big_messages_go_through_a_small_socket(void **state)
{
    int pair[2];
    struct control one, other;
    struct heard heard = {0};
    struct error error = {0};
    struct sender sender = {&one, CONTROL_MESSAGE_BYTES_MAX - 64};
    pthread_t thread;
    void *sent;
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    control_open(&one, pair[0], pair[0]);
    control_open(&other, pair[1], pair[1]);
    pthread_create(&thread, NULL, send_big, &sender);
    while (heard.count == 0)
        assert_int_equal(control_read(&other, hear, &heard, &error), 1);
    pthread_join(thread, &sent);
    assert_non_null(sent);
    assert_int_equal(heard.text[0], 'a');
    sender.bytes = CONTROL_MESSAGE_BYTES_MAX;
    assert_null(send_big(&sender)); /* refused here already, not over there */
    control_close(&one);
    control_close(&other);
}

/* ---- frames */

struct received {
    struct frame_header header;
    int64_t layer_ns[8];
    _Alignas(64) uint8_t payload[1 << 20];
    size_t begun, ended;
    int refuse;
};

static int begin(void *context, const struct frame_header *header, int64_t **layer_ns, void **payload,
                 struct error *error)
{
    struct received *received = context;
    if (received->refuse || header->layer_count > 8 || header->payload_bytes > sizeof(received->payload))
        return error_set(error, ERROR_RUN, "not wanted");
    received->begun++;
    *layer_ns = received->layer_ns;
    *payload = received->payload;
    return 0;
}

static int end(void *context, const struct frame_header *header, struct error *error)
{
    struct received *received = context;
    (void)error;
    received->header = *header;
    received->ended++;
    return 0;
}

static void fill_example(struct frame_header *header, int64_t layer_ns[3], uint8_t *tensors[2], uint64_t bytes[2])
{
    *header = (struct frame_header){.kind = FRAME_TASK,
                                    .stream = 7,
                                    .task = UINT64_MAX - 1,
                                    .layer_count = 3,
                                    .sent_ns = -5,
                                    .due_ns = INT64_MAX,
                                    .started_ns = INT64_MIN,
                                    .ended_ns = 1,
                                    .digest = 0x123456789abcdef0u};
    layer_ns[0] = 1;
    layer_ns[1] = -2;
    layer_ns[2] = INT64_MAX;
    bytes[0] = 100;
    bytes[1] = 64;
    for (int i = 0; i < 2; i++) {
        tensors[i] = memory_new(bytes[i]);
        memset(tensors[i], 'A' + i, bytes[i]);
    }
}

static void assert_example(const struct received *received)
{
    const struct frame_header *header = &received->header;
    assert_int_equal(header->kind, FRAME_TASK);
    assert_int_equal(header->stream, 7);
    assert_true(header->task == UINT64_MAX - 1);
    assert_int_equal(header->tensor_count, 2);
    assert_int_equal(header->tensor_bytes, 164);
    assert_int_equal(header->payload_bytes, 128 + 64);
    assert_true(header->sent_ns == -5 && header->due_ns == INT64_MAX && header->started_ns == INT64_MIN);
    assert_true(header->digest == 0x123456789abcdef0u);
    assert_true(received->layer_ns[1] == -2 && received->layer_ns[2] == INT64_MAX);
    assert_int_equal(received->payload[0], 'A');
    assert_int_equal(received->payload[99], 'A');
    assert_int_equal(received->payload[100], 0); /* padding */
    assert_int_equal(received->payload[128], 'B');
    assert_int_equal(received->payload[128 + 63], 'B');
}

static void test_frames_come_in_whatever_the_portions(void **state)
{
    int pair[2];
    struct frame_header header;
    int64_t layer_ns[3];
    uint8_t *tensors[2], raw[4096];
    uint64_t bytes[2];
    struct error error = {0};
    (void)state;
    fill_example(&header, layer_ns, tensors, bytes);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(frame_send(pair[0], &header, layer_ns, (const void *const *)tensors, bytes, 2, &error), 0);
    ssize_t count = recv(pair[1], raw, sizeof(raw), 0);
    assert_int_equal(count, 3 * (FRAME_HEADER_BYTES + 24 + 192));
    struct received *received = memory_try_aligned(sizeof(*received));
    for (size_t portion = 1; portion < 400; portion++) {
        struct frame_reader reader;
        const struct frame_receiver receiver = {received, begin, end};
        memset(received, 0, sizeof(*received));
        frame_reader_init(&reader);
        for (size_t at = 0; at < (size_t)count;) {
            struct iovec pieces[2];
            size_t left = portion < (size_t)count - at ? portion : (size_t)count - at, got = 0;
            int pieces_count = frame_reader_room(&reader, pieces);
            for (int i = 0; i < pieces_count; i++) {
                size_t here = pieces[i].iov_len < left ? pieces[i].iov_len : left;
                memcpy(pieces[i].iov_base, raw + at + got, here);
                left -= here;
                got += here;
            }
            at += got;
            assert_int_equal(frame_reader_advance(&reader, got, &receiver, &error), 0);
        }
        assert_int_equal(received->ended, 3);
        assert_example(received);
    }
    free(received);
    free(tensors[0]);
    free(tensors[1]);
    close(pair[0]);
    close(pair[1]);
}

static void expect_refused(const struct frame_header *header, size_t flip_at, const char *complaint)
{
    uint8_t raw[FRAME_HEADER_BYTES];
    struct frame_header decoded;
    struct error error = {0};
    frame_encode(header, raw);
    if (flip_at < sizeof(raw))
        raw[flip_at] ^= 0xff;
    assert_int_equal(frame_decode(raw, &decoded, &error), -1);
    assert_non_null(strstr(error.text, complaint));
}

static void test_malformed_headers_are_refused(void **state)
{
    const struct frame_header good = {.kind = FRAME_TASK};
    struct frame_header bad;
    (void)state;
    expect_refused(&good, 0, "no frame");
    bad = good;
    bad.kind = FRAME_KIND_COUNT;
    expect_refused(&bad, SIZE_MAX, "unknown kind");
    bad = good;
    bad.layer_count = FRAME_LAYERS_MAX + 1;
    expect_refused(&bad, SIZE_MAX, "layer times");
    bad = good;
    bad.payload_bytes = FRAME_PAYLOAD_BYTES_MAX + 1;
    expect_refused(&bad, SIZE_MAX, "at most");
    bad = good;
    bad.tensor_bytes = 1; /* more than the payload */
    expect_refused(&bad, SIZE_MAX, "at most");
}

static void test_a_connection_cut_in_a_frame_is_an_error(void **state)
{
    int pair[2];
    uint8_t raw[FRAME_HEADER_BYTES];
    struct frame_header header = {.kind = FRAME_PROBE, .payload_bytes = 64, .tensor_bytes = 64};
    struct frame_reader reader;
    struct error error = {0};
    struct received *received = memory_try_aligned(sizeof(*received));
    const struct frame_receiver receiver = {received, begin, end};
    (void)state;
    memset(received, 0, sizeof(*received));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    frame_encode(&header, raw);
    frame_reader_init(&reader);
    assert_int_equal(send(pair[0], raw, sizeof(raw), 0), sizeof(raw));
    assert_int_equal(frame_read(&reader, pair[1], &receiver, &error), 1);
    close(pair[0]);
    assert_int_equal(frame_read(&reader, pair[1], &receiver, &error), -1);
    assert_non_null(strstr(error.text, "cut in a frame"));
    assert_int_equal(received->begun, 1);
    assert_int_equal(received->ended, 0);
    close(pair[1]);
    free(received);
}

static void test_a_refused_frame_ends_the_reading(void **state)
{
    int pair[2];
    struct frame_header header = {.kind = FRAME_PROBE};
    struct frame_reader reader;
    struct error error = {0};
    struct received *received = memory_try_aligned(sizeof(*received));
    const struct frame_receiver receiver = {received, begin, end};
    (void)state;
    memset(received, 0, sizeof(*received));
    received->refuse = 1;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(frame_send(pair[0], &header, NULL, NULL, NULL, 0, &error), 0);
    frame_reader_init(&reader);
    assert_int_equal(frame_read(&reader, pair[1], &receiver, &error), -1);
    assert_string_equal(error.text, "not wanted");
    close(pair[0]);
    close(pair[1]);
    free(received);
}

static void test_secrets_differ_by_any_byte(void **state)
{
    uint8_t a[FRAME_SECRET_BYTES] = {0}, b[FRAME_SECRET_BYTES] = {0};
    (void)state;
    assert_true(frame_secret_equal(a, b));
    for (size_t i = 0; i < sizeof(b); i++) {
        b[i] = 1;
        assert_false(frame_secret_equal(a, b));
        b[i] = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_come_in_whatever_the_portions),
        cmocka_unit_test(test_malformed_messages_are_refused),
        cmocka_unit_test(test_the_handlers_error_ends_the_reading),
        cmocka_unit_test(test_big_messages_go_through_a_small_socket),
        cmocka_unit_test(test_frames_come_in_whatever_the_portions),
        cmocka_unit_test(test_malformed_headers_are_refused),
        cmocka_unit_test(test_a_connection_cut_in_a_frame_is_an_error),
        cmocka_unit_test(test_a_refused_frame_ends_the_reading),
        cmocka_unit_test(test_secrets_differ_by_any_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
