/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes what controller and agent read from each other: control messages and frames. The first byte of an input
 * chooses which, the second the size of the portions in which the rest arrives. For a campaign, see fuzz_onnx.c: the same
 * command with this file in its place.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/wire/control.h"
#include "core/wire/frame.h"
#include "tests/fuzz/fuzz_target.h"

enum { PAYLOAD_BYTES = 1 << 16, LAYERS = 64 };

struct ground {
    int64_t layer_ns[LAYERS];
    uint8_t payload[PAYLOAD_BYTES];
};

/* Looks at everything that a message holds. */
static int hear(void *context, const Wire__Message *message, struct error *error)
{
    volatile size_t *sum = context;
    (void)error;
    *sum += wire__message__get_packed_size(message);
    if (*sum > SIZE_MAX / 2 || message->body_case == WIRE__MESSAGE__BODY__NOT_SET)
        abort();
    return 0;
}

static int begin(void *context, const struct frame_header *header, int64_t **layer_ns, void **payload,
                 struct error *error)
{
    struct ground *ground = context;
    if (header->layer_count > LAYERS || header->payload_bytes > PAYLOAD_BYTES)
        return error_set(error, ERROR_RUN, "too big for this ground");
    *layer_ns = ground->layer_ns;
    *payload = ground->payload;
    return 0;
}

static int end(void *context, const struct frame_header *header, struct error *error)
{
    (void)context;
    (void)error;
    if (header->tensor_bytes > header->payload_bytes || header->kind == 0 || header->kind >= FRAME_KIND_COUNT)
        abort();
    return 0;
}

static void feed_control(const uint8_t *bytes, size_t size, size_t portion)
{
    struct control_parser parser;
    struct error error = {0};
    size_t sum = 0;
    int status = 0;
    control_parser_init(&parser);
    for (size_t at = 0; at < size && status == 0; at += portion)
        status =
            control_parser_feed(&parser, bytes + at, portion < size - at ? portion : size - at, hear, &sum, &error);
    if (status && error.text[0] == '\0')
        abort(); /* a refusal must say why */
    control_parser_free(&parser);
}

static void feed_frames(const uint8_t *bytes, size_t size, size_t portion)
{
    static struct ground ground;
    struct frame_reader reader;
    const struct frame_receiver receiver = {&ground, begin, end};
    struct error error = {0};
    int status = 0;
    frame_reader_init(&reader);
    for (size_t at = 0; at < size && status == 0;) {
        struct iovec pieces[2];
        size_t left = portion < size - at ? portion : size - at, got = 0;
        int count = frame_reader_room(&reader, pieces);
        for (int i = 0; i < count; i++) {
            size_t here = pieces[i].iov_len < left ? pieces[i].iov_len : left;
            memcpy(pieces[i].iov_base, bytes + at + got, here);
            left -= here;
            got += here;
        }
        if (got == 0)
            abort(); /* a reader always has room for more */
        at += got;
        status = frame_reader_advance(&reader, got, &receiver, &error);
    }
    if (status && error.text[0] == '\0')
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 2)
        return 0;
    size_t portion = bytes[1] ? bytes[1] : 4096;
    if (bytes[0] % 2)
        feed_frames(bytes + 2, size - 2, portion);
    else
        feed_control(bytes + 2, size - 2, portion);
    return 0;
}

/* ---- seeds */

static uint8_t *control_seed(const Wire__Message *message, size_t *size)
{
    size_t length = wire__message__get_packed_size(message);
    uint8_t *seed = memory_new(6 + length);
    seed[2] = (uint8_t)length;
    seed[3] = (uint8_t)(length >> 8);
    wire__message__pack(message, seed + 6);
    *size = 6 + length;
    return seed;
}

static uint8_t *configure_seed(size_t *size)
{
    char name[] = "pi1", text[] = "5ms", where[] = "a.cfg:3", folder[] = "/plugins";
    char *folders[] = {folder, folder};
    Wire__Setting setting = WIRE__SETTING__INIT;
    Wire__Setting *settings[] = {&setting, &setting};
    Wire__Configure body = WIRE__CONFIGURE__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    setting.name = name;
    setting.text = text;
    setting.where = where;
    body.node = name;
    body.backend = name;
    body.settings = settings;
    body.n_settings = 2;
    body.plugin_path = folders;
    body.n_plugin_path = 2;
    body.cpu_share = 0.25;
    body.threads = 1;
    message.body_case = WIRE__MESSAGE__BODY_CONFIGURE;
    message.configure = &body;
    return control_seed(&message, size);
}

static uint8_t *profile_seed(size_t *size)
{
    int64_t times[] = {1, 2, INT64_MAX};
    Wire__ProfileResult body = WIRE__PROFILE_RESULT__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.layer_ns = times;
    body.n_layer_ns = 3;
    message.body_case = WIRE__MESSAGE__BODY_PROFILE_RESULT;
    message.profile_result = &body;
    return control_seed(&message, size);
}

static uint8_t *deploy_seed(size_t *size)
{
    Wire__StreamPlan plan = WIRE__STREAM_PLAN__INIT;
    Wire__StreamPlan *plans[] = {&plan, &plan};
    Wire__Deploy body = WIRE__DEPLOY__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    plan.cut = 3;
    body.streams = plans;
    body.n_streams = 2;
    message.body_case = WIRE__MESSAGE__BODY_DEPLOY;
    message.deploy = &body;
    return control_seed(&message, size);
}

static uint8_t *frame_seed(size_t *size)
{
    const struct frame_header header = {
        .kind = FRAME_TASK, .layer_count = 3, .tensor_count = 1, .payload_bytes = 128, .tensor_bytes = 100};
    const size_t one = FRAME_HEADER_BYTES + 24 + 128;
    uint8_t *seed = memory_new(2 + 2 * one);
    seed[0] = 1;
    seed[1] = 50;
    frame_encode(&header, seed + 2);
    frame_encode(&header, seed + 2 + one);
    *size = 2 + 2 * one;
    return seed;
}

uint8_t *fuzz_seed(unsigned index, size_t *size)
{
    uint8_t *(*const seeds[])(size_t *) = {configure_seed, profile_seed, deploy_seed, frame_seed};
    return index < sizeof(seeds) / sizeof(*seeds) ? seeds[index](size) : NULL;
}
