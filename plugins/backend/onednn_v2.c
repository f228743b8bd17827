/* SPDX-License-Identifier: Apache-2.0 */
/* The door to oneDNN (onednn_shim.h) for version 2 of the library. */
#include "onednn_shim_parts.h"

#if DNNL_VERSION_MAJOR == 2

#include <stdlib.h>

struct shim_layout {
    dnnl_memory_desc_t md;
};

/* ---- layouts */

shim_md shim_layout_md(const struct shim_layout *layout)
{
    return &layout->md;
}

struct shim_layout *shim_layout_from(shim_md md)
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
    return shim_layout_from(&md);
}

struct shim_layout *shim_layout_channels_blocked(uint32_t rank, const int64_t *dims, uint32_t block)
{
    static const dnnl_format_tag_t tags[2][3] = {{dnnl_aBc8b, dnnl_aBcd8b, dnnl_aBcde8b},
                                                 {dnnl_aBc16b, dnnl_aBcd16b, dnnl_aBcde16b}};
    dnnl_memory_desc_t md;
    if (rank < 3 || rank > 5 || (block != 8 && block != 16) ||
        dnnl_memory_desc_init_by_tag(&md, (int)rank, dims, dnnl_f32, tags[block / 16][rank - 3]) != dnnl_success)
        return NULL;
    return shim_layout_from(&md);
}

struct shim_layout *shim_layout_any(uint32_t rank, const int64_t *dims)
{
    dnnl_memory_desc_t md;
    if (dnnl_memory_desc_init_by_tag(&md, (int)rank, dims, dnnl_f32, dnnl_format_tag_any) != dnnl_success)
        return NULL;
    return shim_layout_from(&md);
}

struct shim_layout *shim_layout_copy(const struct shim_layout *layout)
{
    return shim_layout_from(&layout->md);
}

void shim_layout_free(struct shim_layout *layout)
{
    free(layout);
}

/* What a blocked descriptor says; the arrays belong to it. */
int shim_layout_blocking(const struct shim_layout *layout, struct shim_blocking *blocking)
{
    const dnnl_memory_desc_t *md = &layout->md;
    const dnnl_blocking_desc_t *inner = &md->format_desc.blocking;
    if (md->format_kind != dnnl_blocked || md->offset0 != 0)
        return -1;
    *blocking = (struct shim_blocking){md->ndims,          md->dims,          md->padded_dims,  inner->strides,
                                       inner->inner_nblks, inner->inner_blks, inner->inner_idxs};
    return 0;
}

/* ---- attributes */

dnnl_status_t shim_append_post(dnnl_post_ops_t list, const struct shim_post *post)
{
    switch (post->kind) {
    case SHIM_POST_SUM:
        return dnnl_post_ops_append_sum(list, 1.0f);
    case SHIM_POST_BINARY:
        return dnnl_post_ops_append_binary(list, shim_binary_kinds[post->binary], &post->operand->md);
    default:
        return dnnl_post_ops_append_eltwise(list, 1.0f, shim_function_kinds[post->function], post->alpha, post->beta);
    }
}

/* ---- kernels */

/* The library's own first choice for an operation. */
static struct shim_kernel *kernel_make(struct shim *shim, const_dnnl_op_desc_t operation,
                                       const struct shim_posts *posts)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attributes = shim_attributes(posts);
    if (!attributes)
        return NULL;
    dnnl_status_t status = dnnl_primitive_desc_create(&pd, operation, attributes, shim->engine, NULL);
    dnnl_primitive_attr_destroy(attributes);
    return shim_kernel_from(status, pd);
}

struct shim_kernel *shim_make_convolution(struct shim *shim, const struct shim_convolution *what,
                                          const struct shim_posts *posts)
{
    dnnl_convolution_desc_t desc;
    dnnl_dims_t dilates;
    shim_dilates(&what->window, dilates);
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
    dnnl_pooling_v2_desc_t desc;
    dnnl_dims_t dilates;
    shim_dilates(window, dilates);
    if (dnnl_pooling_v2_forward_desc_init(&desc, dnnl_forward_inference, shim_pooling_kinds[pooling], &source->md,
                                          &destination->md, window->stride, window->kernel, dilates, window->pad_before,
                                          window->pad_after) != dnnl_success)
        return NULL;
    return kernel_make(shim, &desc, NULL);
}

struct shim_kernel *shim_make_function(struct shim *shim, enum shim_function function, float alpha, float beta,
                                       const struct shim_layout *layout)
{
    dnnl_eltwise_desc_t desc;
    if (dnnl_eltwise_forward_desc_init(&desc, dnnl_forward_inference, shim_function_kinds[function], &layout->md, alpha,
                                       beta) != dnnl_success)
        return NULL;
    return kernel_make(shim, &desc, NULL);
}

struct shim_kernel *shim_make_binary(struct shim *shim, enum shim_binary binary, const struct shim_layout *a,
                                     const struct shim_layout *b, const struct shim_posts *posts)
{
    dnnl_binary_desc_t desc;
    if (dnnl_binary_desc_init(&desc, shim_binary_kinds[binary], &a->md, &b->md, &a->md) != dnnl_success)
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
    dnnl_primitive_attr_t attributes = shim_attributes(NULL);
    if (!attributes)
        return NULL;
    dnnl_status_t status =
        dnnl_concat_primitive_desc_create(&pd, &destination->md, (int)count, (int)axis, mds, attributes, shim->engine);
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
        dnnl_reorder_primitive_desc_create(&pd, &from->md, shim->engine, &to->md, shim->engine, attributes);
    dnnl_primitive_attr_destroy(attributes);
    return shim_kernel_from(status, pd);
}

#else
typedef int onednn_v2_is_empty; /* a source file must not be */
#endif
