#include "CKernels.h"
#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Steps of a panel that are widened at once where the processor cannot widen in a register: 32 KiB of floats.
#define PART 256

#define WIDTH 4
#define TILE 16
#define COLUMN_ROWS 1
#define RECIPROCAL(x) (1 / (x))
#define NAME(x) x##_portable
#if defined(__aarch64__)
#define ROWS 4
typedef __fp16 half4 __attribute__((vector_size(8), aligned(1)));
#define WIDEN(p) __builtin_convertvector(*(const half4 *)(p), float __attribute__((vector_size(16))))
#else
#define ROWS 2
#endif
#include "encoder_kernels.h"

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define WIDTH 8
#define ROWS 6
#define TILE 16
#define COLUMN_ROWS 3
#define WIDEN(p) _mm256_cvtph_ps(_mm_loadu_si128((const void *)(p)))
#define RECIPROCAL(x) (1 / (x))
#define NAME(x) x##_avx2
#include "encoder_kernels.h"
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,f16c"))), apply_to = function)
// The processor's estimate of 14 bits, and one step of Newton's method.
static inline __attribute__((always_inline)) __m512 reciprocal_avx512(__m512 x) {
    __m512 r = _mm512_rcp14_ps(x);
    return r * (2 - x * r);
}
#define WIDTH 16
#define ROWS 14
#define TILE 32
#define COLUMN_ROWS 8
#define WIDEN(p) _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(p)))
#define RECIPROCAL(x) reciprocal_avx512(x)
#define NAME(x) x##_avx512
#include "encoder_kernels.h"
#pragma clang attribute pop

#define CHOOSE(level, kernel, ...)                                       \
    do {                                                                 \
        if ((level) >= CK_SIMD_AVX512) kernel##_avx512(__VA_ARGS__);     \
        else if ((level) == CK_SIMD_AVX2) kernel##_avx2(__VA_ARGS__);    \
        else kernel##_portable(__VA_ARGS__);                             \
    } while (0)
#else
#define CHOOSE(level, kernel, ...) kernel##_portable(__VA_ARGS__)
#endif

// The nearest half, ties to even.
static uint16_t half_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    const uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x477ff000) return sign | 0x7c00;  // 65,520 and more, or no number
    if (magnitude < 0x38800000) {                       // below the least normal half: steps of 2^-24
        float steps = fabsf(value) * 0x1p24f;
        return sign | (uint16_t)lrintf(steps);
    }
    const uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return sign | (uint16_t)((rounded >> 13) - (112 << 10));
}

size_t ck_encoder_halves(const float *from, uint16_t *to, size_t count) {
    size_t outside = 0;
    for (size_t i = 0; i < count; i++) {
        to[i] = half_of(from[i]);
        outside += (to[i] & 0x7c00) == 0x7c00;
    }
    return outside;
}

size_t ck_encoder_pack(const float *w, size_t outputs, size_t depth, uint16_t *packed) {
    size_t outside = 0;
    for (size_t panel = 0; panel < outputs; panel += 32)
        for (size_t k = 0; k < depth; k++)
            for (size_t n = 0; n < 32; n++) {
                *packed = half_of(w[(panel + n) * depth + k]);
                outside += (*packed++ & 0x7c00) == 0x7c00;
            }
    return outside;
}

void ck_encoder_gather(int level, const uint16_t *words, const float *positions, const int32_t *tokens, size_t count,
                       size_t columns, float *out) {
    CHOOSE(level, gather, words, positions, tokens, count, columns, out);
}

void ck_encoder_layer_norm(int level, float *x, const float *residual, const float *scale, const float *shift, size_t rows,
                           size_t columns, float epsilon) {
    CHOOSE(level, layer_norm, x, residual, scale, shift, rows, columns, epsilon);
}

void ck_encoder_pool(int level, const float *x, size_t rows, size_t columns, float *out) {
    CHOOSE(level, pool, x, rows, columns, out);
}

void ck_encoder_project(int level, const float *a, size_t a_stride, const uint16_t *w, const float *bias, int gelu, float *c,
                        size_t c_stride, size_t rows, size_t outputs, size_t depth) {
    CHOOSE(level, project, a, a_stride, w, bias, gelu, c, c_stride, rows, outputs, depth);
}

void ck_encoder_quantise(int level, const float *x, int gelu, const float *factors, const float *offsets, uint8_t *bytes, float *scales,
                         size_t rows, size_t columns) {
    CHOOSE(level, quantise, x, gelu, factors, offsets, bytes, scales, rows, columns);
}

void ck_encoder_attention_head(int level, const float *queries, const float *keys, const float *values, size_t stride,
                               size_t length, size_t columns, float *scratch, float *out, size_t out_stride) {
    CHOOSE(level, attention_head, queries, keys, values, stride, length, columns, scratch, out, out_stride);
}
