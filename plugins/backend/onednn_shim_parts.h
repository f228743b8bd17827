/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the door to oneDNN: what onednn_shim.c, which both versions share, and the file of each version tell each
 * other. Between the versions a layout's descriptor turned from a structure into a handle; `shim_md` is how either is
 * passed.
 */
#ifndef ONEDNN_SHIM_PARTS_H
#define ONEDNN_SHIM_PARTS_H

#include <oneapi/dnnl/dnnl.h>

#include "onednn_shim.h"

#if DNNL_VERSION_MAJOR == 2
typedef const dnnl_memory_desc_t *shim_md;
#elif DNNL_VERSION_MAJOR == 3
typedef const_dnnl_memory_desc_t shim_md;
#else
#error "oneDNN 2 or 3 is needed: this version is neither; configure --without-onednn leaves the backend out"
#endif

struct shim {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
};

struct shim_kernel {
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t primitive;
};

/* What a blocked layout consists of; see the library's "memory formats". The arrays belong to the layout. */
struct shim_blocking {
    int rank;
    const dnnl_dim_t *dims, *padded_dims, *strides;
    int inner_count;
    const dnnl_dim_t *inner_blocks, *inner_indices;
};

/* ---- the version's own */
int shim_layout_blocking(const struct shim_layout *layout, struct shim_blocking *blocking); /* -1: not blocked */
shim_md shim_layout_md(const struct shim_layout *layout); /* belongs to the layout */
struct shim_layout *shim_layout_from(shim_md md); /* a copy */
dnnl_status_t shim_append_post(dnnl_post_ops_t list, const struct shim_post *post);

/* ---- shared */
extern const dnnl_alg_kind_t shim_binary_kinds[], shim_function_kinds[], shim_pooling_kinds[];

/* Attributes with our own scratch memory and these posts (may be NULL); NULL where the library refuses. */
dnnl_primitive_attr_t shim_attributes(const struct shim_posts *posts);

/* Makes the kernel of a descriptor, which it takes over; NULL where `status` is a failure or there is none. */
struct shim_kernel *shim_kernel_from(dnnl_status_t status, dnnl_primitive_desc_t pd);

/* The window's dilations as the library counts them: 0 is the plain case. */
void shim_dilates(const struct shim_window *window, dnnl_dims_t dilates);

#endif
