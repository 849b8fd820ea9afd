// CKernels: the only C of our own. One file per family of kernels; each has a portable version and versions for
// instruction sets that the CPU may have, chosen once at run time. No kernel allocates, none keeps state, and all of
// them accept unaligned pointers, because LMDB aligns values to two bytes only.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>
#include "codes.h"

// postings.c
#include "CKernelsPostings.h"

// needs.c
#include "CKernelsNeeds.h"

// allocator.c: what is large is mapped and goes back to the system when it is freed (with thresholds that glibc raises by itself, up to
// 32 MB of it stay: 300 MB after one document of 10 MB); and what is free in between goes back now.
void ck_allocator_begin(void);
void ck_allocator_give_back(void);

// checksum.c: CRC-32C (Castagnoli), the polynomial of iSCSI and ext4. `seed` is the value of the bytes before, 0 at first.
uint32_t ck_crc32c(uint32_t seed, const void *bytes, size_t count);
uint32_t ck_crc32c_portable(uint32_t seed, const void *bytes, size_t count);

// choice.c: which level of kernels is used: the processor's, or less, as CONTEX_KERNELS says.
#define CK_SIMD_PORTABLE 0
#define CK_SIMD_AVX2 1    // with FMA and F16C; on ARM: NEON
#define CK_SIMD_AVX512 2  // F, VL, DQ, BW
#define CK_SIMD_VNNI 3    // AVX-512 with products of bytes
int ck_simd_level(void);
// Whether CONTEX_KERNELS names a level, or nothing.
int ck_kernels_named(void);

// dot.c: products of float32 vectors, the same bits at every level.
float ck_dot_f32(const void *a, const void *b, size_t count);
float ck_dot_f32_at(int level, const void *a, const void *b, size_t count);

// halves.c: vectors of halves (IEEE binary16, little-endian). Equal on every processor and at every level.
// What ck_encoder_halves made, as floats: exact.
void ck_halves_widen(const void *halves, float *to, size_t count);
// The product of floats and halves: bit for bit that of ck_dot_f32 with the halves as floats.
float ck_dot_f16(const void *floats, const void *halves, size_t count);
float ck_dot_f16_at(int level, const void *floats, const void *halves, size_t count);

// encoder.c: the float32 work of a BERT encoder. `level` is what ck_simd_level() says, or less, so that a test can compare
// them. Matrices are row-major and dense unless a stride (in floats) is given. Columns, outputs and depths are multiples of
// 32 (of 16 where it says so).
// Floats as halves (IEEE binary16), rounded to nearest. Returns how many of them halves cannot hold.
size_t ck_encoder_halves(const float *from, uint16_t *to, size_t count);
// Weights (outputs x depth, as a model file has them) as halves in panels of 32 outputs, each depth by depth:
//     packed[(output / 32 * depth + k) * 32 + output % 32] = half(w[output * depth + k])
// Returns how many of them halves cannot hold.
size_t ck_encoder_pack(const float *w, size_t outputs, size_t depth, uint16_t *packed);
// out = word of each token + position of its place.
void ck_encoder_gather(int level, const uint16_t *words, const float *positions, const int32_t *tokens, size_t count,
                       size_t columns, float *out);
// x = (x + residual, which may be null), normalised over the row to mean 0 and variance 1, times scale, plus shift.
void ck_encoder_layer_norm(int level, float *x, const float *residual, const float *scale, const float *shift, size_t rows,
                           size_t columns, float epsilon);
// out = the mean of the rows, at unit length.
void ck_encoder_pool(int level, const float *x, size_t rows, size_t columns, float *out);
// c = a times the packed weights, plus bias (which may be null); its gelu (the exact form with erf) when `gelu`.
void ck_encoder_project(int level, const float *a, size_t a_stride, const uint16_t *w, const float *bias, int gelu, float *c,
                        size_t c_stride, size_t rows, size_t outputs, size_t depth);
// One head of `columns` (a multiple of 16) over one sequence: out = softmax(queries keysT / sqrt columns) values. scratch
// holds columns + 32 floats for every position, positions rounded up to a multiple of 16.
void ck_encoder_attention_head(int level, const float *queries, const float *keys, const float *values, size_t stride,
                               size_t length, size_t columns, float *scratch, float *out, size_t out_stride);

// encoder_bytes.c: the large products on bytes. The depth is cut into groups of CK_GROUP (the last may be shorter), and each
// row and each output has a scale of its own in each group. Inputs are balanced (each column times its factor) and, in whole groups,
// turned: multiplied by Hadamard's matrix, whose element (i, j) is -1 where i and j have an odd number of bits in common, else 1.
#define CK_GROUP 64
// Packing looks at so many columns at once.
#define CK_BLOCK 384
// Adds rows to what is known of their columns: the sums, and for each block CK_BLOCK x CK_BLOCK sums of products, of which the upper half
// (by rows) is meant.
void ck_encoder_observe(const float *x, size_t rows, size_t columns, double *sums, float *products);
// Of a block of `count` columns with the covariance m (CK_BLOCK x CK_BLOCK, whole; overwritten): by what the error of a balanced and turned
// weight is best made up for in those after it. Row k: what is added to each for an error of 1 of weight k. `damping` is added to the
// diagonal, as a part of its mean.
void ck_encoder_pushes(double *m, size_t count, const float *factors, double damping, float *pushes);
// Weights as bytes: w, each column through its factor, turned (and divided by CK_GROUP), = scale * byte, in panels of 32 outputs, four
// depths of each output together:
//     packed[output / 32 * depth * 32 + k / 4 * 128 + output % 32 * 4 + k % 4]
// The error of each byte is made up for by those after it in its block, as `pushes` (of every block) says. scales and sums (-128 times the
// sum of the bytes) have a row of `stride` for each group.
void ck_encoder_pack_bytes(const float *w, size_t outputs, size_t depth, const float *factors, const float *pushes, int8_t *packed,
                           float *scales, int32_t *sums, size_t stride);
// Rows (their gelu when `gelu`) times the factors, less the offsets, turned, as bytes = 128 + x / scale, 1 to 255; scales have a row of
// groups for each row. The same bytes at every level, but for the gelu.
void ck_encoder_quantise(int level, const float *x, int gelu, const float *factors, const float *offsets, uint8_t *bytes,
                         float *scales, size_t rows, size_t columns);
// c = a times w, plus bias; all of them as above. The same bits at every level.
void ck_encoder_project_bytes(int level, const uint8_t *a, const float *scales_a, const int8_t *w, const float *scales,
                              const int32_t *sums, const float *bias, float *c, size_t rows, size_t outputs, size_t depth);

// For a loop that waits for another thread: leaves the core to its twin for a moment.
static inline void ck_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb");
#endif
}

#endif
