// CKernels: the only C of our own. One file per family of kernels; each has a portable version and versions for
// instruction sets that the CPU may have, chosen once at run time. No kernel allocates, none keeps state, and all of
// them accept unaligned pointers, because LMDB aligns values to two bytes only.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>

// postings.c
#include "CKernelsPostings.h"

// checksum.c: CRC-32C (Castagnoli), the polynomial of iSCSI and ext4. `seed` is the value of the bytes before, 0 at first.
uint32_t ck_crc32c(uint32_t seed, const void *bytes, size_t count);
uint32_t ck_crc32c_portable(uint32_t seed, const void *bytes, size_t count);

// dot.c: products of float32 vectors.
float ck_dot_f32(const void *a, const void *b, size_t count);
float ck_dot_f32_portable(const void *a, const void *b, size_t count);

// encoder.c: the float32 work of a BERT encoder besides the large matrix products. `level` is what ck_simd_level() says,
// or less, so that a test can compare them. Matrices are row-major and dense unless a stride (in floats) is given.
// Columns and depths are multiples of 16.
#define CK_SIMD_PORTABLE 0
#define CK_SIMD_AVX2 1
#define CK_SIMD_AVX512 2
int ck_simd_level(void);
// x += bias, in every row.
void ck_encoder_add_bias(int level, float *x, size_t stride, const float *bias, size_t rows, size_t columns);
// x = gelu(x + bias), the exact form with erf.
void ck_encoder_gelu(int level, float *x, const float *bias, size_t rows, size_t columns);
// x = (x + bias + residual), normalised over the row to mean 0 and variance 1, times scale, plus shift.
void ck_encoder_layer_norm(int level, float *x, const float *bias, const float *residual, const float *scale,
                           const float *shift, size_t rows, size_t columns, float epsilon);
// out = the mean of the rows, at unit length.
void ck_encoder_mean_pool(int level, const float *x, size_t rows, size_t columns, float *out);
// c = a times w transposed, w being outputs x depth as the model file has it; outputs is a multiple of 4.
void ck_encoder_project(int level, const float *a, const float *w, float *c, size_t c_stride, size_t rows, size_t outputs,
                        size_t depth);
// One head of 32 columns over one sequence: out = softmax(queries keysT / sqrt 32) values. scratch holds 64 floats for
// every position, positions rounded up to a multiple of 32.
void ck_encoder_attention_head(int level, const float *queries, const float *keys, const float *values, size_t stride,
                               size_t length, float *scratch, float *out, size_t out_stride);

#endif
