/* SPDX-License-Identifier: Apache-2.0 */
/* The host's services for one instance. */
#include "core/plugin/services.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/base/random.h"

struct interned {
    UT_hash_handle hh;
    char text[];
};

struct services {
    struct instance_host host; /* its label is `label` */
    char *label, *source;
    int may_sleep;
    bool parallel; /* several threads may be in callbacks at once */
    pthread_mutex_t lock; /* guards what follows: the random numbers only where several may be */
    struct random random;
    struct interned *texts;
    char error_text[1024];
};

static struct services *behind(const struct napm_host *table)
{
    return table->context;
}

/* Most plugins are called by one thread at a time, and some ask for a random number for each task: those need no lock. */
static void enter(struct services *services)
{
    if (services->parallel)
        pthread_mutex_lock(&services->lock);
}

static void leave(struct services *services)
{
    if (services->parallel)
        pthread_mutex_unlock(&services->lock);
}

/* Copies with control characters as blanks: a line of the log or an error stays one line and cannot paint a terminal. */
static void copy_line(char *to, size_t to_bytes, const char *text)
{
    size_t i = 0;
    for (; text && text[i] && i + 1 < to_bytes; i++)
        to[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i];
    to[i] = '\0';
}

static void service_log(const struct napm_host *table, uint32_t level, const char *text)
{
    char line[1024];
    if (level > NAPM_LOG_DEBUG)
        level = NAPM_LOG_DEBUG;
    copy_line(line, sizeof(line), text);
    log_write((enum log_level)level, behind(table)->source, "%s", line);
}

static void service_set_error(const struct napm_host *table, const char *text)
{
    struct services *services = behind(table);
    pthread_mutex_lock(&services->lock);
    copy_line(services->error_text, sizeof(services->error_text), text);
    pthread_mutex_unlock(&services->lock);
}

static int64_t service_now_ns(const struct napm_host *table)
{
    const struct instance_host *host = &behind(table)->host;
    return host->now_ns ? host->now_ns(host->context) : clock_now_ns();
}

static int32_t service_sleep_until_ns(const struct napm_host *table, int64_t until_ns)
{
    struct services *services = behind(table);
    if (!services->may_sleep) {
        service_set_error(table, "only a model backend may sleep");
        return NAPM_ERR_UNSUPPORTED;
    }
    if (services->host.sleep_until_ns)
        return services->host.sleep_until_ns(services->host.context, until_ns);
    clock_sleep_until_ns(until_ns);
    return NAPM_OK;
}

static uint64_t service_random_bits(const struct napm_host *table)
{
    struct services *services = behind(table);
    enter(services);
    uint64_t bits = random_bits(&services->random);
    leave(services);
    return bits;
}

static double service_random_unit(const struct napm_host *table)
{
    struct services *services = behind(table);
    enter(services);
    double number = random_unit(&services->random);
    leave(services);
    return number;
}

static const char *service_intern(const struct napm_host *table, const char *text)
{
    struct services *services = behind(table);
    struct interned *found = NULL;
    if (!text)
        return NULL;
    pthread_mutex_lock(&services->lock);
    HASH_FIND_STR(services->texts, text, found);
    if (!found) {
        size_t bytes = strlen(text) + 1;
        found = memory_new(sizeof(*found) + bytes);
        memcpy(found->text, text, bytes);
        HASH_ADD_STR(services->texts, text, found);
    }
    pthread_mutex_unlock(&services->lock);
    return found->text;
}

/* Version 1 of this platform has no extensions of the host. */
static const void *service_get_extension(const struct napm_host *table, const char *id)
{
    (void)table;
    (void)id;
    return NULL;
}

struct services *services_open(const struct instance_host *host, const char *source, int may_sleep, bool parallel,
                               struct napm_host *table)
{
    struct services *services = NEW(struct services);
    services->host = *host;
    services->label = text_copy(host->label ? host->label : "");
    services->host.label = services->label;
    services->source = text_copy(source);
    services->may_sleep = may_sleep;
    services->parallel = parallel;
    pthread_mutex_init(&services->lock, NULL);
    random_seed(&services->random, host->seed, services->label);
    *table = (struct napm_host){.size = sizeof(*table),
                                .abi = NAPM_ABI,
                                .context = services,
                                .log = service_log,
                                .set_error = service_set_error,
                                .now_ns = service_now_ns,
                                .sleep_until_ns = service_sleep_until_ns,
                                .random_bits = service_random_bits,
                                .random_unit = service_random_unit,
                                .intern = service_intern,
                                .get_extension = service_get_extension};
    return services;
}

void services_close(struct services *services)
{
    struct interned *text, *next;
    HASH_ITER (hh, services->texts, text, next) {
        HASH_DEL(services->texts, text);
        free(text);
    }
    pthread_mutex_destroy(&services->lock);
    free(services->label);
    free(services->source);
    free(services);
}

void services_take_error(struct services *services, char *text, size_t text_bytes)
{
    pthread_mutex_lock(&services->lock);
    copy_line(text, text_bytes, services->error_text);
    services->error_text[0] = '\0';
    pthread_mutex_unlock(&services->lock);
}
