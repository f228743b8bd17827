/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the tensor readers; the first byte of an input chooses one. For a campaign, see fuzz_onnx.c: the same command
 * with this file in its place.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/model/tensor_file.h"
#include "tests/fuzz/fuzz_target.h"

enum { NPY, PB, CIFAR10, READERS };

uint8_t *fuzz_seed(unsigned index, size_t *size)
{
    static const uint8_t npy1[] = "\0\x93NUMPY\1\0\x3b\0{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }"
                                  "\0\0\x80\x3f\0\0\0\x40";
    static const uint8_t npy2[] = "\0\x93NUMPY\2\0\x38\0\0\0{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }"
                                  "\1\2\3\4";
    static const uint8_t floats[] = {PB, 0x08, 2, 0x10, 1, 0x22, 8, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0};
    static const uint8_t raw[] = {PB, 0x0a, 2, 1, 2, 0x10, 1, 0x42, 1, 'w', 0x4a, 8, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0};
    static const uint8_t integers[] = {PB, 0x08, 2, 0x10, 7, 0x3a, 2, 3, 1};
    static const struct {
        const uint8_t *bytes;
        size_t size;
    } seeds[] = {{npy1, sizeof(npy1) - 1},
                 {npy2, sizeof(npy2) - 1},
                 {floats, sizeof(floats)},
                 {raw, sizeof(raw)},
                 {integers, sizeof(integers)}};
    if (index < sizeof(seeds) / sizeof(*seeds)) {
        *size = seeds[index].size;
        return memory_copy(seeds[index].bytes, seeds[index].size);
    }
    if (index > sizeof(seeds) / sizeof(*seeds))
        return NULL;
    *size = 1 + 2 * CIFAR10_RECORD_BYTES;
    uint8_t *records = memory_new(*size);
    records[0] = CIFAR10;
    return records;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct error error = {0};
    struct tensor tensor;
    uint8_t label;
    int status;
    if (size == 0)
        return 0;
    const char *path = fuzz_file(bytes + 1, size - 1);
    if (bytes[0] % READERS == NPY)
        status = tensor_read_npy(path, &tensor, &error);
    else if (bytes[0] % READERS == PB)
        status = tensor_read_pb(path, &tensor, &error);
    else
        status = tensor_read_cifar10(path, size % 3, &tensor, &label, &error);
    if (status) {
        if (error.text[0] == '\0' || tensor.data)
            abort(); /* a refusal must say why, and leave nothing */
        return 0;
    }
    volatile float sum = 0;
    for (uint64_t i = 0; i < tensor.count; i++)
        sum += tensor.data[i];
    tensor_free(&tensor);
    return 0;
}
