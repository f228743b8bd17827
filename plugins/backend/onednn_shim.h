/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one door to oneDNN: layouts, kernels and calls in terms that fit version 2 and version 3 of the library.
 *
 * onednn_shim.c with onednn_v2.c or onednn_v3.c implements this; nothing else includes oneDNN's headers. Not
 * thread-safe per object; objects of different shims are independent. Functions that make something return NULL where
 * the library refuses (a kernel that does not exist for the request is not an error of its own: the caller tries the
 * next form).
 */
#ifndef ONEDNN_SHIM_H
#define ONEDNN_SHIM_H

#include <stdint.h>

#define SHIM_MAX_RANK 8u
#define SHIM_MAX_POSTS 8u
#define SHIM_MAX_SOURCES 64u
#define SHIM_WINDOW_ARRAY 12u /* more than the 3 spatial dimensions in use: version 2 declares its parameters so long */

struct shim; /* engine and stream */

/* Makes the engine; NULL where the library cannot serve this machine. */
struct shim *shim_open(void);
void shim_close(struct shim *shim);

/* Threads that kernels are made for and run with, for the calling thread from now on. */
void shim_set_threads(uint32_t threads);

/* Version of the library, such as "2.6.3", in static memory. */
const char *shim_version(void);

/* Channels in a block of the layouts that this processor's older kernels want: 16, 8, or 0 where there are none. */
uint32_t shim_channel_block(void);

/* ---- layouts: shape and place of every element of a float tensor; immutable */
struct shim_layout;
struct shim_layout *shim_layout_dense(uint32_t rank, const int64_t *dims); /* row-major */
struct shim_layout *shim_layout_strided(uint32_t rank, const int64_t *dims, const int64_t *strides);
struct shim_layout *shim_layout_any(uint32_t rank, const int64_t *dims); /* the kernel chooses */
/* Channels (dimension 1) in blocks of `block` that lie innermost: "nChw16c" and the like; rank 3 to 5. */
struct shim_layout *shim_layout_channels_blocked(uint32_t rank, const int64_t *dims, uint32_t block);
struct shim_layout *shim_layout_copy(const struct shim_layout *layout);
void shim_layout_free(struct shim_layout *layout);
int shim_layout_equal(const struct shim_layout *a, const struct shim_layout *b);
int shim_layout_is_dense(const struct shim_layout *layout); /* its bytes are those of the row-major tensor */
uint64_t shim_layout_bytes(const struct shim_layout *layout);

/* ---- kernels */
struct shim_kernel;

enum shim_function { /* elementwise */
                     SHIM_RELU, /* negative side times alpha */
                     SHIM_CLIP, /* to alpha..beta */
                     SHIM_SIGMOID,
                     SHIM_HARDSWISH,
                     SHIM_TANH,
                     SHIM_ELU,
                     SHIM_LINEAR, /* alpha x + beta */
                     SHIM_EXP,
                     SHIM_SQRT,
                     SHIM_ABS
};

enum shim_binary { SHIM_ADD, SHIM_SUB, SHIM_MUL, SHIM_DIV };

/* What a kernel does to its result before storing it. */
enum shim_post_kind { SHIM_POST_FUNCTION, SHIM_POST_BINARY, SHIM_POST_SUM /* adds what the destination held */ };
struct shim_post {
    enum shim_post_kind kind;
    enum shim_function function;
    float alpha, beta;
    enum shim_binary binary;
    const struct shim_layout *operand; /* SHIM_POST_BINARY: result's rank, dimensions equal or 1 */
};

struct shim_posts {
    uint32_t count;
    struct shim_post at[SHIM_MAX_POSTS];
};

/* Geometry of a convolution or pooling window; `rank` spatial dimensions; dilation 1 is the plain case. */
struct shim_window {
    uint32_t rank;
    int64_t kernel[SHIM_WINDOW_ARRAY], stride[SHIM_WINDOW_ARRAY], dilation[SHIM_WINDOW_ARRAY];
    int64_t pad_before[SHIM_WINDOW_ARRAY], pad_after[SHIM_WINDOW_ARRAY];
};

/* Weights are (output, input/groups, spatial...), with a leading group dimension where groups > 1. */
struct shim_convolution {
    struct shim_layout *source, *weights, *bias /* may be NULL */, *destination; /* the caller's */
    struct shim_window window;
    int winograd;
};
struct shim_kernel *shim_make_convolution(struct shim *shim, const struct shim_convolution *what,
                                          const struct shim_posts *posts);

/* source (M, K), weights (N, K), bias (N) or NULL, destination (M, N). */
struct shim_kernel *shim_make_inner_product(struct shim *shim, const struct shim_layout *source,
                                            const struct shim_layout *weights, const struct shim_layout *bias,
                                            const struct shim_layout *destination, const struct shim_posts *posts);

/* a (..., M, K) times b (..., K, N), equal ranks, leading dimensions equal or 1. */
struct shim_kernel *shim_make_matmul(struct shim *shim, const struct shim_layout *a, const struct shim_layout *b,
                                     const struct shim_layout *destination, const struct shim_posts *posts);

enum shim_pooling { SHIM_POOL_MAX, SHIM_POOL_AVERAGE, SHIM_POOL_AVERAGE_WITH_PADDING };
struct shim_kernel *shim_make_pooling(struct shim *shim, enum shim_pooling pooling, const struct shim_layout *source,
                                      const struct shim_layout *destination, const struct shim_window *window);

struct shim_kernel *shim_make_function(struct shim *shim, enum shim_function function, float alpha, float beta,
                                       const struct shim_layout *layout);

/* b's dimensions equal a's or are 1; the destination has a's layout. */
struct shim_kernel *shim_make_binary(struct shim *shim, enum shim_binary binary, const struct shim_layout *a,
                                     const struct shim_layout *b, const struct shim_posts *posts);

struct shim_kernel *shim_make_softmax(struct shim *shim, int logarithm, const struct shim_layout *layout,
                                      uint32_t axis);

struct shim_kernel *shim_make_lrn(struct shim *shim, const struct shim_layout *layout, int64_t window, float alpha,
                                  float beta, float bias);

struct shim_kernel *shim_make_concat(struct shim *shim, uint32_t count, const struct shim_layout *const *sources,
                                     const struct shim_layout *destination, uint32_t axis);

struct shim_kernel *shim_make_reorder(struct shim *shim, const struct shim_layout *from, const struct shim_layout *to);

void shim_kernel_free(struct shim_kernel *kernel);
uint64_t shim_kernel_scratch_bytes(const struct shim_kernel *kernel);
/* Is this more than the library's plain fallback? */
int shim_kernel_is_fast(const struct shim_kernel *kernel);
const char *shim_kernel_name(const struct shim_kernel *kernel); /* which implementation; owned by the kernel */

/* ---- what a kernel is given */
enum shim_slot {
    SHIM_SOURCE,
    SHIM_SOURCE_B, /* second operand of a binary; b of a matmul is SHIM_WEIGHTS */
    SHIM_WEIGHTS,
    SHIM_BIAS,
    SHIM_DESTINATION,
    SHIM_SCRATCH,
    SHIM_POST_OPERAND = 32, /* + index in the list of posts */
    SHIM_MANY = 64 /* + index of a concatenation's source */
};

/* The layout that a made kernel wants or gives in a slot (source, weights, destination); a new object. */
struct shim_layout *shim_kernel_layout(const struct shim_kernel *kernel, enum shim_slot slot);

/* A kernel with places for its data, to be run any number of times. */
struct shim_call;
struct shim_call *shim_call_new(struct shim *shim, const struct shim_kernel *kernel);
void shim_call_free(struct shim_call *call);
/* Ties a slot to an address; `layout` is NULL for SHIM_SCRATCH. Returns 0, or -1 where memory runs out. */
int shim_call_bind(struct shim_call *call, uint32_t slot, const struct shim_layout *layout, void *data);
/* Gives a bound slot another address; allocates nothing. */
void shim_call_point(struct shim_call *call, uint32_t slot, void *data);
int shim_call_run(struct shim_call *call); /* 0, or -1 where the library fails */

#endif
