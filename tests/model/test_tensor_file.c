/* SPDX-License-Identifier: Apache-2.0 */
/* Tensor files: what is read, what is converted, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/model/tensor_file.h"

static char folder[] = "test_tensor_file.XXXXXX";
static char *npy, *pb, *bin;

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    npy = text_format("%s/t.npy", folder);
    pb = text_format("%s/t.pb", folder);
    bin = text_format("%s/t.bin", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(npy);
    unlink(pb);
    unlink(bin);
    free(npy);
    free(pb);
    free(bin);
    return rmdir(folder);
}

static void write_bytes(const char *path, const void *bytes, size_t count)
{
    struct error error = {0};
    assert_int_equal(file_write_atomically(path, bytes, count, &error), 0);
}

/* Writes a .npy of that version with this header text and data. */
static void write_npy(int version, const char *header, const void *data, size_t bytes)
{
    uint8_t whole[512] = "\x93NUMPY";
    size_t length = strlen(header), start = version == 1 ? 10 : 12;
    whole[6] = (uint8_t)version;
    whole[8] = (uint8_t)length;
    memcpy(whole + start, header, length);
    memcpy(whole + start + length, data, bytes);
    write_bytes(npy, whole, start + length + bytes);
}

static void assert_npy_refused(const char *part)
{
    struct error error = {0};
    struct tensor tensor;
    assert_int_equal(tensor_read_npy(npy, &tensor, &error), -1);
    assert_null(tensor.data);
    if (!strstr(error.text, part) || !strstr(error.text, npy))
        fail_msg("'%s' should name the file and say '%s'", error.text, part);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct error error = {0};
    const int64_t dims[] = {1, 3, 5, 7};
    struct tensor written, read;
    assert_int_equal(tensor_random(&written, 4, dims, 3, "x", &error), 0);
    assert_int_equal(tensor_write_npy(npy, &written, &error), 0);
    assert_int_equal(tensor_read_npy(npy, &read, &error), 0);
    assert_int_equal(read.rank, 4);
    assert_memory_equal(read.dims, dims, sizeof(dims));
    assert_memory_equal(read.data, written.data, 105 * sizeof(float));
    assert_int_equal((uintptr_t)read.data % 64, 0);
    tensor_free(&read);
    tensor_free(&written);
}

static void other_element_types_are_converted(void **state)
{
    (void)state;
    const struct {
        const char *header;
        const void *data;
        size_t bytes;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", (const float[]){7, 200}, 8},
        {"{'shape': (2,), 'fortran_order': False, 'descr': '<f8'}", (const double[]){7, 200}, 16},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", (const int64_t[]){7, 200}, 16},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }", (const int32_t[]){7, 200}, 8},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", (const uint8_t[]){7, 200}, 2},
    };
    for (size_t i = 0; i < 5; i++)
        for (int version = 1; version <= 3; version++) {
            struct error error = {0};
            struct tensor tensor;
            write_npy(version, cases[i].header, cases[i].data, cases[i].bytes);
            if (tensor_read_npy(npy, &tensor, &error))
                fail_msg("%s", error.text);
            assert_int_equal(tensor.count, 2);
            assert_true(tensor.data[0] == 7 && tensor.data[1] == 200);
            tensor_free(&tensor);
        }
}

static void npy_files_that_cannot_be_used_are_refused(void **state)
{
    (void)state;
    const float data[] = {1, 2};
    write_npy(1, "{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", data, 8);
    assert_npy_refused("'>f4' is not supported");
    write_npy(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", data, 8);
    assert_npy_refused("Fortran order");
    write_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", data, 8);
    assert_npy_refused("truncated");
    write_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }", data, 8);
    assert_npy_refused("shape is malformed");
    write_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", data, 8);
    assert_npy_refused("absurd");
    write_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,", data, 8);
    assert_npy_refused("malformed");
    write_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }", data, 8);
    assert_npy_refused("empty");
    write_npy(4, "{}", data, 8);
    assert_npy_refused("version 4");
    write_bytes(npy, "PK\3\4 something else", 20);
    assert_npy_refused("no .npy file");
}

static void a_tensor_proto_is_read(void **state)
{
    (void)state;
    /* dims 2; data_type FLOAT; float_data 1.0, -2.0 */
    const uint8_t floats[] = {0x08, 2, 0x10, 1, 0x22, 8, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0};
    /* dims 2; data_type INT64; int64_data 3, -1 */
    const uint8_t integers[] = {0x08, 2,    0x10, 7,    0x3a, 11,   3,    0xff, 0xff,
                                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    struct error error = {0};
    struct tensor tensor;
    write_bytes(pb, floats, sizeof(floats));
    assert_int_equal(tensor_read_pb(pb, &tensor, &error), 0);
    assert_true(tensor.count == 2 && tensor.data[0] == 1.0f && tensor.data[1] == -2.0f);
    tensor_free(&tensor);
    write_bytes(pb, integers, sizeof(integers));
    assert_int_equal(tensor_read_pb(pb, &tensor, &error), 0);
    assert_true(tensor.count == 2 && tensor.data[0] == 3.0f && tensor.data[1] == -1.0f);
    tensor_free(&tensor);
    for (size_t length = 0; length < sizeof(floats); length++) {
        write_bytes(pb, floats, length);
        assert_int_equal(tensor_read_pb(pb, &tensor, &error), -1);
        assert_null(tensor.data);
    }
}

static void an_image_of_cifar10_is_scaled_and_labelled(void **state)
{
    (void)state;
    struct error error = {0};
    struct tensor tensor;
    uint8_t *records = memory_new(2 * CIFAR10_RECORD_BYTES), label;
    records[CIFAR10_RECORD_BYTES] = 7;
    records[CIFAR10_RECORD_BYTES + 1] = 255;
    records[2 * CIFAR10_RECORD_BYTES - 1] = 51;
    write_bytes(bin, records, 2 * CIFAR10_RECORD_BYTES);
    assert_int_equal(tensor_read_cifar10(bin, 1, &tensor, &label, &error), 0);
    assert_int_equal(label, 7);
    assert_int_equal(tensor.count, 3072);
    assert_true(tensor.data[0] == 1.0f && tensor.data[1] == 0.0f);
    assert_true(tensor.data[3071] == 51 / 255.0f);
    tensor_free(&tensor);
    assert_int_equal(tensor_read_cifar10(bin, 2, &tensor, &label, &error), -1);
    assert_non_null(strstr(error.text, "has 2 images"));
    write_bytes(bin, records, 4000);
    assert_int_equal(tensor_read_cifar10(bin, 0, &tensor, NULL, &error), -1);
    assert_non_null(strstr(error.text, "multiple of 3073"));
    free(records);
}

static void a_source_is_fitted_to_the_input_of_the_model(void **state)
{
    (void)state;
    const int64_t dims[] = {1, 2, 3}, plain[] = {2, 3}, other[] = {3, 2};
    const struct napm_tensor expected = {.size = sizeof(expected), .name = "image", .rank = 3, .dims = dims};
    struct error error = {0};
    struct tensor tensor, again;
    assert_int_equal(tensor_random(&tensor, 2, plain, 1, "", &error), 0);
    assert_int_equal(tensor_write_npy(npy, &tensor, &error), 0);
    tensor_free(&tensor);
    assert_int_equal(tensor_read(npy, &expected, 1, &tensor, &error), 0);
    assert_int_equal(tensor.rank, 3);
    tensor_free(&tensor);
    assert_int_equal(tensor_random(&tensor, 2, other, 1, "", &error), 0);
    assert_int_equal(tensor_write_npy(npy, &tensor, &error), 0);
    tensor_free(&tensor);
    assert_int_equal(tensor_read(npy, &expected, 1, &tensor, &error), -1);
    assert_non_null(strstr(error.text, "has shape 3x2; the model's input 'image' is 1x2x3"));
    assert_int_equal(tensor_read("random", &expected, 5, &tensor, &error), 0);
    assert_int_equal(tensor_read("random", &expected, 5, &again, &error), 0);
    assert_memory_equal(tensor.data, again.data, 6 * sizeof(float));
    tensor_free(&tensor);
    tensor_free(&again);
    assert_int_equal(tensor_read("picture.jpeg", &expected, 5, &tensor, &error), -1);
    assert_non_null(strstr(error.text, "FILE.npy"));
}

static void a_record_is_chosen_behind_the_file_name(void **state)
{
    (void)state;
    const int64_t dims[] = {1, 3, 32, 32};
    const struct napm_tensor expected = {.size = sizeof(expected), .name = "image", .rank = 4, .dims = dims};
    struct error error = {0};
    struct tensor tensor;
    uint8_t *records = memory_new(2 * CIFAR10_RECORD_BYTES);
    records[CIFAR10_RECORD_BYTES + 1] = 255;
    write_bytes(bin, records, 2 * CIFAR10_RECORD_BYTES);
    free(records);
    char *source = text_format("%s:1", bin);
    assert_int_equal(tensor_read(source, &expected, 0, &tensor, &error), 0);
    assert_true(tensor.data[0] == 1.0f);
    tensor_free(&tensor);
    assert_int_equal(tensor_read(bin, &expected, 0, &tensor, &error), 0);
    assert_true(tensor.data[0] == 0.0f);
    tensor_free(&tensor);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(other_element_types_are_converted),
        cmocka_unit_test(npy_files_that_cannot_be_used_are_refused),
        cmocka_unit_test(a_tensor_proto_is_read),
        cmocka_unit_test(an_image_of_cifar10_is_scaled_and_labelled),
        cmocka_unit_test(a_source_is_fitted_to_the_input_of_the_model),
        cmocka_unit_test(a_record_is_chosen_behind_the_file_name),
    };
    return cmocka_run_group_tests_name("tensor_file", tests, make_folder, remove_folder) != 0;
}
