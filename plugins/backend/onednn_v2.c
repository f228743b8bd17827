/* SPDX-License-Identifier: Apache-2.0 */
/* The door to oneDNN (onednn_shim.h) for version 2 of the library. */
#include "onednn_shim.h"

#include <oneapi/dnnl/dnnl.h>

#if DNNL_VERSION_MAJOR == 2

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shim {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
};

struct shim_layout {
    dnnl_memory_desc_t md;
};

struct shim_kernel {
    dnnl_primitive_desc_t pd; /* NULL for a reorder between equal layouts of no bytes: never made */
    dnnl_primitive_t primitive;
};

#define CALL_MAX_ARGUMENTS (SHIM_MAX_SOURCES + SHIM_MAX_POSTS + 6u)

struct shim_call {
    dnnl_stream_t stream;
    dnnl_engine_t engine;
    const struct shim_kernel *kernel;
    int count;
    dnnl_exec_arg_t arguments[CALL_MAX_ARGUMENTS];
};

struct shim *shim_open(void)
{
    struct shim *shim = calloc(1, sizeof(*shim));
    if (!shim)
        return NULL;
    if (dnnl_engine_create(&shim->engine, dnnl_cpu, 0) != dnnl_success ||
        dnnl_stream_create(&shim->stream, shim->engine, dnnl_stream_default_flags) != dnnl_success) {
        shim_close(shim);
        return NULL;
    }
    return shim;
}

void shim_close(struct shim *shim)
{
    if (!shim)
        return;
    if (shim->stream)
        dnnl_stream_destroy(shim->stream);
    if (shim->engine)
        dnnl_engine_destroy(shim->engine);
    free(shim);
}

void shim_set_threads(uint32_t threads)
{
#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
    omp_set_num_threads((int)threads);
#else
    (void)threads;
#endif
}

const char *shim_version(void)
{
    static char text[32];
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, sizeof(text), "%d.%d.%d", version->major, version->minor, version->patch);
    return text;
}

/* The numbers are sets of bits: 0x27 holds every AVX-512 server processor, 0x07 AVX2; others have none of them. */
uint32_t shim_channel_block(void)
{
    unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
    if ((isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core)
        return 16;
    return (isa & dnnl_cpu_isa_avx2) == dnnl_cpu_isa_avx2 ? 8 : 0;
}

/* ---- layouts */

static struct shim_layout *layout_from(const dnnl_memory_desc_t *md)
{
    struct shim_layout *layout = malloc(sizeof(*layout));
    if (layout)
        layout->md = *md;
    return layout;
}

struct shim_layout *shim_layout_strided(uint32_t rank, const int64_t *dims, const int64_t *strides)
{
    dnnl_memory_desc_t md;
    if (dnnl_memory_desc_init_by_strides(&md, (int)rank, dims, dnnl_f32, strides) != dnnl_success)
        return NULL;
    return layout_from(&md);
}

static void dense_strides(uint32_t rank, const int64_t *dims, int64_t *strides)
{
    int64_t step = 1;
    for (uint32_t i = rank; i-- > 0;) {
        strides[i] = step;
        step *= dims[i];
    }
}

struct shim_layout *shim_layout_dense(uint32_t rank, const int64_t *dims)
{
    static const int64_t one = 1;
    int64_t strides[SHIM_MAX_RANK];
    if (rank == 0) /* the library takes rank 0 for "no tensor": a number is a vector of one */
        return shim_layout_dense(1, &one);
    dense_strides(rank, dims, strides);
    return shim_layout_strided(rank, dims, strides);
}

struct shim_layout *shim_layout_channels_blocked(uint32_t rank, const int64_t *dims, uint32_t block)
{
    static const dnnl_format_tag_t tags[2][3] = {{dnnl_aBc8b, dnnl_aBcd8b, dnnl_aBcde8b},
                                                 {dnnl_aBc16b, dnnl_aBcd16b, dnnl_aBcde16b}};
    dnnl_memory_desc_t md;
    if (rank < 3 || rank > 5 || (block != 8 && block != 16) ||
        dnnl_memory_desc_init_by_tag(&md, (int)rank, dims, dnnl_f32, tags[block / 16][rank - 3]) != dnnl_success)
        return NULL;
    return layout_from(&md);
}

struct shim_layout *shim_layout_any(uint32_t rank, const int64_t *dims)
{
    dnnl_memory_desc_t md;
    if (dnnl_memory_desc_init_by_tag(&md, (int)rank, dims, dnnl_f32, dnnl_format_tag_any) != dnnl_success)
        return NULL;
    return layout_from(&md);
}

struct shim_layout *shim_layout_copy(const struct shim_layout *layout)
{
    return layout_from(&layout->md);
}

void shim_layout_free(struct shim_layout *layout)
{
    free(layout);
}

int shim_layout_equal(const struct shim_layout *a, const struct shim_layout *b)
{
    return dnnl_memory_desc_equal(&a->md, &b->md);
}

/*
 * Row-major bytes: no padding, and walking the dimensions outermost first meets falling strides. Dimensions of one
 * element do not matter. A block is fine where everything inside of it is of size one beside the blocked dimension.
 */
int shim_layout_is_dense(const struct shim_layout *layout)
{
    const dnnl_memory_desc_t *md = &layout->md;
    if (md->format_kind != dnnl_blocked || md->offset0 != 0)
        return 0;
    for (int i = 0; i < md->ndims; i++)
        if (md->dims[i] != md->padded_dims[i])
            return 0;
    const dnnl_blocking_desc_t *blocking = &md->format_desc.blocking;
    if (blocking->inner_nblks > 1)
        return 0;
    int64_t expected = 1;
    for (int i = md->ndims - 1; i >= 0; i--) {
        int64_t outer = md->dims[i];
        if (blocking->inner_nblks == 1 && blocking->inner_idxs[0] == i) {
            if (expected != 1)
                return 0; /* something nearer to the end than the block has more than one element */
            expected = blocking->inner_blks[0];
            outer /= blocking->inner_blks[0];
        }
        if (outer == 1)
            continue;
        if (blocking->strides[i] != expected)
            return 0;
        expected *= outer;
    }
    return 1;
}

uint64_t shim_layout_bytes(const struct shim_layout *layout)
{
    return dnnl_memory_desc_get_size(&layout->md);
}

/* ---- attributes */

static const dnnl_alg_kind_t binary_kinds[] = {[SHIM_ADD] = dnnl_binary_add,
                                               [SHIM_SUB] = dnnl_binary_sub,
                                               [SHIM_MUL] = dnnl_binary_mul,
                                               [SHIM_DIV] = dnnl_binary_div};

static const dnnl_alg_kind_t function_kinds[] = {
    [SHIM_RELU] = dnnl_eltwise_relu,        [SHIM_CLIP] = dnnl_eltwise_clip,
    [SHIM_SIGMOID] = dnnl_eltwise_logistic, [SHIM_HARDSWISH] = dnnl_eltwise_hardswish,
    [SHIM_TANH] = dnnl_eltwise_tanh,        [SHIM_ELU] = dnnl_eltwise_elu,
    [SHIM_LINEAR] = dnnl_eltwise_linear,    [SHIM_EXP] = dnnl_eltwise_exp,
    [SHIM_SQRT] = dnnl_eltwise_sqrt,        [SHIM_ABS] = dnnl_eltwise_abs};

static dnnl_status_t append_post(dnnl_post_ops_t list, const struct shim_post *post)
{
    switch (post->kind) {
    case SHIM_POST_SUM:
        return dnnl_post_ops_append_sum(list, 1.0f);
    case SHIM_POST_BINARY:
        return dnnl_post_ops_append_binary(list, binary_kinds[post->binary], &post->operand->md);
    default:
        return dnnl_post_ops_append_eltwise(list, 1.0f, function_kinds[post->function], post->alpha, post->beta);
    }
}

/* Scratch memory is ours (one piece shared by all kernels of an execution); posts follow the kernel's own work. */
static dnnl_primitive_attr_t attributes_new(const struct shim_posts *posts)
{
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_post_ops_t list = NULL;
    if (dnnl_primitive_attr_create(&attributes) != dnnl_success)
        return NULL;
    dnnl_status_t status = dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && posts && posts->count > 0) {
        status = dnnl_post_ops_create(&list);
        for (uint32_t i = 0; status == dnnl_success && i < posts->count; i++)
            status = append_post(list, &posts->at[i]);
        if (status == dnnl_success)
            status = dnnl_primitive_attr_set_post_ops(attributes, list);
    }
    if (list)
        dnnl_post_ops_destroy(list);
    if (status != dnnl_success) {
        dnnl_primitive_attr_destroy(attributes);
        return NULL;
    }
    return attributes;
}

/* ---- kernels */

static struct shim_kernel *kernel_from(dnnl_primitive_desc_t pd)
{
    struct shim_kernel *kernel = calloc(1, sizeof(*kernel));
    if (!kernel) {
        dnnl_primitive_desc_destroy(pd);
        return NULL;
    }
    kernel->pd = pd;
    if (dnnl_primitive_create(&kernel->primitive, pd) != dnnl_success) {
        dnnl_primitive_desc_destroy(pd);
        free(kernel);
        return NULL;
    }
    return kernel;
}

/* The library's own first choice for an operation. */
static struct shim_kernel *kernel_make(struct shim *shim, const_dnnl_op_desc_t operation,
                                       const struct shim_posts *posts)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attributes = attributes_new(posts);
    if (!attributes)
        return NULL;
    dnnl_status_t status = dnnl_primitive_desc_create(&pd, operation, attributes, shim->engine, NULL);
    dnnl_primitive_attr_destroy(attributes);
    return status == dnnl_success ? kernel_from(pd) : NULL;
}

struct shim_kernel *shim_make_convolution(struct shim *shim, const struct shim_convolution *what,
                                          const struct shim_posts *posts)
{
    dnnl_convolution_desc_t desc;
    dnnl_dims_t dilates = {0};
    for (uint32_t i = 0; i < what->window.rank; i++)
        dilates[i] = what->window.dilation[i] - 1;
    if (dnnl_dilated_convolution_forward_desc_init(
            &desc, dnnl_forward_inference, what->winograd ? dnnl_convolution_winograd : dnnl_convolution_direct,
            &what->source->md, &what->weights->md, what->bias ? &what->bias->md : NULL, &what->destination->md,
            what->window.stride, dilates, what->window.pad_before, what->window.pad_after) != dnnl_success)
        return NULL;
    return kernel_make(shim, &desc, posts);
}

struct shim_kernel *shim_make_inner_product(struct shim *shim, const struct shim_layout *source,
                                            const struct shim_layout *weights, const struct shim_layout *bias,
                                            const struct shim_layout *destination, const struct shim_posts *posts)
{
    dnnl_inner_product_desc_t desc;
    if (dnnl_inner_product_forward_desc_init(&desc, dnnl_forward_inference, &source->md, &weights->md,
                                             bias ? &bias->md : NULL, &destination->md) != dnnl_success)
        return NULL;
    return kernel_make(shim, &desc, posts);
}

struct shim_kernel *shim_make_matmul(struct shim *shim, const struct shim_layout *a, const struct shim_layout *b,
                                     const struct shim_layout *destination, const struct shim_posts *posts)
{
    dnnl_matmul_desc_t desc;
    if (dnnl_matmul_desc_init(&desc, &a->md, &b->md, NULL, &destination->md) != dnnl_success)
        return NULL;
    return kernel_make(shim, &desc, posts);
}

struct shim_kernel *shim_make_pooling(struct shim *shim, enum shim_pooling pooling, const struct shim_layout *source,
                                      const struct shim_layout *destination, const struct shim_window *window)
{
    static const dnnl_alg_kind_t kinds[] = {[SHIM_POOL_MAX] = dnnl_pooling_max,
                                            [SHIM_POOL_AVERAGE] = dnnl_pooling_avg_exclude_padding,
                                            [SHIM_POOL_AVERAGE_WITH_PADDING] = dnnl_pooling_avg_include_padding};
    dnnl_pooling_v2_desc_t desc;
    dnnl_dims_t dilates = {0};
    for (uint32_t i = 0; i < window->rank; i++)
        dilates[i] = window->dilation[i] - 1;
    if (dnnl_pooling_v2_forward_desc_init(&desc, dnnl_forward_inference, kinds[pooling], &source->md, &destination->md,
                                          window->stride, window->kernel, dilates, window->pad_before,
                                          window->pad_after) != dnnl_success)
        return NULL;
    return kernel_make(shim, &desc, NULL);
}

struct shim_kernel *shim_make_function(struct shim *shim, enum shim_function function, float alpha, float beta,
                                       const struct shim_layout *layout)
{
    dnnl_eltwise_desc_t desc;
    if (dnnl_eltwise_forward_desc_init(&desc, dnnl_forward_inference, function_kinds[function], &layout->md, alpha,
                                       beta) != dnnl_success)
        return NULL;
    return kernel_make(shim, &desc, NULL);
}

struct shim_kernel *shim_make_binary(struct shim *shim, enum shim_binary binary, const struct shim_layout *a,
                                     const struct shim_layout *b, const struct shim_posts *posts)
{
    dnnl_binary_desc_t desc;
    if (dnnl_binary_desc_init(&desc, binary_kinds[binary], &a->md, &b->md, &a->md) != dnnl_success)
        return NULL;
    return kernel_make(shim, &desc, posts);
}

struct shim_kernel *shim_make_softmax(struct shim *shim, int logarithm, const struct shim_layout *layout, uint32_t axis)
{
    dnnl_softmax_v2_desc_t desc;
    if (dnnl_softmax_v2_forward_desc_init(&desc, dnnl_forward_inference,
                                          logarithm ? dnnl_softmax_log : dnnl_softmax_accurate, &layout->md,
                                          &layout->md, (int)axis) != dnnl_success)
        return NULL;
    return kernel_make(shim, &desc, NULL);
}

struct shim_kernel *shim_make_lrn(struct shim *shim, const struct shim_layout *layout, int64_t window, float alpha,
                                  float beta, float bias)
{
    dnnl_lrn_desc_t desc;
    if (dnnl_lrn_forward_desc_init(&desc, dnnl_forward_inference, dnnl_lrn_across_channels, &layout->md, window, alpha,
                                   beta, bias) != dnnl_success)
        return NULL;
    return kernel_make(shim, &desc, NULL);
}

struct shim_kernel *shim_make_concat(struct shim *shim, uint32_t count, const struct shim_layout *const *sources,
                                     const struct shim_layout *destination, uint32_t axis)
{
    dnnl_memory_desc_t mds[SHIM_MAX_SOURCES];
    dnnl_primitive_desc_t pd = NULL;
    if (count > SHIM_MAX_SOURCES)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        mds[i] = sources[i]->md;
    dnnl_primitive_attr_t attributes = attributes_new(NULL);
    if (!attributes)
        return NULL;
    dnnl_status_t status =
        dnnl_concat_primitive_desc_create(&pd, &destination->md, (int)count, (int)axis, mds, attributes, shim->engine);
    dnnl_primitive_attr_destroy(attributes);
    return status == dnnl_success ? kernel_from(pd) : NULL;
}

struct shim_kernel *shim_make_reorder(struct shim *shim, const struct shim_layout *from, const struct shim_layout *to)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attributes = attributes_new(NULL);
    if (!attributes)
        return NULL;
    dnnl_status_t status =
        dnnl_reorder_primitive_desc_create(&pd, &from->md, shim->engine, &to->md, shim->engine, attributes);
    dnnl_primitive_attr_destroy(attributes);
    return status == dnnl_success ? kernel_from(pd) : NULL;
}

void shim_kernel_free(struct shim_kernel *kernel)
{
    if (!kernel)
        return;
    dnnl_primitive_destroy(kernel->primitive);
    dnnl_primitive_desc_destroy(kernel->pd);
    free(kernel);
}

uint64_t shim_kernel_scratch_bytes(const struct shim_kernel *kernel)
{
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(kernel->pd, dnnl_query_scratchpad_md, 0);
    return md ? dnnl_memory_desc_get_size(md) : 0;
}

const char *shim_kernel_name(const struct shim_kernel *kernel)
{
    const char *name = NULL;
    if (dnnl_primitive_desc_query(kernel->pd, dnnl_query_impl_info_str, 0, (void *)&name) != dnnl_success)
        return "";
    return name;
}

int shim_kernel_is_fast(const struct shim_kernel *kernel)
{
    return strncmp(shim_kernel_name(kernel), "ref", 3) != 0;
}

struct shim_layout *shim_kernel_layout(const struct shim_kernel *kernel, enum shim_slot slot)
{
    dnnl_query_t what = slot == SHIM_SOURCE    ? dnnl_query_src_md
                        : slot == SHIM_WEIGHTS ? dnnl_query_weights_md
                                               : dnnl_query_dst_md;
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(kernel->pd, what, 0);
    return md ? layout_from(md) : NULL;
}

/* ---- calls */

struct shim_call *shim_call_new(struct shim *shim, const struct shim_kernel *kernel)
{
    struct shim_call *call = calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    call->stream = shim->stream;
    call->engine = shim->engine;
    call->kernel = kernel;
    return call;
}

void shim_call_free(struct shim_call *call)
{
    if (!call)
        return;
    for (int i = 0; i < call->count; i++)
        dnnl_memory_destroy(call->arguments[i].memory);
    free(call);
}

static int argument_of(uint32_t slot)
{
    static const int plain[] = {
        [SHIM_SOURCE] = DNNL_ARG_SRC, [SHIM_SOURCE_B] = DNNL_ARG_SRC_1,  [SHIM_WEIGHTS] = DNNL_ARG_WEIGHTS,
        [SHIM_BIAS] = DNNL_ARG_BIAS,  [SHIM_DESTINATION] = DNNL_ARG_DST, [SHIM_SCRATCH] = DNNL_ARG_SCRATCHPAD};
    if (slot >= SHIM_MANY)
        return DNNL_ARG_MULTIPLE_SRC + (int)(slot - SHIM_MANY);
    if (slot >= SHIM_POST_OPERAND)
        return DNNL_ARG_ATTR_MULTIPLE_POST_OP((int)(slot - SHIM_POST_OPERAND)) | DNNL_ARG_SRC_1;
    return plain[slot];
}

int shim_call_bind(struct shim_call *call, uint32_t slot, const struct shim_layout *layout, void *data)
{
    const dnnl_memory_desc_t *md =
        layout ? &layout->md : dnnl_primitive_desc_query_md(call->kernel->pd, dnnl_query_scratchpad_md, 0);
    dnnl_exec_arg_t *argument = &call->arguments[call->count];
    if (!md || (uint32_t)call->count >= CALL_MAX_ARGUMENTS ||
        dnnl_memory_create(&argument->memory, md, call->engine, data) != dnnl_success)
        return -1;
    argument->arg = argument_of(slot);
    call->count++;
    return 0;
}

void shim_call_point(struct shim_call *call, uint32_t slot, void *data)
{
    int argument = argument_of(slot);
    for (int i = 0; i < call->count; i++)
        if (call->arguments[i].arg == argument)
            dnnl_memory_set_data_handle(call->arguments[i].memory, data);
}

int shim_call_run(struct shim_call *call)
{
    return dnnl_primitive_execute(call->kernel->primitive, call->stream, call->count, call->arguments) == dnnl_success
               ? 0
               : -1;
}

#elif DNNL_VERSION_MAJOR != 3
#error "oneDNN 2 or 3 is needed: this version is neither; configure --without-onednn leaves the backend out"
#endif
