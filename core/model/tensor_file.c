/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors in files. */
#include "core/model/tensor_file.h"

#include <endian.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/model/graph.h"
#include "core/model/tensor_proto.h"

#if __BYTE_ORDER != __LITTLE_ENDIAN
#error "tensor files and weights are little endian and are used in place"
#endif

#define NPY_MAGIC "\x93NUMPY"
#define NPY_MAGIC_BYTES 6

void tensor_free(struct tensor *tensor)
{
    free(tensor->data);
    *tensor = (struct tensor){0};
}

/* Sets the shape and makes room for the data. */
static int shape_tensor(struct tensor *tensor, uint32_t rank, const int64_t *dims, struct error *error)
{
    int64_t count = graph_shape_elements(NAPM_F32, rank, dims);
    *tensor = (struct tensor){.rank = rank, .count = count < 0 ? 0 : (uint64_t)count};
    if (count <= 0)
        return error_set(error, ERROR_INPUT, "its shape is empty or absurd");
    memcpy(tensor->dims, dims, rank * sizeof(*dims));
    tensor->data = memory_try_aligned(tensor->count * sizeof(float));
    if (!tensor->data)
        return error_set(error, ERROR_RUN, "no memory for a tensor of %llu elements", (unsigned long long)count);
    return 0;
}

/* Converts `count` elements at any alignment to float. */
static void convert(const uint8_t *from, uint32_t element_type, uint64_t count, float *to)
{
    if (element_type == NAPM_F32) {
        memcpy(to, from, count * sizeof(float));
        return;
    }
    struct graph_value value = {.element_type = element_type, .data = from};
    for (uint64_t i = 0; i < count; i++)
        to[i] =
            element_type == NAPM_F64 ? (float)graph_constant_real(&value, i) : (float)graph_constant_integer(&value, i);
}

/* ---- .npy */

struct npy_header {
    uint32_t element_type, rank;
    int64_t dims[TENSOR_MAX_RANK];
};

/* Where the value of a key of the header's dictionary begins, or NULL. */
static const char *npy_value(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    if (!at)
        return NULL;
    at += strlen(key);
    at += strspn(at, " ");
    return *at == ':' ? at + 1 + strspn(at + 1, " ") : NULL;
}

static int npy_type(const char *header, uint32_t *type, struct error *error)
{
    static const struct {
        const char *descr;
        uint32_t type;
    } known[] = {{"'<f4'", NAPM_F32}, {"'<f8'", NAPM_F64}, {"'<i8'", NAPM_I64}, {"'<i4'", NAPM_I32},
                 {"'|u1'", NAPM_U8},  {"'|i1'", NAPM_I8},  {"'|b1'", NAPM_BOOL}};
    const char *descr = npy_value(header, "'descr'");
    for (size_t i = 0; descr && i < sizeof(known) / sizeof(*known); i++)
        if (strncmp(descr, known[i].descr, strlen(known[i].descr)) == 0) {
            *type = known[i].type;
            return 0;
        }
    return error_set(error, ERROR_INPUT,
                     "its element type %.*s is not supported; save it as float32 (array.astype('float32'))",
                     descr ? (int)strcspn(descr, ",}") : 0, descr ? descr : "");
}

static int npy_shape(const char *header, struct npy_header *npy, struct error *error)
{
    const char *at = npy_value(header, "'shape'");
    if (!at || *at++ != '(')
        return error_set(error, ERROR_INPUT, "its header gives no shape");
    for (at += strspn(at, " ,"); *at != ')'; at += strspn(at, " ,L")) {
        char *end;
        if (*at < '0' || *at > '9' || npy->rank == TENSOR_MAX_RANK)
            return error_set(error, ERROR_INPUT, "its shape is malformed or has more than %d dimensions",
                             TENSOR_MAX_RANK);
        npy->dims[npy->rank++] = strtoll(at, &end, 10);
        at = end;
    }
    return 0;
}

static int npy_header(const char *text, struct npy_header *npy, struct error *error)
{
    const char *fortran = npy_value(text, "'fortran_order'");
    if (npy_type(text, &npy->element_type, error) || npy_shape(text, npy, error))
        return -1;
    if (!fortran || strncmp(fortran, "False", 5) != 0)
        return error_set(error, ERROR_INPUT,
                         "it is in Fortran order; save it in C order (numpy.ascontiguousarray(array))");
    return 0;
}

static int parse_npy(const struct file_map *map, struct tensor *tensor, struct error *error)
{
    if (map->size < 10 || memcmp(map->bytes, NPY_MAGIC, NPY_MAGIC_BYTES) != 0)
        return error_set(error, ERROR_INPUT, "this is no .npy file");
    uint8_t version = map->bytes[NPY_MAGIC_BYTES];
    size_t start = version == 1 ? 10 : 12, length = (size_t)map->bytes[8] | (size_t)map->bytes[9] << 8;
    if (version < 1 || version > 3)
        return error_set(error, ERROR_INPUT, "version %u of the .npy format is not supported", version);
    if (version > 1 && map->size >= 12)
        length |= (size_t)map->bytes[10] << 16 | (size_t)map->bytes[11] << 24;
    if (map->size < start || length > map->size - start)
        return error_set(error, ERROR_INPUT, "the file is truncated");
    struct npy_header npy = {0};
    char *text = text_format("%.*s", (int)(length < 65536 ? length : 65536), (const char *)map->bytes + start);
    int status = npy_header(text, &npy, error);
    free(text);
    if (status || shape_tensor(tensor, npy.rank, npy.dims, error))
        return -1;
    uint64_t need = tensor->count * graph_element_bytes(npy.element_type), have = map->size - start - length;
    if (have < need)
        return error_set(error, ERROR_INPUT, "the file is truncated: %llu bytes of data, its shape needs %llu",
                         (unsigned long long)have, (unsigned long long)need);
    convert(map->bytes + start + length, npy.element_type, tensor->count, tensor->data);
    return 0;
}

/* ---- ONNX */

static int parse_pb(const struct file_map *map, struct tensor *tensor, struct error *error)
{
    struct tensor_proto proto;
    if (tensor_proto_read(map->bytes, map->size, &proto, error))
        return -1;
    int status = proto.is_external ? error_set(error, ERROR_INPUT, "tensors with external data are not read here")
                                   : shape_tensor(tensor, proto.rank, proto.dims, error);
    if (!status)
        convert(proto.data, proto.element_type, tensor->count, tensor->data);
    free(proto.owned);
    return status;
}

/* Maps a file, parses it, and names it in errors. */
static int read_mapped(const char *path, int (*parse)(const struct file_map *, struct tensor *, struct error *),
                       struct tensor *tensor, struct error *error)
{
    struct file_map map;
    *tensor = (struct tensor){0};
    if (file_map(path, &map, error))
        return -1;
    int status = map.size ? parse(&map, tensor, error) : error_set(error, ERROR_INPUT, "the file is empty");
    file_unmap(&map);
    if (status) {
        tensor_free(tensor);
        error_prefix(error, "%s", path);
    }
    return status;
}

int tensor_read_npy(const char *path, struct tensor *tensor, struct error *error)
{
    return read_mapped(path, parse_npy, tensor, error);
}

int tensor_read_pb(const char *path, struct tensor *tensor, struct error *error)
{
    return read_mapped(path, parse_pb, tensor, error);
}

/* ---- CIFAR-10 */

int tensor_read_cifar10(const char *path, uint64_t record, struct tensor *tensor, uint8_t *label, struct error *error)
{
    static const int64_t dims[] = {1, 3, 32, 32};
    struct file_map map;
    *tensor = (struct tensor){0};
    if (file_map(path, &map, error))
        return -1;
    uint64_t records = map.size / CIFAR10_RECORD_BYTES;
    int status;
    if (map.size == 0 || map.size % CIFAR10_RECORD_BYTES != 0)
        status = error_set(error, ERROR_INPUT, "%s: is no CIFAR-10 binary file (its size is no multiple of %d bytes)",
                           path, CIFAR10_RECORD_BYTES);
    else if (record >= records)
        status = error_set(error, ERROR_INPUT, "%s: has %llu images; number %llu (counted from 0) does not exist", path,
                           (unsigned long long)records, (unsigned long long)record);
    else
        status = shape_tensor(tensor, 4, dims, error);
    if (!status) {
        const uint8_t *bytes = map.bytes + record * CIFAR10_RECORD_BYTES;
        for (uint64_t i = 0; i < tensor->count; i++)
            tensor->data[i] = (float)bytes[1 + i] / 255.0f;
        if (label)
            *label = bytes[0];
    }
    file_unmap(&map);
    return status;
}

/* ---- writing, making, choosing */

int tensor_write_npy(const char *path, const struct tensor *tensor, struct error *error)
{
    char shape[24 * TENSOR_MAX_RANK + 8] = "";
    for (uint32_t i = 0; i < tensor->rank; i++)
        snprintf(shape + strlen(shape), sizeof(shape) - strlen(shape), "%lld, ", (long long)tensor->dims[i]);
    char *text = text_format("{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", shape);
    /* The header, with its newline, ends at a multiple of 64. */
    size_t start = (10 + strlen(text) + 1 + 63) / 64 * 64, bytes = tensor->count * sizeof(float);
    uint8_t *file = memory_try_aligned(start + bytes);
    int status;
    if (file) {
        memset(file, ' ', start);
        memcpy(file, NPY_MAGIC "\x01\x00", NPY_MAGIC_BYTES + 2);
        file[8] = (uint8_t)(start - 10);
        file[9] = (uint8_t)((start - 10) >> 8);
        memcpy(file + 10, text, strlen(text));
        file[start - 1] = '\n';
        memcpy(file + start, tensor->data, bytes);
        status = file_write_atomically(path, file, start + bytes, error);
    } else {
        status = error_set(error, ERROR_RUN, "%s: no memory to write %zu bytes", path, start + bytes);
    }
    free(file);
    free(text);
    return status;
}

int tensor_random(struct tensor *tensor, uint32_t rank, const int64_t *dims, uint64_t seed, const char *name,
                  struct error *error)
{
    if (shape_tensor(tensor, rank, dims, error))
        return -1;
    struct random random;
    random_seed(&random, seed, name);
    for (uint64_t i = 0; i < tensor->count; i++)
        tensor->data[i] = (float)(random_bits(&random) >> 40) * 0x1p-24f;
    return 0;
}

static const char *shape_text(char *text, size_t room, uint32_t rank, const int64_t *dims)
{
    text[0] = '\0';
    for (uint32_t i = 0; i < rank; i++)
        snprintf(text + strlen(text), room - strlen(text), "%s%lld", i ? "x" : "", (long long)dims[i]);
    return text;
}

/* Gives a tensor the shape that is expected, where they differ by leading dimensions of 1 only. */
static int fit_shape(const char *source, struct tensor *tensor, const struct napm_tensor *expected, struct error *error)
{
    uint32_t own = 0, theirs = 0;
    while (own < tensor->rank && tensor->dims[own] == 1)
        own++;
    while (theirs < expected->rank && expected->dims[theirs] == 1)
        theirs++;
    size_t bytes = (tensor->rank - own) * sizeof(*tensor->dims);
    if (tensor->rank - own != expected->rank - theirs ||
        (bytes && memcmp(tensor->dims + own, expected->dims + theirs, bytes) != 0)) {
        char has[256], wants[256];
        return error_set(error, ERROR_INPUT, "%s: has shape %s; the model's input '%.200s' is %s", source,
                         shape_text(has, sizeof(has), tensor->rank, tensor->dims), expected->name,
                         shape_text(wants, sizeof(wants), expected->rank, expected->dims));
    }
    tensor->rank = expected->rank;
    if (expected->rank)
        memcpy(tensor->dims, expected->dims, expected->rank * sizeof(*tensor->dims));
    return 0;
}

static bool ends_in(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Reads FILE.bin or FILE.bin:RECORD. */
static int read_cifar10_source(const char *source, struct tensor *tensor, struct error *error)
{
    const char *colon = strrchr(source, ':');
    bool is_numbered = colon && colon[1] != '\0' && strspn(colon + 1, "0123456789") == strlen(colon + 1);
    char *path = text_format("%.*s", is_numbered ? (int)(colon - source) : (int)strlen(source), source);
    int status;
    if (ends_in(path, ".bin"))
        status = tensor_read_cifar10(path, is_numbered ? strtoull(colon + 1, NULL, 10) : 0, tensor, NULL, error);
    else
        status = error_set(error, ERROR_INPUT,
                           "%s: is no input that is known here; give 'random', FILE.npy, FILE.pb or FILE.bin[:RECORD]",
                           source);
    free(path);
    return status;
}

int tensor_read(const char *source, const struct napm_tensor *expected, uint64_t seed, struct tensor *tensor,
                struct error *error)
{
    *tensor = (struct tensor){0};
    if (strcmp(source, "random") == 0)
        return tensor_random(tensor, expected->rank, expected->dims, seed, expected->name, error);
    int status = ends_in(source, ".npy")  ? tensor_read_npy(source, tensor, error)
                 : ends_in(source, ".pb") ? tensor_read_pb(source, tensor, error)
                                          : read_cifar10_source(source, tensor, error);
    if (!status && fit_shape(source, tensor, expected, error)) {
        tensor_free(tensor);
        status = -1;
    }
    return status;
}
