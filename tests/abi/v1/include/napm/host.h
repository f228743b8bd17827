/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the platform offers to a plugin: status codes and the table of host services.
 *
 * A plugin needs no symbol of the host: everything comes through this table. Time and random numbers must come
 * from here and from nowhere else; that is what lets one binary run in virtual and in real time, reproducibly.
 */
#ifndef NAPM_HOST_H
#define NAPM_HOST_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Status of a call: 0 or positive is success, negative is failure (with text given to set_error before returning). */
#define NAPM_OK 0
#define NAPM_WAIT 1 /* nothing now: ask again after the next event */
#define NAPM_END 2 /* nothing any more */
#define NAPM_ERR_INVALID (-1) /* an argument or option cannot be served */
#define NAPM_ERR_UNSUPPORTED (-2) /* a kind of work that this plugin does not do */
#define NAPM_ERR_MEMORY (-3)
#define NAPM_ERR_FAILED (-4) /* anything else; the text says what */
#define NAPM_ERR_CANCELLED (-5) /* the host asked to stop */

/* Levels of log(). */
#define NAPM_LOG_ERROR 0u
#define NAPM_LOG_WARNING 1u
#define NAPM_LOG_INFO 2u
#define NAPM_LOG_DEBUG 3u

/* An index that names nothing (a node, layer, tensor...). */
#define NAPM_NONE UINT32_MAX

/*
 * Host services of one plugin instance. Each function takes the table itself first. All may be called from any
 * thread that runs a callback of the instance, during the callback.
 */
struct napm_host {
    uint32_t size;
    uint32_t abi; /* NAPM_ABI of the host */
    void *context; /* the host's own */

    /* Writes one line to the platform's log, marked with the plugin's name. `text` is copied. */
    void (*log)(const struct napm_host *host, uint32_t level, const char *text);

    /* States why the callback now running will return a negative status. `text` is copied. The last call counts. */
    void (*set_error)(const struct napm_host *host, const char *text);

    /* The world's clock: virtual in `sim` and in the evaluator, monotonic otherwise. Its zero means nothing. */
    int64_t (*now_ns)(const struct napm_host *host);

    /*
     * Returns NAPM_OK when the world's clock has reached `until_ns`, or NAPM_ERR_CANCELLED when the run ends first.
     * Only for model backends (the other kinds never wait).
     */
    int32_t (*sleep_until_ns)(const struct napm_host *host, int64_t until_ns);

    /* Next 64 random bits of the instance's own sequence, seeded from the run's seed and the instance's name. */
    uint64_t (*random_bits)(const struct napm_host *host);

    /* Next random number, evenly spread over [0, 1), of the same sequence. */
    double (*random_unit)(const struct napm_host *host);

    /* Returns a copy of `text` that lives as long as the instance; equal texts give equal pointers. */
    const char *(*intern)(const struct napm_host *host, const char *text);

    /* Returns the table that an extension id names, or NULL where this host does not know it. */
    const void *(*get_extension)(const struct napm_host *host, const char *id);
};

#ifdef __cplusplus
}
#endif

#endif /* NAPM_HOST_H */
