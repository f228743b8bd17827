/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the data connection. */
#include "core/wire/frame.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/clock.h"

#define MAGIC UINT32_C(0x31464e4e) /* "NNF1" */

enum { PIECES_MAX = 64, READS_AT_ONCE = 64 };

static uint8_t *put32(uint8_t *at, uint32_t value)
{
    uint32_t little = htole32(value);
    memcpy(at, &little, sizeof(little));
    return at + sizeof(little);
}

static uint8_t *put64(uint8_t *at, uint64_t value)
{
    uint64_t little = htole64(value);
    memcpy(at, &little, sizeof(little));
    return at + sizeof(little);
}

static uint32_t get32(const uint8_t **at)
{
    uint32_t little;
    memcpy(&little, *at, sizeof(little));
    *at += sizeof(little);
    return le32toh(little);
}

static uint64_t get64(const uint8_t **at)
{
    uint64_t little;
    memcpy(&little, *at, sizeof(little));
    *at += sizeof(little);
    return le64toh(little);
}

void frame_encode(const struct frame_header *header, uint8_t bytes[FRAME_HEADER_BYTES])
{
    uint8_t *at = bytes;
    at = put32(at, MAGIC);
    at = put32(at, header->kind);
    at = put32(at, header->stream);
    at = put32(at, header->layer_count);
    at = put32(at, header->tensor_count);
    at = put32(at, header->part);
    at = put64(at, header->task);
    at = put64(at, header->payload_bytes);
    at = put64(at, header->tensor_bytes);
    at = put64(at, (uint64_t)header->sent_ns);
    at = put64(at, (uint64_t)header->due_ns);
    at = put64(at, (uint64_t)header->started_ns);
    at = put64(at, (uint64_t)header->ended_ns);
    at = put64(at, header->digest);
    put64(at, 0);
}

int frame_decode(const uint8_t bytes[FRAME_HEADER_BYTES], struct frame_header *header, struct error *error)
{
    const uint8_t *at = bytes;
    if (get32(&at) != MAGIC)
        return error_set(error, ERROR_RUN, "data connection: what arrived is no frame");
    header->kind = get32(&at);
    header->stream = get32(&at);
    header->layer_count = get32(&at);
    header->tensor_count = get32(&at);
    header->part = get32(&at);
    header->task = get64(&at);
    header->payload_bytes = get64(&at);
    header->tensor_bytes = get64(&at);
    header->sent_ns = (int64_t)get64(&at);
    header->due_ns = (int64_t)get64(&at);
    header->started_ns = (int64_t)get64(&at);
    header->ended_ns = (int64_t)get64(&at);
    header->digest = get64(&at);
    if (header->kind == 0 || header->kind >= FRAME_KIND_COUNT)
        return error_set(error, ERROR_RUN, "data connection: frame of unknown kind %u", header->kind);
    if (header->layer_count > FRAME_LAYERS_MAX)
        return error_set(error, ERROR_RUN, "data connection: frame with %u layer times (at most %u)",
                         header->layer_count, FRAME_LAYERS_MAX);
    if (header->payload_bytes > FRAME_PAYLOAD_BYTES_MAX || header->tensor_bytes > header->payload_bytes)
        return error_set(error, ERROR_RUN, "data connection: frame of %llu bytes (at most %llu)",
                         (unsigned long long)header->payload_bytes, (unsigned long long)FRAME_PAYLOAD_BYTES_MAX);
    return 0;
}

void frame_reader_init(struct frame_reader *reader)
{
    memset(reader, 0, sizeof(*reader));
}

int frame_reader_room(struct frame_reader *reader, struct iovec pieces[2])
{
    int count = 0;
    if (!reader->in_content) {
        pieces[count++] = (struct iovec){reader->raw + reader->raw_got, FRAME_HEADER_BYTES - reader->raw_got};
        return count;
    }
    if (reader->layers_got < reader->layers_bytes)
        pieces[count++] =
            (struct iovec){reader->layers + reader->layers_got, reader->layers_bytes - reader->layers_got};
    if (reader->payload_got < reader->payload_bytes)
        pieces[count++] =
            (struct iovec){reader->payload + reader->payload_got, reader->payload_bytes - reader->payload_got};
    return count;
}

static int begin_content(struct frame_reader *reader, const struct frame_receiver *receiver, struct error *error)
{
    int64_t *layer_ns = NULL;
    void *payload = NULL;
    if (frame_decode(reader->raw, &reader->header, error) ||
        receiver->begin(receiver->context, &reader->header, &layer_ns, &payload, error))
        return -1;
    reader->layers = (uint8_t *)layer_ns;
    reader->payload = payload;
    reader->layers_bytes = reader->header.layer_count * sizeof(int64_t);
    reader->payload_bytes = reader->header.payload_bytes;
    reader->layers_got = reader->payload_got = 0;
    reader->in_content = true;
    return 0;
}

static size_t fill(size_t *got, size_t room, size_t count)
{
    size_t taken = count < room - *got ? count : room - *got;
    *got += taken;
    return count - taken;
}

int frame_reader_advance(struct frame_reader *reader, size_t count, const struct frame_receiver *receiver,
                         struct error *error)
{
    reader->received_bytes += count;
    if (!reader->in_content) {
        reader->raw_got += count;
        if (reader->raw_got < FRAME_HEADER_BYTES)
            return 0;
        reader->raw_got = 0;
        if (begin_content(reader, receiver, error))
            return -1;
    } else {
        count = fill(&reader->layers_got, reader->layers_bytes, count);
        fill(&reader->payload_got, reader->payload_bytes, count);
    }
    if (reader->layers_got < reader->layers_bytes || reader->payload_got < reader->payload_bytes)
        return 0;
    reader->in_content = false;
    return receiver->end(receiver->context, &reader->header, error);
}

/* Bytes that came in behind a header go where the header's frame, and the next ones, want them. */
static int spread(struct frame_reader *reader, size_t count, const struct frame_receiver *receiver, struct error *error)
{
    for (size_t at = 0; at < count;) {
        struct iovec pieces[2];
        size_t taken = 0;
        int piece_count = frame_reader_room(reader, pieces);
        for (int i = 0; i < piece_count; i++) {
            size_t left = count - at - taken, here = pieces[i].iov_len < left ? pieces[i].iov_len : left;
            memcpy(pieces[i].iov_base, reader->ahead + at + taken, here);
            taken += here;
        }
        at += taken;
        if (frame_reader_advance(reader, taken, receiver, error))
            return -1;
    }
    return 0;
}

/* One portion: what is being waited for and, where that is a header, what is behind it. 2: there is no more now. */
static int read_portion(struct frame_reader *reader, int fd, const struct frame_receiver *receiver, struct error *error)
{
    struct iovec pieces[3];
    struct msghdr message = {.msg_iov = pieces};
    size_t wanted = 0;
    bool header = !reader->in_content;
    message.msg_iovlen = (size_t)frame_reader_room(reader, pieces);
    for (size_t i = 0; i < message.msg_iovlen; i++)
        wanted += pieces[i].iov_len;
    if (header)
        pieces[message.msg_iovlen++] = (struct iovec){reader->ahead, sizeof(reader->ahead)};
    ssize_t got = recvmsg(fd, &message, reader->waits ? 0 : MSG_DONTWAIT);
    if (got < 0 && errno == EINTR)
        return 1;
    if (got < 0 && errno == EAGAIN)
        return 2;
    if (got < 0 && errno != ECONNRESET)
        return error_set(error, ERROR_RUN, "reading the data connection: %s", strerror(errno));
    if (got <= 0)
        return reader->in_content || reader->raw_got ? error_set(error, ERROR_RUN, "data connection: cut in a frame")
                                                     : 0;
    size_t count = (size_t)got, ahead = count > wanted ? count - wanted : 0;
    if (frame_reader_advance(reader, count - ahead, receiver, error) || spread(reader, ahead, receiver, error))
        return -1;
    /* A frame's end is a good place to stop: who waits for the socket is told of what comes next. */
    return !header && !reader->in_content ? 2 : count < wanted + (header ? sizeof(reader->ahead) : 0) ? 2 : 1;
}

/* A bounded number of portions, so that one busy connection does not starve the others. */
int frame_read(struct frame_reader *reader, int fd, const struct frame_receiver *receiver, struct error *error)
{
    for (int i = 0; i < READS_AT_ONCE; i++) {
        int status = read_portion(reader, fd, receiver, error);
        if (status == 2)
            return 1;
        if (status <= 0)
            return status;
    }
    return 1;
}

static int send_pieces(int fd, struct iovec *pieces, size_t count, struct error *error)
{
    while (count) {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            if (poll(&room, 1, (int)(FRAME_SEND_LIMIT_NS / NS_PER_MS)) == 0)
                return error_set(error, ERROR_RUN, "the data connection takes nothing any more");
            continue;
        }
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return error_set(error, ERROR_RUN, "writing the data connection: %s", strerror(errno));
        size_t left = (size_t)sent;
        while (count && left >= pieces->iov_len) {
            left -= pieces->iov_len;
            pieces++;
            count--;
        }
        if (left) {
            pieces->iov_base = (uint8_t *)pieces->iov_base + left;
            pieces->iov_len -= left;
        }
    }
    return 0;
}

int frame_send(int fd, struct frame_header *header, const int64_t *layer_ns, const void *const *tensors,
               const uint64_t *tensor_bytes, uint32_t tensor_count, struct error *error)
{
    static const uint8_t padding[FRAME_ALIGN];
    uint8_t raw[FRAME_HEADER_BYTES];
    struct iovec pieces[PIECES_MAX];
    size_t count = 0;
    header->tensor_count = tensor_count;
    header->tensor_bytes = header->payload_bytes = 0;
    for (uint32_t i = 0; i < tensor_count; i++) {
        header->tensor_bytes += tensor_bytes[i];
        header->payload_bytes += frame_padded(tensor_bytes[i]);
    }
    frame_encode(header, raw);
    pieces[count++] = (struct iovec){raw, sizeof(raw)};
    if (header->layer_count)
        pieces[count++] = (struct iovec){(void *)(uintptr_t)layer_ns, header->layer_count * sizeof(int64_t)};
    for (uint32_t i = 0; i < tensor_count; i++) {
        if (count + 2 > PIECES_MAX) {
            if (send_pieces(fd, pieces, count, error))
                return -1;
            count = 0;
        }
        size_t pad = (size_t)(frame_padded(tensor_bytes[i]) - tensor_bytes[i]);
        pieces[count++] = (struct iovec){(void *)(uintptr_t)tensors[i], (size_t)tensor_bytes[i]};
        if (pad)
            pieces[count++] = (struct iovec){(void *)(uintptr_t)padding, pad};
    }
    return send_pieces(fd, pieces, count, error);
}

bool frame_secret_equal(const uint8_t *a, const uint8_t *b)
{
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < FRAME_SECRET_BYTES; i++)
        difference |= (uint8_t)(a[i] ^ b[i]);
    return difference == 0;
}
