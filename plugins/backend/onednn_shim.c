/* SPDX-License-Identifier: Apache-2.0 */
/* The door to oneDNN (onednn_shim.h): what versions 2 and 3 of the library have in common. */
#include "onednn_shim_parts.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

struct shim_layout *shim_layout_dense(uint32_t rank, const int64_t *dims)
{
    static const int64_t one = 1;
    int64_t strides[SHIM_MAX_RANK], step = 1;
    if (rank == 0) /* the library takes rank 0 for "no tensor": a number is a vector of one */
        return shim_layout_dense(1, &one);
    for (uint32_t i = rank; i-- > 0;) {
        strides[i] = step;
        step *= dims[i];
    }
    return shim_layout_strided(rank, dims, strides);
}

/*
 * Row-major bytes: no padding, and from the last dimension to the first each stride is the product of the sizes passed.
 * Dimensions of one element do not matter. A block is fine where everything behind it has one element.
 */
int shim_layout_is_dense(const struct shim_layout *layout)
{
    struct shim_blocking blocking;
    if (shim_layout_blocking(layout, &blocking) || blocking.inner_count > 1)
        return 0;
    int64_t expected = 1;
    for (int i = blocking.rank - 1; i >= 0; i--) {
        int64_t outer = blocking.dims[i];
        if (outer != blocking.padded_dims[i])
            return 0;
        if (blocking.inner_count == 1 && blocking.inner_indices[0] == i) {
            if (expected != 1)
                return 0; /* something nearer to the end than the block has more than one element */
            expected = blocking.inner_blocks[0];
            outer /= blocking.inner_blocks[0];
        }
        if (outer == 1)
            continue;
        if (blocking.strides[i] != expected)
            return 0;
        expected *= outer;
    }
    return 1;
}

int shim_layout_equal(const struct shim_layout *a, const struct shim_layout *b)
{
    return dnnl_memory_desc_equal(shim_layout_md(a), shim_layout_md(b));
}

uint64_t shim_layout_bytes(const struct shim_layout *layout)
{
    return dnnl_memory_desc_get_size(shim_layout_md(layout));
}

/* ---- attributes */

const dnnl_alg_kind_t shim_binary_kinds[] = {[SHIM_ADD] = dnnl_binary_add,
                                             [SHIM_SUB] = dnnl_binary_sub,
                                             [SHIM_MUL] = dnnl_binary_mul,
                                             [SHIM_DIV] = dnnl_binary_div};

const dnnl_alg_kind_t shim_function_kinds[] = {
    [SHIM_RELU] = dnnl_eltwise_relu,        [SHIM_CLIP] = dnnl_eltwise_clip,
    [SHIM_SIGMOID] = dnnl_eltwise_logistic, [SHIM_HARDSWISH] = dnnl_eltwise_hardswish,
    [SHIM_TANH] = dnnl_eltwise_tanh,        [SHIM_ELU] = dnnl_eltwise_elu,
    [SHIM_LINEAR] = dnnl_eltwise_linear,    [SHIM_EXP] = dnnl_eltwise_exp,
    [SHIM_SQRT] = dnnl_eltwise_sqrt,        [SHIM_ABS] = dnnl_eltwise_abs};

const dnnl_alg_kind_t shim_pooling_kinds[] = {[SHIM_POOL_MAX] = dnnl_pooling_max,
                                              [SHIM_POOL_AVERAGE] = dnnl_pooling_avg_exclude_padding,
                                              [SHIM_POOL_AVERAGE_WITH_PADDING] = dnnl_pooling_avg_include_padding};

/* Scratch memory is ours (one piece shared by all kernels of an execution); posts follow the kernel's own work. */
dnnl_primitive_attr_t shim_attributes(const struct shim_posts *posts)
{
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_post_ops_t list = NULL;
    if (dnnl_primitive_attr_create(&attributes) != dnnl_success)
        return NULL;
    dnnl_status_t status = dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && posts && posts->count > 0) {
        status = dnnl_post_ops_create(&list);
        for (uint32_t i = 0; status == dnnl_success && i < posts->count; i++)
            status = shim_append_post(list, &posts->at[i]);
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

void shim_dilates(const struct shim_window *window, dnnl_dims_t dilates)
{
    memset(dilates, 0, sizeof(dnnl_dims_t));
    for (uint32_t i = 0; i < window->rank; i++)
        dilates[i] = window->dilation[i] - 1;
}

/* ---- kernels */

struct shim_kernel *shim_kernel_from(dnnl_status_t status, dnnl_primitive_desc_t pd)
{
    if (status != dnnl_success)
        return NULL;
    struct shim_kernel *kernel = calloc(1, sizeof(*kernel));
    if (kernel && dnnl_primitive_create(&kernel->primitive, pd) == dnnl_success) {
        kernel->pd = pd;
        return kernel;
    }
    dnnl_primitive_desc_destroy(pd);
    free(kernel);
    return NULL;
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
    shim_md md = dnnl_primitive_desc_query_md(kernel->pd, dnnl_query_scratchpad_md, 0);
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
    shim_md md = dnnl_primitive_desc_query_md(kernel->pd, what, 0);
    return md ? shim_layout_from(md) : NULL;
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
    shim_md md =
        layout ? shim_layout_md(layout) : dnnl_primitive_desc_query_md(call->kernel->pd, dnnl_query_scratchpad_md, 0);
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
