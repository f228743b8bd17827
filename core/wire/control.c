/* SPDX-License-Identifier: Apache-2.0 */
/* The control connection. */
#include "core/wire/control.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/memory.h"

enum { LENGTH_BYTES = 4, ARENA_BYTES = 16 << 10, STACK_MESSAGE_BYTES = 1024, READ_BYTES = 16 << 10 };

/* protobuf-c's allocator: pieces of the arena, the heap where a message is bigger. */
static void *arena_take(void *context, size_t count)
{
    struct control_parser *parser = context;
    size_t whole = (count + 15) & ~(size_t)15;
    if (whole < count || whole > ARENA_BYTES - parser->arena_used)
        return malloc(count);
    void *piece = parser->arena + parser->arena_used;
    parser->arena_used += whole;
    return piece;
}

static void arena_give_back(void *context, void *piece)
{
    struct control_parser *parser = context;
    uintptr_t at = (uintptr_t)piece, begin = (uintptr_t)parser->arena;
    if (at < begin || at >= begin + ARENA_BYTES)
        free(piece);
}

void control_parser_init(struct control_parser *parser)
{
    memset(parser, 0, sizeof(*parser));
    parser->room = READ_BYTES;
    parser->bytes = memory_new(parser->room);
    parser->arena = memory_new(ARENA_BYTES);
}

void control_parser_free(struct control_parser *parser)
{
    free(parser->bytes);
    free(parser->arena);
    memset(parser, 0, sizeof(*parser));
}

static uint32_t read_length(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static int handle(struct control_parser *parser, const uint8_t *bytes, size_t count, control_handler handler,
                  void *context, struct error *error)
{
    ProtobufCAllocator allocator = {.alloc = arena_take, .free = arena_give_back, .allocator_data = parser};
    parser->arena_used = 0;
    Wire__Message *message = wire__message__unpack(&allocator, count, bytes);
    if (!message)
        return error_set(error, ERROR_RUN, "malformed control message of %zu bytes", count);
    int status = message->body_case == WIRE__MESSAGE__BODY__NOT_SET
                     ? error_set(error, ERROR_RUN, "control message of %zu bytes without content", count)
                     : handler(context, message, error);
    wire__message__free_unpacked(message, &allocator);
    return status;
}

int control_parser_feed(struct control_parser *parser, const void *bytes, size_t count, control_handler handler,
                        void *context, struct error *error)
{
    if (count > parser->room - parser->used) {
        parser->room = parser->used + count;
        parser->bytes = memory_resize(parser->bytes, parser->room, 1);
    }
    memcpy(parser->bytes + parser->used, bytes, count);
    parser->used += count;
    size_t at = 0;
    while (parser->used - at >= LENGTH_BYTES) {
        uint32_t length = read_length(parser->bytes + at);
        if (length == 0 || length > CONTROL_MESSAGE_BYTES_MAX)
            return error_set(error, ERROR_RUN, "control message of %u bytes (1..%u are allowed)", length,
                             CONTROL_MESSAGE_BYTES_MAX);
        if (parser->used - at - LENGTH_BYTES < length)
            break;
        if (handle(parser, parser->bytes + at + LENGTH_BYTES, length, handler, context, error))
            return -1;
        at += LENGTH_BYTES + length;
    }
    parser->used -= at;
    if (at && parser->used)
        memmove(parser->bytes, parser->bytes + at, parser->used);
    return 0;
}

void control_open(struct control *control, int read_fd, int write_fd)
{
    control->read_fd = read_fd;
    control->write_fd = write_fd;
    control->send_limit_ns = CONTROL_SEND_LIMIT_NS;
    pthread_mutex_init(&control->send_lock, NULL);
    control_parser_init(&control->parser);
}

void control_close(struct control *control)
{
    if (control->read_fd >= 0)
        close(control->read_fd);
    if (control->write_fd >= 0 && control->write_fd != control->read_fd)
        close(control->write_fd);
    control->read_fd = control->write_fd = -1;
    pthread_mutex_destroy(&control->send_lock);
    control_parser_free(&control->parser);
}

int control_read(struct control *control, control_handler handler, void *context, struct error *error)
{
    uint8_t bytes[READ_BYTES];
    ssize_t got = read(control->read_fd, bytes, sizeof(bytes));
    if (got > 0)
        return control_parser_feed(&control->parser, bytes, (size_t)got, handler, context, error) ? -1 : 1;
    if (got == 0 || errno == ECONNRESET)
        return 0;
    if (errno == EINTR || errno == EAGAIN)
        return 1;
    return error_set(error, ERROR_RUN, "reading the control connection: %s", strerror(errno));
}

/* A pipe (control over an SSH channel) knows no send flags; its users ignore SIGPIPE. */
static ssize_t send_some(int fd, const uint8_t *bytes, size_t count)
{
    ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 && errno == ENOTSOCK ? write(fd, bytes, count) : sent;
}

static int send_all(int fd, const uint8_t *bytes, size_t count, int64_t limit_ns, struct error *error)
{
    while (count) {
        ssize_t sent = send_some(fd, bytes, count);
        if (sent > 0) {
            bytes += sent;
            count -= (size_t)sent;
        } else if (errno == EAGAIN) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            if (poll(&room, 1, (int)(limit_ns / NS_PER_MS)) == 0)
                return error_set(error, ERROR_RUN, "the control connection takes nothing any more");
        } else if (errno != EINTR) {
            return error_set(error, ERROR_RUN, "writing the control connection: %s", strerror(errno));
        }
    }
    return 0;
}

int control_send(struct control *control, const Wire__Message *message, struct error *error)
{
    uint8_t small[STACK_MESSAGE_BYTES];
    size_t length = wire__message__get_packed_size(message);
    if (length > CONTROL_MESSAGE_BYTES_MAX)
        return error_set(error, ERROR_RUN, "control message of %zu bytes: more than %u are not allowed", length,
                         CONTROL_MESSAGE_BYTES_MAX);
    uint8_t *bytes = length + LENGTH_BYTES <= sizeof(small) ? small : memory_new(length + LENGTH_BYTES);
    for (int i = 0; i < LENGTH_BYTES; i++)
        bytes[i] = (uint8_t)(length >> (8 * i));
    wire__message__pack(message, bytes + LENGTH_BYTES);
    pthread_mutex_lock(&control->send_lock);
    int status = send_all(control->write_fd, bytes, length + LENGTH_BYTES, control->send_limit_ns, error);
    pthread_mutex_unlock(&control->send_lock);
    if (bytes != small)
        free(bytes);
    return status;
}

int control_send_error(struct control *control, const struct error *why, struct error *error)
{
    Wire__Error body = WIRE__ERROR__INIT;
    Wire__Message message = WIRE__MESSAGE__INIT;
    body.kind = why->kind;
    body.text = (char *)(uintptr_t)why->text;
    message.body_case = WIRE__MESSAGE__BODY_ERROR;
    message.error = &body;
    return control_send(control, &message, error);
}
