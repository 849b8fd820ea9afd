#include "CKernels.h"
#include <math.h>
#include <string.h>

// Bytes of input rows that pass by one panel of weights: a part of the second-level cache.
#define PANEL_BYTES (384 * 1024)

#define WIDTH 4
#define ROWS 2
#define COLUMN_ROWS 1
#define NAME(x) x##_portable
#include "encoder_kernels.h"

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define WIDTH 8
#define ROWS 3
#define COLUMN_ROWS 3
#define NAME(x) x##_avx2
#include "encoder_kernels.h"
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))), apply_to = function)
#define WIDTH 16
#define ROWS 6
#define COLUMN_ROWS 8
#define NAME(x) x##_avx512
#include "encoder_kernels.h"
#pragma clang attribute pop

#define CHOOSE(level, kernel, ...)                                       \
    do {                                                                 \
        if ((level) == CK_SIMD_AVX512) kernel##_avx512(__VA_ARGS__);     \
        else if ((level) == CK_SIMD_AVX2) kernel##_avx2(__VA_ARGS__);    \
        else kernel##_portable(__VA_ARGS__);                             \
    } while (0)
#else
#define CHOOSE(level, kernel, ...) kernel##_portable(__VA_ARGS__)
#endif

int ck_simd_level(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw"))
        return CK_SIMD_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return CK_SIMD_AVX2;
#endif
    return CK_SIMD_PORTABLE;
}

void ck_encoder_add_bias(int level, float *x, size_t stride, const float *bias, size_t rows, size_t columns) {
    CHOOSE(level, add_bias, x, stride, bias, rows, columns);
}

void ck_encoder_gelu(int level, float *x, const float *bias, size_t rows, size_t columns) {
    CHOOSE(level, gelu, x, bias, rows, columns);
}

void ck_encoder_layer_norm(int level, float *x, const float *bias, const float *residual, const float *scale,
                           const float *shift, size_t rows, size_t columns, float epsilon) {
    CHOOSE(level, layer_norm, x, bias, residual, scale, shift, rows, columns, epsilon);
}

void ck_encoder_mean_pool(int level, const float *x, size_t rows, size_t columns, float *out) {
    CHOOSE(level, mean_pool, x, rows, columns, out);
}

void ck_encoder_project(int level, const float *a, const float *w, float *c, size_t c_stride, size_t rows, size_t outputs,
                        size_t depth) {
    CHOOSE(level, project, a, w, c, c_stride, rows, outputs, depth);
}

void ck_encoder_attention_head(int level, const float *queries, const float *keys, const float *values, size_t stride,
                               size_t length, float *scratch, float *out, size_t out_stride) {
    CHOOSE(level, attention_head, queries, keys, values, stride, length, scratch, out, out_stride);
}
