/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz target in libFuzzer's form: it has LLVMFuzzerTestOneInput and gives its seeds to fuzz_driver.c, which mutates
 * them for a second or two in `make check`. For a real campaign leave fuzz_driver.c out and link libFuzzer, as each
 * target's first comment says.
 */
#ifndef NAPM_TESTS_FUZZ_TARGET_H
#define NAPM_TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Seed number `index`, to be freed by the caller; NULL behind the last one. */
uint8_t *fuzz_seed(unsigned index, size_t *size);

/* The bytes as a file of its own in memory: its path, valid until the next call. */
const char *fuzz_file(const uint8_t *bytes, size_t size);

#endif
