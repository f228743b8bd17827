/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's data connection. */
#include "agent/data.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"

enum { CONNECT_LIMIT_MS = 5000 };

void data_init(struct data_link *data)
{
    data->fd = -1;
    pthread_mutex_init(&data->send_lock, NULL);
    frame_reader_init(&data->reader);
    data->look_from_ns = data->look_until_ns = 0;
    atomic_init(&data->sent_bytes, 0);
    atomic_init(&data->received_bytes, 0);
}

void data_close(struct data_link *data)
{
    if (data->fd >= 0)
        close(data->fd);
    data->fd = -1;
    pthread_mutex_destroy(&data->send_lock);
}

static int wait_connected(int fd)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    int failure = 0;
    socklen_t bytes = sizeof(failure);
    if (poll(&writable, 1, CONNECT_LIMIT_MS) <= 0)
        return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &bytes) ? errno : failure;
}

int data_connect(struct data_link *data, const char *host, uint16_t port, const uint8_t secret[FRAME_SECRET_BYTES],
                 uint32_t node_index, struct error *error)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return error_set(error, ERROR_RUN, "\"%s\" is no IPv4 address", host);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set(error, ERROR_RUN, "making a socket: %s", strerror(errno));
    int failure = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
    if (failure == EINPROGRESS)
        failure = wait_connected(fd);
    if (failure) {
        close(fd);
        return error_set(error, ERROR_RUN, "connecting to the controller's data port %s:%u: %s", host, port,
                         strerror(failure));
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    fcntl(fd, F_SETFL, 0); /* reading may wait now */
    data->fd = fd;
    struct frame_header hello = {.kind = FRAME_HELLO, .stream = node_index};
    const void *content = secret;
    const uint64_t bytes = FRAME_SECRET_BYTES;
    return data_send(data, &hello, NULL, &content, &bytes, 1, error);
}

int data_send(struct data_link *data, struct frame_header *header, const int64_t *layer_ns, const void *const *tensors,
              const uint64_t *tensor_bytes, uint32_t tensor_count, struct error *error)
{
    if (data->fd < 0)
        return error_set(error, ERROR_RUN, "there is no data connection");
    pthread_mutex_lock(&data->send_lock);
    header->sent_ns = clock_now_ns();
    int status = frame_send(data->fd, header, layer_ns, tensors, tensor_bytes, tensor_count, error);
    pthread_mutex_unlock(&data->send_lock);
    if (header->kind == FRAME_TASK)
        atomic_fetch_add(&data->sent_bytes, header->tensor_bytes);
    return status;
}

void data_expect(struct data_link *data, int64_t from_ns, int64_t until_ns)
{
    data->look_from_ns = from_ns;
    data->look_until_ns = until_ns;
}

/* Sleeps until it is time to look, or something has come. */
static void sleep_before_looking(const struct data_link *data)
{
    struct pollfd readable = {.fd = data->fd, .events = POLLIN};
    int64_t left_ns = data->look_from_ns - clock_now_ns();
    const struct timespec left = clock_timespec(left_ns);
    if (left_ns > 0)
        ppoll(&readable, 1, &left, NULL);
}

/* As frame_read, but looks for what is expected, for as long as it is. */
static int look_out(struct data_link *data, struct error *error)
{
    const uint64_t before = data->reader.received_bytes;
    const int64_t until_ns = data->look_until_ns;
    int status;
    sleep_before_looking(data);
    data->look_until_ns = 0;
    data->reader.waits = false;
    do {
        clock_linger();
        status = frame_read(&data->reader, data->fd, &data->receiver, error);
    } while (status > 0 && data->reader.received_bytes == before && clock_now_ns() < until_ns);
    data->reader.waits = true;
    return status;
}

static void *run_reader(void *argument)
{
    struct data_link *data = argument;
    struct error error = {0};
    int status;
    data->reader.waits = true;
    do {
        status =
            data->look_until_ns ? look_out(data, &error) : frame_read(&data->reader, data->fd, &data->receiver, &error);
    } while (status > 0);
    if (status == 0)
        error_set(&error, ERROR_RUN, "the controller has closed the data connection");
    data->ended(data->receiver.context, &error);
    return NULL;
}

int data_listen(struct data_link *data, const struct frame_receiver *receiver,
                void (*ended)(void *context, const struct error *why), struct error *error)
{
    data->receiver = *receiver;
    data->ended = ended;
    if (pthread_create(&data->thread, NULL, run_reader, data))
        return error_set(error, ERROR_RUN, "a thread for the data connection cannot be started");
    data->is_read = true;
    return 0;
}

void data_stop(struct data_link *data)
{
    if (!data->is_read)
        return;
    shutdown(data->fd, SHUT_RDWR);
    pthread_join(data->thread, NULL);
    data->is_read = false;
}
