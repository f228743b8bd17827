/* SPDX-License-Identifier: Apache-2.0 */
/* The link room: when frames arrive, alone and sharing a medium, with jitter and loss. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/link/heap.h"
#include "core/link/link.h"

#define MEGABYTE_PER_S 1e6 /* one byte a microsecond */
#define US 1000

/* A link that is the same both ways. */
static struct link_spec symmetric(uint32_t medium, double bytes_per_s, int64_t delay_ns)
{
    struct link_conditions conditions = {.bytes_per_s = bytes_per_s, .delay_ns = delay_ns};
    return (struct link_spec){medium, {conditions, conditions}};
}

/* Takes the next frame whenever it comes, as a caller in virtual time does. */
static bool take_next(struct link_net *net, struct link_delivery *delivery)
{
    for (int64_t next; (next = link_next_ns(net)) != INT64_MAX;)
        if (link_take(net, next, delivery))
            return true;
    return false;
}

static void assert_next(struct link_net *net, uint32_t link, enum link_direction direction, int64_t delivered_ns)
{
    struct link_delivery delivery;
    assert_true(take_next(net, &delivery));
    assert_int_equal(delivery.link, link);
    assert_int_equal(delivery.direction, direction);
    assert_int_equal(delivery.delivered_ns, delivered_ns);
}

static void assert_idle(struct link_net *net)
{
    assert_int_equal(link_next_ns(net), INT64_MAX);
}

static void a_frame_takes_its_bytes_over_the_rate_and_then_the_delay(void **state)
{
    (void)state;
    struct link_spec spec = symmetric(LINK_NO_MEDIUM, MEGABYTE_PER_S, 5000);
    struct link_net *net = link_net_new(&spec, 1, 1);
    int mine;
    struct link_delivery delivery;
    link_send(net, 0, LINK_UP, 1000, 700, &mine);
    assert_int_equal(link_next_ns(net), 700 + 1000 * US + 5000);
    assert_false(link_take(net, 700 + 1000 * US + 4999, &delivery));
    assert_true(link_take(net, 700 + 1000 * US + 5000, &delivery));
    assert_int_equal(delivery.link, 0);
    assert_int_equal(delivery.direction, LINK_UP);
    assert_int_equal(delivery.bytes, 1000);
    assert_ptr_equal(delivery.frame, &mine);
    assert_int_equal(delivery.sent_ns, 700);
    assert_int_equal(delivery.transmitted_ns, 700 + 1000 * US);
    assert_int_equal(delivery.delivered_ns, 700 + 1000 * US + 5000);
    assert_idle(net);
    link_net_free(net);
}

static void frames_of_one_direction_follow_one_another(void **state)
{
    (void)state;
    struct link_spec spec = symmetric(LINK_NO_MEDIUM, MEGABYTE_PER_S, 50);
    struct link_net *net = link_net_new(&spec, 1, 1);
    link_send(net, 0, LINK_UP, 10, 0, NULL);
    link_send(net, 0, LINK_UP, 20, 0, NULL);
    link_send(net, 0, LINK_UP, 5, 100 * US, NULL); /* long after the others: starts at once */
    assert_next(net, 0, LINK_UP, 10 * US + 50);
    assert_next(net, 0, LINK_UP, 30 * US + 50);
    assert_next(net, 0, LINK_UP, 105 * US + 50);
    assert_idle(net);
    link_net_free(net);
}

static void fractions_of_a_nanosecond_are_not_lost_between_frames(void **state)
{
    (void)state;
    for (uint32_t medium = 0; medium < 2; medium++) {
        struct link_spec spec = symmetric(medium ? 7 : LINK_NO_MEDIUM, 3e9, 0); /* a byte takes a third of a ns */
        struct link_net *net = link_net_new(&spec, 1, 1);
        for (int i = 0; i < 3000; i++)
            link_send(net, 0, LINK_UP, 1, 0, NULL);
        struct link_delivery delivery = {0};
        for (int i = 0; i < 3000; i++)
            assert_true(take_next(net, &delivery));
        assert_int_equal(delivery.delivered_ns, 1000);
        link_net_free(net);
    }
}

static void an_unshaped_link_only_delays(void **state)
{
    (void)state;
    struct link_spec spec = symmetric(3, 0, 0); /* being on a medium changes nothing: it needs no air */
    spec.conditions[LINK_DOWN].delay_ns = 9;
    struct link_net *net = link_net_new(&spec, 1, 1);
    link_send(net, 0, LINK_UP, UINT64_MAX, 5, NULL);
    link_send(net, 0, LINK_DOWN, UINT64_MAX, 5, NULL);
    assert_next(net, 0, LINK_UP, 5);
    assert_next(net, 0, LINK_DOWN, 14);
    link_net_free(net);
}

static void an_empty_frame_takes_the_delay_alone(void **state)
{
    (void)state;
    for (uint32_t medium = 0; medium < 2; medium++) {
        struct link_spec spec = symmetric(medium ? 0 : LINK_NO_MEDIUM, MEGABYTE_PER_S, 8);
        struct link_net *net = link_net_new(&spec, 1, 1);
        link_send(net, 0, LINK_UP, 0, 100, NULL);
        assert_next(net, 0, LINK_UP, 108);
        assert_idle(net);
        link_net_free(net);
    }
}

static void two_links_on_one_medium_get_half_each(void **state)
{
    (void)state;
    struct link_spec specs[] = {symmetric(4, MEGABYTE_PER_S, 0), symmetric(4, 2 * MEGABYTE_PER_S, 0)};
    struct link_net *net = link_net_new(specs, 2, 1);
    link_send(net, 0, LINK_UP, 100, 0, NULL); /* 100 us of air at its own rate */
    link_send(net, 1, LINK_UP, 200, 0, NULL); /* 100 us at its own */
    assert_next(net, 0, LINK_UP, 200 * US);
    assert_next(net, 1, LINK_UP, 200 * US);
    assert_idle(net);
    link_net_free(net);
}

static void links_on_different_media_do_not_meet(void **state)
{
    (void)state;
    struct link_spec specs[] = {symmetric(4, MEGABYTE_PER_S, 0), symmetric(5, MEGABYTE_PER_S, 0),
                                symmetric(LINK_NO_MEDIUM, MEGABYTE_PER_S, 0),
                                symmetric(LINK_NO_MEDIUM, MEGABYTE_PER_S, 0)};
    struct link_net *net = link_net_new(specs, 4, 1);
    for (uint32_t i = 0; i < 4; i++)
        link_send(net, i, LINK_UP, 100, 0, NULL);
    for (uint32_t i = 0; i < 4; i++)
        assert_next(net, i, LINK_UP, 100 * US);
    link_net_free(net);
}

static void a_third_link_joins_in_the_middle(void **state)
{
    (void)state;
    struct link_spec specs[3];
    for (int i = 0; i < 3; i++)
        specs[i] = symmetric(9, MEGABYTE_PER_S, 0);
    struct link_net *net = link_net_new(specs, 3, 1);
    link_send(net, 0, LINK_UP, 100, 0, NULL);
    link_send(net, 1, LINK_UP, 130, 0, NULL);
    /* 0..60 us: two share, each has 30 of its air. */
    link_send(net, 2, LINK_DOWN, 40, 60 * US, NULL);
    /* Three share until link 2 has its 40: at 60 + 120. Then the first needs 30 more at half: 180 + 60. */
    assert_next(net, 2, LINK_DOWN, 180 * US);
    assert_next(net, 0, LINK_UP, 240 * US);
    /* The second has 100 then, and the air to itself: 30 more. */
    assert_next(net, 1, LINK_UP, 270 * US);
    assert_idle(net);
    link_net_free(net);
}

static void without_a_medium_both_directions_have_the_whole_rate(void **state)
{
    (void)state;
    struct link_spec spec = symmetric(LINK_NO_MEDIUM, MEGABYTE_PER_S, 0);
    struct link_net *net = link_net_new(&spec, 1, 1);
    link_send(net, 0, LINK_UP, 100, 0, NULL);
    link_send(net, 0, LINK_DOWN, 100, 0, NULL);
    assert_next(net, 0, LINK_UP, 100 * US);
    assert_next(net, 0, LINK_DOWN, 100 * US);
    link_net_free(net);
}

static void within_a_medium_a_link_is_half_duplex(void **state)
{
    (void)state;
    struct link_spec spec = symmetric(1, MEGABYTE_PER_S, 0);
    struct link_net *net = link_net_new(&spec, 1, 1);
    link_send(net, 0, LINK_UP, 100, 0, NULL);
    link_send(net, 0, LINK_DOWN, 50, 0, NULL);
    assert_next(net, 0, LINK_DOWN, 100 * US);
    assert_next(net, 0, LINK_UP, 150 * US);
    link_net_free(net);
}

static void a_late_caller_gets_the_times_at_which_frames_were_due(void **state)
{
    (void)state;
    struct link_spec specs[] = {symmetric(1, MEGABYTE_PER_S, 7), symmetric(1, MEGABYTE_PER_S, 7)};
    struct link_net *net = link_net_new(specs, 2, 1);
    link_send(net, 0, LINK_UP, 100, 0, NULL);
    link_send(net, 1, LINK_UP, 30, 0, NULL);
    link_send(net, 1, LINK_UP, 30, 0, NULL);
    struct link_delivery delivery;
    const int64_t due_ns[] = {60 * US + 7, 120 * US + 7, 160 * US + 7};
    for (int i = 0; i < 3; i++) {
        assert_true(link_take(net, INT64_C(1000000000), &delivery));
        assert_int_equal(delivery.delivered_ns, due_ns[i]);
    }
    assert_idle(net);
    link_net_free(net);
}

/* The same model, written as plainly as possible: time goes on from change to change, O(n) a change, in doubles. */
struct plain_frame {
    uint32_t direction;
    double sent_ns, left_ns, work_ns;
};

static void plain_model(struct plain_frame *frames, size_t count, uint32_t directions)
{
    double now = 0;
    for (size_t done = 0; done < count;) {
        size_t heads[16], sharers = 0;
        double next = INFINITY;
        for (uint32_t d = 0; d < directions; d++)
            for (size_t i = 0; i < count; i++)
                if (frames[i].direction == d && frames[i].left_ns < 0) {
                    if (frames[i].sent_ns <= now)
                        heads[sharers++] = i;
                    else if (frames[i].sent_ns < next)
                        next = frames[i].sent_ns;
                    break;
                }
        size_t first = count;
        for (size_t h = 0; h < sharers; h++)
            if (now + frames[heads[h]].work_ns * (double)sharers <= next) {
                next = now + frames[heads[h]].work_ns * (double)sharers;
                first = heads[h];
            }
        for (size_t h = 0; h < sharers; h++)
            frames[heads[h]].work_ns -= (next - now) / (double)sharers;
        now = next;
        if (first < count) {
            frames[first].left_ns = now;
            done++;
        }
    }
}

static void sharing_agrees_with_a_plain_model_on_random_traffic(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 42, "traffic");
    for (int round = 0; round < 200; round++) {
        uint32_t links = 1 + (uint32_t)(random_bits(&random) % 6);
        struct link_spec specs[6];
        for (uint32_t i = 0; i < links; i++) {
            specs[i] = symmetric(0, 1e6 * (1 + (double)(random_bits(&random) % 50)), 0);
            specs[i].conditions[1].bytes_per_s = 1e6 * (1 + (double)(random_bits(&random) % 50));
        }
        struct plain_frame frames[60];
        uint64_t bytes[60];
        size_t count = 1 + random_bits(&random) % 60;
        double at_ns = 0;
        for (size_t i = 0; i < count; i++) {
            uint32_t direction = (uint32_t)(random_bits(&random) % (2 * links));
            at_ns += (double)(random_bits(&random) % 100000);
            bytes[i] = 1 + random_bits(&random) % 1000;
            double work_ns = (double)bytes[i] * 1e9 / specs[direction / 2].conditions[direction % 2].bytes_per_s;
            frames[i] = (struct plain_frame){direction, at_ns, -1, work_ns};
        }
        struct link_net *net = link_net_new(specs, links, 1);
        for (size_t i = 0; i < count; i++)
            link_send(net, frames[i].direction / 2, (enum link_direction)(frames[i].direction % 2), bytes[i],
                      (int64_t)frames[i].sent_ns, &frames[i]);
        plain_model(frames, count, 2 * links);
        struct link_delivery delivery;
        for (size_t i = 0; i < count; i++) {
            assert_true(take_next(net, &delivery));
            const struct plain_frame *frame = delivery.frame;
            double difference_ns = (double)delivery.transmitted_ns - frame->left_ns;
            assert_true(difference_ns > -1e-3 && difference_ns < 1 + 1e-3); /* rounded up, and nothing else */
        }
        assert_idle(net);
        link_net_free(net);
    }
}

static void order_is_kept_under_jitter(void **state)
{
    (void)state;
    struct link_spec spec = symmetric(LINK_NO_MEDIUM, 1e9, 500 * US);
    spec.conditions[LINK_UP].jitter_ns = 400 * US;
    struct link_net *net = link_net_new(&spec, 1, 3);
    int numbers[1000];
    for (int i = 0; i < 1000; i++)
        link_send(net, 0, LINK_UP, 100, i * 10 * US, &numbers[i]);
    struct link_delivery delivery;
    int64_t last_ns = 0, held_back = 0;
    for (int i = 0; i < 1000; i++) {
        assert_true(take_next(net, &delivery));
        assert_ptr_equal(delivery.frame, &numbers[i]);
        assert_true(delivery.delivered_ns >= last_ns);
        assert_true(delivery.delivered_ns - delivery.transmitted_ns >= 100 * US);
        assert_true(delivery.delivered_ns - delivery.transmitted_ns <= 900 * US);
        held_back += delivery.delivered_ns == last_ns;
        last_ns = delivery.delivered_ns;
    }
    assert_true(held_back > 0); /* else the jitter was too small to test anything */
    link_net_free(net);
}

/* Mean delay of frames sent so far apart that none holds back another, less bytes / rate. */
static double measured_delay_ns(const struct link_conditions *conditions, uint64_t bytes, int frames)
{
    struct link_spec spec = {LINK_NO_MEDIUM, {*conditions, *conditions}};
    struct link_net *net = link_net_new(&spec, 1, 11);
    double sum_ns = 0;
    int64_t at_ns = 0;
    for (int i = 0; i < frames; i++) {
        struct link_delivery delivery;
        link_send(net, 0, LINK_DOWN, bytes, at_ns, NULL);
        assert_true(take_next(net, &delivery));
        sum_ns += (double)(delivery.delivered_ns - at_ns);
        at_ns = delivery.delivered_ns + 1000000;
    }
    link_net_free(net);
    return sum_ns / frames - (conditions->bytes_per_s > 0 ? (double)bytes * 1e9 / conditions->bytes_per_s : 0);
}

static void assert_mean_as_expected(struct link_conditions conditions, uint64_t bytes)
{
    double expected_ns = (double)link_expected_delay_ns(&conditions, bytes);
    double measured_ns = measured_delay_ns(&conditions, bytes, 100000);
    double error = measured_ns / expected_ns - 1;
    assert_true(error > -0.01 && error < 0.01);
}

static void mean_delay_under_jitter_and_loss_is_as_expected(void **state)
{
    (void)state;
    struct link_conditions calm = {.bytes_per_s = 2e6, .delay_ns = 3000000};
    assert_int_equal(link_expected_delay_ns(&calm, 5000), 3000000);
    struct link_conditions jittery = calm;
    jittery.jitter_ns = 2000000;
    assert_int_equal(link_expected_delay_ns(&jittery, 5000), 3000000);
    assert_mean_as_expected(jittery, 5000);
    jittery.jitter_ns = 9000000; /* more than the delay: cut off at 0 */
    assert_int_equal(link_expected_delay_ns(&jittery, 5000), 4000000);
    assert_mean_as_expected(jittery, 5000);
    struct link_conditions lossy = calm;
    lossy.repair_ns = 10000000;
    const double losses[] = {0.001, 0.05, 0.3, LINK_MAX_LOSS};
    for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
        lossy.loss = losses[i];
        assert_mean_as_expected(lossy, 100);
        assert_mean_as_expected(lossy, 20000);
    }
    lossy.jitter_ns = 1000000;
    lossy.bytes_per_s = 0;
    assert_mean_as_expected(lossy, 20000);
}

static void one_lost_packet_costs_what_was_worked_out_by_hand(void **state)
{
    (void)state;
    /* One packet: rounds are geometric, mean loss / (1 - loss), each 8 ms and 1 ms of air. */
    struct link_conditions lossy = {.bytes_per_s = 1e6, .delay_ns = 5, .loss = 0.2, .repair_ns = 8000000};
    assert_int_equal(link_expected_delay_ns(&lossy, 1000), 5 + (8000000 + 1000000) / 4);
    struct link_conditions certain = lossy;
    certain.loss = 1; /* counts as LINK_MAX_LOSS, so that nothing loops for ever */
    assert_int_equal(link_expected_delay_ns(&certain, 1000), 5 + 8000000 + 1000000);
}

static void count_drop(void *context, void *frame)
{
    int *dropped = context;
    dropped[dropped[0] + 1] = *(int *)frame;
    dropped[0]++;
}

static void drop_takes_the_frames_of_one_link_and_frees_the_air(void **state)
{
    (void)state;
    int numbers[] = {0, 1, 2, 3, 4}, dropped[6] = {0};
    struct link_spec specs[] = {symmetric(2, MEGABYTE_PER_S, 1000 * US), symmetric(2, MEGABYTE_PER_S, 0)};
    struct link_net *net = link_net_new(specs, 2, 1);
    link_send(net, 0, LINK_UP, 10, 0, &numbers[0]); /* leaves at 20 us, is on its way when dropped */
    link_send(net, 0, LINK_UP, 100, 0, &numbers[1]);
    link_send(net, 0, LINK_UP, 100, 0, &numbers[2]);
    link_send(net, 0, LINK_DOWN, 0, 30 * US, &numbers[3]);
    link_send(net, 1, LINK_UP, 100, 0, &numbers[4]);
    link_drop(net, 0, 60 * US, count_drop, dropped);
    assert_int_equal(dropped[0], 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(dropped[i + 1], i);
    /* Sent at 30 (times never go back), 15 of air had in two shares until 60, then 85 alone. */
    assert_next(net, 1, LINK_UP, 145 * US);
    assert_idle(net);
    link_drop(net, 0, 200 * US, NULL, NULL); /* nothing there: nothing happens */
    link_send(net, 0, LINK_DOWN, 10, 300 * US, &numbers[0]);
    assert_next(net, 0, LINK_DOWN, 1310 * US);
    link_net_free(net);
}

/* A mixture of all there is; notes what arrives. Returns the number of notes. */
static size_t drive_mixture(struct link_net *net, uint32_t links, struct link_delivery *notes)
{
    struct random random;
    random_seed(&random, 5, "mixture");
    int64_t now_ns = 0;
    size_t count = 0;
    for (int i = 0; i < 2000; i++) {
        now_ns += (int64_t)(random_bits(&random) % 100000);
        while (link_take(net, now_ns, &notes[count]))
            count++;
        link_send(net, (uint32_t)(random_bits(&random) % links), (enum link_direction)(random_bits(&random) % 2),
                  random_bits(&random) % 5000, now_ns, NULL);
    }
    while (take_next(net, &notes[count]))
        count++;
    return count;
}

static void reset_and_equal_seeds_give_equal_deliveries(void **state)
{
    (void)state;
    struct link_spec specs[8];
    for (uint32_t i = 0; i < 8; i++) {
        specs[i] = symmetric(i < 5 ? 77 : LINK_NO_MEDIUM, 2e7, 100000);
        specs[i].conditions[LINK_UP].jitter_ns = 50000;
        specs[i].conditions[LINK_DOWN].loss = 0.1;
        specs[i].conditions[LINK_DOWN].repair_ns = 300000;
    }
    struct link_delivery *notes[3];
    for (int i = 0; i < 3; i++)
        notes[i] = NEW_ARRAY(struct link_delivery, 2001);
    struct link_net *net = link_net_new(specs, 8, 1);
    assert_int_equal(drive_mixture(net, 8, notes[0]), 2000);
    link_send(net, 0, LINK_UP, 100, INT64_C(1) << 50, NULL); /* left in flight: the reset forgets it */
    link_send(net, 7, LINK_UP, 100, INT64_C(1) << 50, NULL);
    link_net_reset(net);
    assert_idle(net);
    assert_int_equal(drive_mixture(net, 8, notes[1]), 2000);
    assert_memory_equal(notes[0], notes[1], 2000 * sizeof(struct link_delivery));
    link_net_free(net);
    net = link_net_new(specs, 8, 2);
    assert_int_equal(drive_mixture(net, 8, notes[2]), 2000);
    assert_int_not_equal(memcmp(notes[0], notes[2], 2000 * sizeof(struct link_delivery)), 0);
    link_net_free(net);
    for (int i = 0; i < 3; i++)
        free(notes[i]);
}

static void a_further_link_leaves_the_chances_of_the_others_alone(void **state)
{
    (void)state;
    struct link_spec specs[2] = {symmetric(LINK_NO_MEDIUM, 0, 1000000), symmetric(LINK_NO_MEDIUM, 0, 1000000)};
    int64_t delivered_ns[2] = {0};
    for (uint32_t count = 1; count <= 2; count++) {
        specs[0].conditions[0].jitter_ns = specs[1].conditions[0].jitter_ns = 1000000;
        struct link_net *net = link_net_new(specs, count, 8);
        struct link_delivery delivery = {0};
        if (count == 2) {
            link_send(net, 1, LINK_UP, 1, 0, NULL);
            assert_true(take_next(net, &delivery));
            delivered_ns[1] = delivery.delivered_ns;
        }
        link_send(net, 0, LINK_UP, 1, 5000000, NULL);
        assert_true(take_next(net, &delivery));
        if (count == 1)
            delivered_ns[0] = delivery.delivered_ns;
        else
            assert_int_equal(delivery.delivered_ns, delivered_ns[0]);
        link_net_free(net);
    }
    assert_int_not_equal(delivered_ns[0] - 5000000, delivered_ns[1]); /* and each has its own */
}

static void times_near_the_end_of_the_clock_do_not_overflow(void **state)
{
    (void)state;
    const int64_t late_ns = INT64_C(1000000000000000000);
    struct link_spec specs[3] = {symmetric(1, 3e6, 12345), symmetric(1, 3e6, 12345), symmetric(LINK_NO_MEDIUM, 1, 0)};
    struct link_net *net = link_net_new(specs, 3, 1);
    link_send(net, 0, LINK_UP, 3000000, 0, NULL); /* 1 s of air, at a very early time: the medium's clock then sleeps */
    assert_next(net, 0, LINK_UP, 1000012345);
    link_send(net, 0, LINK_UP, 3000000, late_ns, NULL);
    link_send(net, 1, LINK_UP, 3000000, late_ns, NULL);
    assert_next(net, 0, LINK_UP, late_ns + 2000012345);
    assert_next(net, 1, LINK_UP, late_ns + 2000012345);
    link_send(net, 2, LINK_UP, UINT64_MAX, late_ns + 3000000000, NULL); /* 1.8e28 ns of air */
    link_send(net, 2, LINK_UP, UINT64_MAX, late_ns + 3000000000, NULL);
    link_send(net, 2, LINK_UP, UINT64_MAX, late_ns + 3000000000, NULL);
    assert_true(link_next_ns(net) > late_ns);
    link_drop(net, 2, late_ns + 3000000000, NULL, NULL);
    assert_idle(net);
    link_net_free(net);

    struct link_conditions extreme = {
        .delay_ns = INT64_MAX, .jitter_ns = INT64_MAX, .loss = 0.5, .repair_ns = INT64_MAX};
    struct link_spec spec = {LINK_NO_MEDIUM, {extreme, extreme}};
    net = link_net_new(&spec, 1, 1);
    int64_t last_ns = 0;
    for (int i = 0; i < 100; i++)
        link_send(net, 0, LINK_UP, 10000, late_ns, NULL);
    for (int i = 0; i < 100; i++) {
        struct link_delivery delivery;
        assert_true(link_take(net, INT64_MAX, &delivery));
        assert_true(delivery.delivered_ns >= last_ns);
        last_ns = delivery.delivered_ns;
    }
    assert_int_equal(link_expected_delay_ns(&extreme, 10000), INT64_MAX);
    link_net_free(net);
}

static void drive_heap(uint32_t things, bool with_places)
{
    enum { MOST = 300, STEPS = 50000 };
    struct heap heap;
    heap_key keys[MOST] = {0}; /* 0: not in */
    struct random random;
    random_seed(&random, things, "heap");
    heap_init(&heap, things, with_places);
    assert_true(heap_first(&heap) == HEAP_BEHIND_LAST);
    for (int step = 0; step < STEPS; step++) {
        uint32_t thing = (uint32_t)(random_bits(&random) % things), count = 0;
        heap_key key = (heap_key)(1 + random_bits(&random) % 1000) << 64 | thing, first = HEAP_BEHIND_LAST;
        switch (random_bits(&random) % 8) {
        case 0:
            heap_remove(&heap, thing);
            keys[thing] = 0;
            break;
        case 1:
        case 2:
        case 3: /* several in a row leave no place open but the last one's */
            if (heap_count(&heap) > 0) {
                keys[heap_thing(heap_first(&heap))] = 0;
                heap_remove_first(&heap);
            }
            break;
        case 4:
            if (heap_count(&heap) > 0) {
                uint32_t old = heap_thing(heap_first(&heap));
                keys[old] = (key >> 32 << 32) | old;
                heap_replace_first(&heap, keys[old]);
            }
            break;
        case 5:
            heap_set(&heap, key);
            keys[thing] = key;
            break;
        default:
            if (keys[thing] == 0)
                heap_add(&heap, keys[thing] = key);
        }
        if (step == STEPS / 2)
            heap_keep_places(&heap);
        for (uint32_t i = 0; i < things; i++) {
            count += keys[i] != 0;
            if (keys[i] != 0 && keys[i] < first)
                first = keys[i];
        }
        assert_int_equal(heap_count(&heap), count);
        assert_true(heap_first(&heap) == first);
        if (step % 100 == 0) /* looks everywhere, and closes what is open */
            assert_int_equal(heap_find(&heap, thing) != HEAP_ABSENT, keys[thing] != 0);
    }
    heap_clear(&heap);
    assert_true(heap_first(&heap) == HEAP_BEHIND_LAST);
    heap_set(&heap, 0);
    assert_int_equal(heap_count(&heap), 1);
    heap_free(&heap);
}

static void the_heap_gives_the_least_key_whatever_was_changed(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 3, 4, 5, 6, 21, 300};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        drive_heap(sizes[i], true);
        drive_heap(sizes[i], false);
    }
}

static void keys_of_time_are_told_from_none(void **state)
{
    (void)state;
    assert_int_equal(heap_time_ns(HEAP_BEHIND_LAST), INT64_MAX);
    assert_int_equal(heap_time_ns((heap_key)7 << 64 | 3), 7);
    assert_false(heap_is_by(HEAP_BEHIND_LAST, INT64_MAX));
    assert_true(heap_is_by((heap_key)7 << 64 | 3, 7));
    assert_false(heap_is_by((heap_key)7 << 64 | 3, 6));
}

/* ---- changes */

static struct link_conditions at_rate(double bytes_per_s)
{
    return (struct link_conditions){.bytes_per_s = bytes_per_s};
}

static void a_new_rate_is_for_what_is_left_of_all_frames(void **state)
{
    (void)state;
    struct link_spec spec = symmetric(LINK_NO_MEDIUM, MEGABYTE_PER_S, 0);
    struct link_net *net = link_net_new(&spec, 1, 1);
    struct link_conditions slow = at_rate(MEGABYTE_PER_S / 4), fast = at_rate(2 * MEGABYTE_PER_S), any = at_rate(0);
    link_send(net, 0, LINK_UP, 100, 0, NULL);
    link_send(net, 0, LINK_UP, 100, 0, NULL);
    link_change(net, 0, LINK_UP, &slow, 60 * US); /* 40 left: 160 us; 100 left: 400 us */
    assert_next(net, 0, LINK_UP, 220 * US);
    link_change(net, 0, LINK_UP, &fast, 420 * US); /* 50 left: 25 us */
    link_send(net, 0, LINK_UP, 100, 421 * US, NULL);
    assert_next(net, 0, LINK_UP, 445 * US);
    link_change(net, 0, LINK_UP, &any, 450 * US);
    assert_next(net, 0, LINK_UP, 450 * US);
    assert_idle(net);
    link_net_reset(net); /* the first conditions again */
    link_send(net, 0, LINK_UP, 100, 0, NULL);
    assert_next(net, 0, LINK_UP, 100 * US);
    link_net_free(net);
}

static void a_new_delay_overtakes_nothing(void **state)
{
    (void)state;
    struct link_spec spec = symmetric(LINK_NO_MEDIUM, MEGABYTE_PER_S, 1000 * US);
    struct link_net *net = link_net_new(&spec, 1, 1);
    struct link_conditions near = at_rate(MEGABYTE_PER_S);
    link_send(net, 0, LINK_UP, 100, 0, NULL);
    link_change(net, 0, LINK_UP, &near, 200 * US);
    link_send(net, 0, LINK_UP, 100, 200 * US, NULL);
    assert_next(net, 0, LINK_UP, 1100 * US);
    assert_next(net, 0, LINK_UP, 1100 * US);
    link_net_free(net);
}

static void a_new_rate_on_a_medium_is_for_that_link_alone(void **state)
{
    (void)state;
    struct link_spec specs[] = {symmetric(7, MEGABYTE_PER_S, 0), symmetric(7, MEGABYTE_PER_S, 0)};
    struct link_net *net = link_net_new(specs, 2, 1);
    struct link_conditions slow = at_rate(MEGABYTE_PER_S / 2);
    link_send(net, 0, LINK_UP, 100, 0, NULL);
    link_send(net, 1, LINK_UP, 100, 0, NULL);
    link_change(net, 0, LINK_UP, &slow, 100 * US); /* each has 50 left; now 100 and 50 of air, half of it each */
    assert_next(net, 1, LINK_UP, 200 * US);
    assert_next(net, 0, LINK_UP, 250 * US);
    assert_idle(net);
    link_net_free(net);
}

/* Equal shares: the k-th of n transfers that begin together ends at sum over i <= k of (a[i] - a[i - 1]) * (n - i). */
static void transfers_that_begin_together_end_as_the_closed_form_says(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    struct link_spec specs[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        specs[i] = symmetric(1, MEGABYTE_PER_S, 0);
    struct link_net *net = link_net_new(specs, COUNT, 1);
    for (uint32_t i = 0; i < COUNT; i++)
        link_send(net, i, LINK_UP, 100 * (i + 1), 0, NULL);
    int64_t expected_ns = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        expected_ns += 100 * US * (COUNT - i);
        assert_next(net, i, LINK_UP, expected_ns);
    }
    link_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_rate_is_for_what_is_left_of_all_frames),
        cmocka_unit_test(a_new_delay_overtakes_nothing),
        cmocka_unit_test(a_new_rate_on_a_medium_is_for_that_link_alone),
        cmocka_unit_test(transfers_that_begin_together_end_as_the_closed_form_says),
        cmocka_unit_test(a_frame_takes_its_bytes_over_the_rate_and_then_the_delay),
        cmocka_unit_test(frames_of_one_direction_follow_one_another),
        cmocka_unit_test(fractions_of_a_nanosecond_are_not_lost_between_frames),
        cmocka_unit_test(an_unshaped_link_only_delays),
        cmocka_unit_test(an_empty_frame_takes_the_delay_alone),
        cmocka_unit_test(two_links_on_one_medium_get_half_each),
        cmocka_unit_test(links_on_different_media_do_not_meet),
        cmocka_unit_test(a_third_link_joins_in_the_middle),
        cmocka_unit_test(without_a_medium_both_directions_have_the_whole_rate),
        cmocka_unit_test(within_a_medium_a_link_is_half_duplex),
        cmocka_unit_test(a_late_caller_gets_the_times_at_which_frames_were_due),
        cmocka_unit_test(sharing_agrees_with_a_plain_model_on_random_traffic),
        cmocka_unit_test(order_is_kept_under_jitter),
        cmocka_unit_test(mean_delay_under_jitter_and_loss_is_as_expected),
        cmocka_unit_test(one_lost_packet_costs_what_was_worked_out_by_hand),
        cmocka_unit_test(drop_takes_the_frames_of_one_link_and_frees_the_air),
        cmocka_unit_test(reset_and_equal_seeds_give_equal_deliveries),
        cmocka_unit_test(a_further_link_leaves_the_chances_of_the_others_alone),
        cmocka_unit_test(times_near_the_end_of_the_clock_do_not_overflow),
        cmocka_unit_test(the_heap_gives_the_least_key_whatever_was_changed),
        cmocka_unit_test(keys_of_time_are_told_from_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
