/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's data connection, while it looks out for what it was told to expect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/data.h"
#include "core/base/clock.h"

struct trial {
    struct data_link data;
    int peer; /* the controller's end */
    sem_t results; /* one for each result that came */
    sem_t ended;
    uint8_t payload[256];
    uint64_t last_task;
};

static int begin(void *context, const struct frame_header *header, int64_t **layer_ns, void **payload,
                 struct error *error)
{
    struct trial *trial = context;
    (void)layer_ns;
    if (header->payload_bytes > sizeof(trial->payload))
        return error_set(error, ERROR_RUN, "too long");
    *payload = trial->payload;
    return 0;
}

static int end(void *context, const struct frame_header *header, struct error *error)
{
    struct trial *trial = context;
    (void)error;
    if (header->kind == FRAME_EXPECT) {
        data_expect(&trial->data, header->started_ns, header->ended_ns);
    } else {
        trial->last_task = header->task;
        sem_post(&trial->results);
    }
    return 0;
}

static void ended(void *context, const struct error *why)
{
    struct trial *trial = context;
    (void)why;
    sem_post(&trial->ended);
}

static void open_trial(struct trial *trial)
{
    struct error error = {0};
    int ends[2];
    const struct frame_receiver receiver = {.context = trial, .begin = begin, .end = end};
    memset(trial, 0, sizeof(*trial));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    sem_init(&trial->results, 0, 0);
    sem_init(&trial->ended, 0, 0);
    data_init(&trial->data);
    trial->data.fd = ends[0];
    trial->peer = ends[1];
    assert_int_equal(data_listen(&trial->data, &receiver, ended, &error), 0);
}

static void close_trial(struct trial *trial)
{
    data_stop(&trial->data);
    data_close(&trial->data);
    if (trial->peer >= 0)
        close(trial->peer);
    sem_destroy(&trial->results);
    sem_destroy(&trial->ended);
}

static void expect(struct trial *trial, int64_t from_ns, int64_t until_ns)
{
    struct error error = {0};
    struct frame_header header = {.kind = FRAME_EXPECT, .started_ns = from_ns, .ended_ns = until_ns};
    assert_int_equal(frame_send(trial->peer, &header, NULL, NULL, NULL, 0, &error), 0);
}

static void send_result(struct trial *trial, uint64_t task)
{
    struct error error = {0};
    const uint8_t content[100] = {(uint8_t)task};
    const void *tensor = content;
    const uint64_t bytes = sizeof(content);
    struct frame_header header = {.kind = FRAME_RESULT, .task = task};
    assert_int_equal(frame_send(trial->peer, &header, NULL, &tensor, &bytes, 1, &error), 0);
}

static bool comes(sem_t *what)
{
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 10;
    return sem_timedwait(what, &limit) == 0;
}

static void assert_result(struct trial *trial, uint64_t task)
{
    assert_true(comes(&trial->results));
    assert_int_equal(trial->last_task, task);
    assert_int_equal(trial->payload[0], task);
}

static void test_a_result_comes_in_before_in_and_behind_its_window(void **state)
{
    struct trial trial;
    int64_t now_ns = clock_now_ns();
    (void)state;
    open_trial(&trial);
    expect(&trial, now_ns + NS_PER_S, now_ns + NS_PER_S + FRAME_EXPECT_NS_MAX); /* it comes long before */
    send_result(&trial, 1);
    assert_result(&trial, 1);
    now_ns = clock_now_ns();
    expect(&trial, now_ns, now_ns + FRAME_EXPECT_NS_MAX);
    send_result(&trial, 2);
    assert_result(&trial, 2);
    now_ns = clock_now_ns();
    expect(&trial, now_ns, now_ns + FRAME_EXPECT_NS_MAX); /* and then nothing, so that it sleeps again */
    clock_sleep_until_ns(now_ns + 5 * FRAME_EXPECT_NS_MAX);
    send_result(&trial, 3);
    assert_result(&trial, 3);
    expect(&trial, 1, 2); /* long over */
    send_result(&trial, 4);
    assert_result(&trial, 4);
    close_trial(&trial);
}

static void test_it_does_not_look_for_longer_than_it_was_told(void **state)
{
    struct trial trial;
    struct timespec before, after;
    clockid_t clock;
    (void)state;
    open_trial(&trial);
    send_result(&trial, 1);
    assert_result(&trial, 1);
    assert_int_equal(pthread_getcpuclockid(trial.data.thread, &clock), 0);
    int64_t now_ns = clock_now_ns();
    clock_gettime(clock, &before);
    expect(&trial, now_ns, now_ns + FRAME_EXPECT_NS_MAX);
    clock_sleep_until_ns(now_ns + 300 * FRAME_EXPECT_NS_MAX);
    clock_gettime(clock, &after);
    int64_t took_ns = (after.tv_sec - before.tv_sec) * NS_PER_S + after.tv_nsec - before.tv_nsec;
    assert_true(took_ns < 100 * FRAME_EXPECT_NS_MAX); /* it would be 300 */
    close_trial(&trial);
}

static void test_the_end_of_the_connection_is_seen_while_looking(void **state)
{
    struct trial trial;
    int64_t now_ns = clock_now_ns();
    (void)state;
    open_trial(&trial);
    expect(&trial, now_ns + 10 * NS_PER_S, now_ns + 10 * NS_PER_S + FRAME_EXPECT_NS_MAX);
    close(trial.peer);
    trial.peer = -1;
    assert_true(comes(&trial.ended));
    close_trial(&trial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_result_comes_in_before_in_and_behind_its_window),
        cmocka_unit_test(test_it_does_not_look_for_longer_than_it_was_told),
        cmocka_unit_test(test_the_end_of_the_connection_is_seen_while_looking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
