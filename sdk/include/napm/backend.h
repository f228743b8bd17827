/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model backend hook: computes layers.
 *
 * Life of the objects: instance -> prepared model -> segments -> executions. prepare() chooses, once for the whole
 * model, how each layer is computed; a segment holds the prepacked weights of the layers that one node runs; an
 * execution holds the activations of one task in flight and is used again for the next task.
 *
 * What a backend must keep: the output of a split run equals the unsplit run's bit for bit, at every cut, on one
 * machine with one thread count. So a layer's algorithm may depend on the model, the thread count and the machine, but
 * never on which other layers are in the segment, and never on a timing that could come out otherwise next time.
 * run() allocates nothing after an execution's first task.
 *
 * Threads: unless the descriptor says otherwise, calls are serialised. With NAPM_THREADS_PER_INSTANCE the calls on one
 * instance and on the objects made from it never overlap. An instance is always called from one and the same thread
 * between prepare() and the freeing of the model.
 */
#ifndef NAPM_BACKEND_H
#define NAPM_BACKEND_H

#include <stdint.h>

#include <napm/model.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NAPM_BACKEND_VERSION 1u

/* How a model is to be prepared. */
struct napm_prepare {
    uint32_t size;
    uint32_t threads; /* threads to compute with, 1 or more */
};

/* What a segment consists of. All indices are those of the model; the arrays are only valid during the call. */
struct napm_segment {
    uint32_t size;
    uint32_t layer_count;
    const uint32_t *layers; /* ascending, so in execution order */
    uint32_t input_count;
    uint32_t output_count;
    const uint32_t *inputs; /* tensors that arrive from outside the segment */
    const uint32_t *outputs; /* tensors that are wanted from it; each is computed by one of the layers */
};

/* Memory that a segment holds. */
struct napm_segment_memory {
    uint32_t size;
    uint32_t reserved;
    uint64_t weight_bytes; /* prepacked weights, held once */
    uint64_t activation_bytes; /* of each execution */
};

struct napm_backend {
    uint32_t size;
    uint32_t reserved;

    /*
     * NAPM_OK where the backend computes operator `index` of the model, NAPM_ERR_UNSUPPORTED with a text that names
     * the node, the operator and the opset (and what about it is not supported) where it does not.
     */
    int32_t (*supports)(void *self, const struct napm_model *model, uint32_t index);

    /* Prepares a model, which stays valid until release_model(). */
    int32_t (*prepare)(void *self, const struct napm_model *model, const struct napm_prepare *how, void **prepared);
    void (*release_model)(void *self, void *prepared);

    /* Makes a segment of a prepared model: weights are read and packed here. Freed before the prepared model is. */
    int32_t (*create_segment)(void *self, void *prepared, const struct napm_segment *what, void **segment);
    void (*release_segment)(void *self, void *segment);

    /* Fills *memory (whose size the host has set). */
    int32_t (*segment_memory)(void *self, void *segment, struct napm_segment_memory *memory);

    /* Makes an execution of a segment: room for one task's activations. Freed before the segment is. */
    int32_t (*create_execution)(void *self, void *segment, void **execution);
    void (*release_execution)(void *self, void *execution);

    /*
     * Starts a task: gives the segment's inputs (one pointer for each, in the segment's order; dense row-major, aligned
     * to 64 bytes, valid until the segment's last layer has run) and sets the execution to the segment's first layer.
     */
    int32_t (*start)(void *self, void *execution, const void *const *inputs);

    /*
     * Runs the next `layer_count` layers (never more than are left). layer_ns, unless NULL, receives the time
     * of each, in order, by host->now_ns.
     */
    int32_t (*run)(void *self, void *execution, uint32_t layer_count, int64_t *layer_ns);

    /*
     * After the last layer: stores the addresses of the segment's outputs, in the segment's order; dense row-major,
     * owned by the execution, valid until its next start() or its release.
     */
    int32_t (*outputs)(void *self, void *execution, const void **outputs);
};

/*
 * Extension of a backend that computes several tasks together: napm_plugin.get_extension(NAPM_BACKEND_BATCH). Without
 * it the host runs the tasks of a batch in turn, layer by layer.
 */
#define NAPM_BACKEND_BATCH "napm.backend.batch/1"
struct napm_backend_batch {
    uint32_t size;
    uint32_t reserved;
    /*
     * As napm_backend.run for each of `count` (2 or more) different executions of one segment that have run equally many
     * layers; layer_ns, unless NULL, receives the time of each layer for all of them together. Every output equals, bit
     * for bit, that of the execution run alone. After an error all of them need a new start().
     */
    int32_t (*run)(void *self, void *const *executions, uint32_t count, uint32_t layer_count, int64_t *layer_ns);
};

/*
 * Extension of a backend that spends times instead of computing: napm_plugin.get_extension(NAPM_BACKEND_ORIGIN). What it
 * says stands beside the backend's name wherever its times are shown.
 */
#define NAPM_BACKEND_ORIGIN "napm.backend.origin/1"
struct napm_backend_origin {
    uint32_t size;
    uint32_t reserved;
    /* Where this instance's times come from, in a word: "estimated", "recorded". Owned by the plugin, as long as `self`. */
    const char *(*origin)(void *self);
};

#ifdef __cplusplus
}
#endif

#endif /* NAPM_BACKEND_H */
