/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door to oneDNN (onednn_shim.h) for version 3 of the library: descriptors are handles, operations have no
 * descriptors of their own, and hard swish takes its two numbers.
 */
#include "onednn_shim_parts.h"

#if DNNL_VERSION_MAJOR == 3

#include <stdlib.h>

struct shim_layout {
    dnnl_memory_desc_t md;
};

/* ---- layouts */

shim_md shim_layout_md(const struct shim_layout *layout)
{
    return layout->md;
}

/* Takes the descriptor over; NULL where `status` is a failure. */
static struct shim_layout *layout_of(dnnl_status_t status, dnnl_memory_desc_t md)
{
    if (status != dnnl_success)
        return NULL;
    struct shim_layout *layout = malloc(sizeof(*layout));
    if (layout)
        layout->md = md;
    else
        dnnl_memory_desc_destroy(md);
    return layout;
}

struct shim_layout *shim_layout_from(shim_md md)
{
    dnnl_memory_desc_t copy = NULL;
    dnnl_status_t status = dnnl_memory_desc_clone(&copy, md);
    return layout_of(status, copy);
}

struct shim_layout *shim_layout_strided(uint32_t rank, const int64_t *dims, const int64_t *strides)
{
    dnnl_memory_desc_t md = NULL;
    dnnl_status_t status = dnnl_memory_desc_create_with_strides(&md, (int)rank, dims, dnnl_f32, strides);
    return layout_of(status, md);
}

static struct shim_layout *layout_tagged(uint32_t rank, const int64_t *dims, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t md = NULL;
    dnnl_status_t status = dnnl_memory_desc_create_with_tag(&md, (int)rank, dims, dnnl_f32, tag);
    return layout_of(status, md);
}

struct shim_layout *shim_layout_any(uint32_t rank, const int64_t *dims)
{
    return layout_tagged(rank, dims, dnnl_format_tag_any);
}

struct shim_layout *shim_layout_channels_blocked(uint32_t rank, const int64_t *dims, uint32_t block)
{
    static const dnnl_format_tag_t tags[2][3] = {{dnnl_aBc8b, dnnl_aBcd8b, dnnl_aBcde8b},
                                                 {dnnl_aBc16b, dnnl_aBcd16b, dnnl_aBcde16b}};
    if (rank < 3 || rank > 5 || (block != 8 && block != 16))
        return NULL;
    return layout_tagged(rank, dims, tags[block / 16][rank - 3]);
}

struct shim_layout *shim_layout_copy(const struct shim_layout *layout)
{
    return shim_layout_from(layout->md);
}

void shim_layout_free(struct shim_layout *layout)
{
    if (!layout)
        return;
    dnnl_memory_desc_destroy(layout->md);
    free(layout);
}

/* What a blocked descriptor says; the arrays belong to it. */
int shim_layout_blocking(const struct shim_layout *layout, struct shim_blocking *blocking)
{
    const dnnl_dims_t *dims, *padded_dims, *strides, *inner_blocks, *inner_indices;
    dnnl_format_kind_t kind;
    dnnl_dim_t offset;
    int rank, inner_count;
    if (dnnl_memory_desc_query(layout->md, dnnl_query_format_kind, &kind) != dnnl_success || kind != dnnl_blocked ||
        dnnl_memory_desc_query(layout->md, dnnl_query_submemory_offset_s64, &offset) != dnnl_success || offset != 0 ||
        dnnl_memory_desc_query(layout->md, dnnl_query_ndims_s32, &rank) != dnnl_success ||
        dnnl_memory_desc_query(layout->md, dnnl_query_dims, &dims) != dnnl_success ||
        dnnl_memory_desc_query(layout->md, dnnl_query_padded_dims, &padded_dims) != dnnl_success ||
        dnnl_memory_desc_query(layout->md, dnnl_query_strides, &strides) != dnnl_success ||
        dnnl_memory_desc_query(layout->md, dnnl_query_inner_nblks_s32, &inner_count) != dnnl_success ||
        dnnl_memory_desc_query(layout->md, dnnl_query_inner_blks, &inner_blocks) != dnnl_success ||
        dnnl_memory_desc_query(layout->md, dnnl_query_inner_idxs, &inner_indices) != dnnl_success)
        return -1;
    *blocking = (struct shim_blocking){rank, *dims, *padded_dims, *strides, inner_count, *inner_blocks, *inner_indices};
    return 0;
}

/* ---- functions: hard swish is x times clip(x / 6 + 1 / 2, 0, 1) */

static float function_alpha(enum shim_function function, float alpha)
{
    return function == SHIM_HARDSWISH ? 1.0f / 6.0f : alpha;
}

static float function_beta(enum shim_function function, float beta)
{
    return function == SHIM_HARDSWISH ? 0.5f : beta;
}

dnnl_status_t shim_append_post(dnnl_post_ops_t list, const struct shim_post *post)
{
    switch (post->kind) {
    case SHIM_POST_SUM:
        return dnnl_post_ops_append_sum(list, 1.0f, 0, dnnl_data_type_undef);
    case SHIM_POST_BINARY:
        return dnnl_post_ops_append_binary(list, shim_binary_kinds[post->binary], post->operand->md);
    default:
        return dnnl_post_ops_append_eltwise(list, shim_function_kinds[post->function],
                                            function_alpha(post->function, post->alpha),
                                            function_beta(post->function, post->beta));
    }
}

/* ---- kernels */

struct shim_kernel *shim_make_convolution(struct shim *shim, const struct shim_convolution *what,
                                          const struct shim_posts *posts)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_dims_t dilates;
    shim_dilates(&what->window, dilates);
    dnnl_primitive_attr_t attributes = shim_attributes(posts);
    if (!attributes)
        return NULL;
    dnnl_status_t status = dnnl_convolution_forward_primitive_desc_create(
        &pd, shim->engine, dnnl_forward_inference, what->winograd ? dnnl_convolution_winograd : dnnl_convolution_direct,
        what->source->md, what->weights->md, what->bias ? what->bias->md : NULL, what->destination->md,
        what->window.stride, dilates, what->window.pad_before, what->window.pad_after, attributes);
    dnnl_primitive_attr_destroy(attributes);
    return shim_kernel_from(status, pd);
}

struct shim_kernel *shim_make_inner_product(struct shim *shim, const struct shim_layout *source,
                                            const struct shim_layout *weights, const struct shim_layout *bias,
                                            const struct shim_layout *destination, const struct shim_posts *posts)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attributes = shim_attributes(posts);
    if (!attributes)
        return NULL;
    dnnl_status_t status = dnnl_inner_product_forward_primitive_desc_create(
        &pd, shim->engine, dnnl_forward_inference, source->md, weights->md, bias ? bias->md : NULL, destination->md,
        attributes);
    dnnl_primitive_attr_destroy(attributes);
    return shim_kernel_from(status, pd);
}

struct shim_kernel *shim_make_matmul(struct shim *shim, const struct shim_layout *a, const struct shim_layout *b,
                                     const struct shim_layout *destination, const struct shim_posts *posts)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attributes = shim_attributes(posts);
    if (!attributes)
        return NULL;
    dnnl_status_t status =
        dnnl_matmul_primitive_desc_create(&pd, shim->engine, a->md, b->md, NULL, destination->md, attributes);
    dnnl_primitive_attr_destroy(attributes);
    return shim_kernel_from(status, pd);
}

struct shim_kernel *shim_make_pooling(struct shim *shim, enum shim_pooling pooling, const struct shim_layout *source,
                                      const struct shim_layout *destination, const struct shim_window *window)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_dims_t dilates;
    shim_dilates(window, dilates);
    dnnl_primitive_attr_t attributes = shim_attributes(NULL);
    if (!attributes)
        return NULL;
    dnnl_status_t status = dnnl_pooling_forward_primitive_desc_create(
        &pd, shim->engine, dnnl_forward_inference, shim_pooling_kinds[pooling], source->md, destination->md,
        window->stride, window->kernel, dilates, window->pad_before, window->pad_after, attributes);
    dnnl_primitive_attr_destroy(attributes);
    return shim_kernel_from(status, pd);
}

struct shim_kernel *shim_make_function(struct shim *shim, enum shim_function function, float alpha, float beta,
                                       const struct shim_layout *layout)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attributes = shim_attributes(NULL);
    if (!attributes)
        return NULL;
    dnnl_status_t status = dnnl_eltwise_forward_primitive_desc_create(
        &pd, shim->engine, dnnl_forward_inference, shim_function_kinds[function], layout->md, layout->md,
        function_alpha(function, alpha), function_beta(function, beta), attributes);
    dnnl_primitive_attr_destroy(attributes);
    return shim_kernel_from(status, pd);
}

struct shim_kernel *shim_make_binary(struct shim *shim, enum shim_binary binary, const struct shim_layout *a,
                                     const struct shim_layout *b, const struct shim_posts *posts)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attributes = shim_attributes(posts);
    if (!attributes)
        return NULL;
    dnnl_status_t status = dnnl_binary_primitive_desc_create(&pd, shim->engine, shim_binary_kinds[binary], a->md, b->md,
                                                             a->md, attributes);
    dnnl_primitive_attr_destroy(attributes);
    return shim_kernel_from(status, pd);
}

struct shim_kernel *shim_make_softmax(struct shim *shim, int logarithm, const struct shim_layout *layout, uint32_t axis)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attributes = shim_attributes(NULL);
    if (!attributes)
        return NULL;
    dnnl_status_t status = dnnl_softmax_forward_primitive_desc_create(
        &pd, shim->engine, dnnl_forward_inference, logarithm ? dnnl_softmax_log : dnnl_softmax_accurate, layout->md,
        layout->md, (int)axis, attributes);
    dnnl_primitive_attr_destroy(attributes);
    return shim_kernel_from(status, pd);
}

struct shim_kernel *shim_make_lrn(struct shim *shim, const struct shim_layout *layout, int64_t window, float alpha,
                                  float beta, float bias)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attributes = shim_attributes(NULL);
    if (!attributes)
        return NULL;
    dnnl_status_t status =
        dnnl_lrn_forward_primitive_desc_create(&pd, shim->engine, dnnl_forward_inference, dnnl_lrn_across_channels,
                                               layout->md, layout->md, window, alpha, beta, bias, attributes);
    dnnl_primitive_attr_destroy(attributes);
    return shim_kernel_from(status, pd);
}

struct shim_kernel *shim_make_concat(struct shim *shim, uint32_t count, const struct shim_layout *const *sources,
                                     const struct shim_layout *destination, uint32_t axis)
{
    const_dnnl_memory_desc_t mds[SHIM_MAX_SOURCES];
    dnnl_primitive_desc_t pd = NULL;
    if (count > SHIM_MAX_SOURCES)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        mds[i] = sources[i]->md;
    dnnl_primitive_attr_t attributes = shim_attributes(NULL);
    if (!attributes)
        return NULL;
    dnnl_status_t status =
        dnnl_concat_primitive_desc_create(&pd, shim->engine, destination->md, (int)count, (int)axis, mds, attributes);
    dnnl_primitive_attr_destroy(attributes);
    return shim_kernel_from(status, pd);
}

struct shim_kernel *shim_make_reorder(struct shim *shim, const struct shim_layout *from, const struct shim_layout *to)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attributes = shim_attributes(NULL);
    if (!attributes)
        return NULL;
    dnnl_status_t status =
        dnnl_reorder_primitive_desc_create(&pd, from->md, shim->engine, to->md, shim->engine, attributes);
    dnnl_primitive_attr_destroy(attributes);
    return shim_kernel_from(status, pd);
}

#else
typedef int onednn_v3_is_empty; /* a source file must not be */
#endif
