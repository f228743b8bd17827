/* SPDX-License-Identifier: Apache-2.0 */
/* Walking over a tensor in the order of another one's dimensions. */
#include "reference.h"

void view_strides(const struct napm_tensor *tensor, int64_t *strides)
{
    int64_t stride = 1;
    for (uint32_t i = tensor->rank; i-- > 0;) {
        strides[i] = stride;
        stride *= tensor->dims[i];
    }
}

bool view_broadcast(struct view *view, const struct napm_tensor *tensor, uint32_t rank, const int64_t *dims)
{
    int64_t dense[MAX_RANK];
    if (tensor->rank > rank || rank > MAX_RANK)
        return false;
    view_strides(tensor, dense);
    view->rank = rank;
    view->offset = 0;
    uint32_t missing = rank - tensor->rank;
    for (uint32_t i = 0; i < rank; i++) {
        int64_t own = i < missing ? 1 : tensor->dims[i - missing];
        if (own != dims[i] && own != 1)
            return false;
        view->dims[i] = dims[i];
        view->strides[i] = own == 1 ? 0 : dense[i - missing];
    }
    return true;
}

bool view_next_row(uint32_t rank, const int64_t *dims, int64_t *index, uint32_t count, const int64_t *const *strides,
                   int64_t *offsets)
{
    for (uint32_t i = rank < 2 ? 0 : rank - 1; i-- > 0;) {
        index[i]++;
        for (uint32_t j = 0; j < count; j++)
            offsets[j] += strides[j][i];
        if (index[i] < dims[i])
            return true;
        for (uint32_t j = 0; j < count; j++)
            offsets[j] -= strides[j][i] * dims[i];
        index[i] = 0;
    }
    return false;
}
