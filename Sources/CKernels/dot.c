// Products of float32 vectors, the same bits on every processor: what is decided by them (which neighbours a vertex keeps, which needs are
// told) must not depend on the machine that decides.
//
// Every version does the same operations in the same order. 32 sums run side by side, the product of place i is rounded and then added to
// sum i % 32, and the sums are added as a tree: 16 + 16, 8 + 8, 4 + 4, 2 + 2, 1 + 1. Vectors whose length is no multiple of 32 are taken as
// if zeros followed, which changes no sum (none is -0: they begin at +0, and opposite numbers add to +0). Nothing is fused: processors
// without a fused multiply-add would have to imitate it, forty times as slowly, and where there is one it gains nothing here: a chain of
// additions is as long as one of multiply-adds, and the loads take longer than either.
#include "CKernels.h"
#include "choice.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#pragma STDC FP_CONTRACT OFF

#define LANES 32
#define INLINE static inline __attribute__((always_inline))

// The places behind the last full 32, with zeros behind them.
INLINE void pad(const void *from, size_t count, float *to) {
    memset(to, 0, LANES * sizeof(float));
    memcpy(to, from, count * sizeof(float));
}

INLINE void add_products(float *sums, const float *x, const float *y) {
    for (size_t j = 0; j < LANES; j++) {
        float product = x[j] * y[j];
        sums[j] = sums[j] + product;
    }
}

static float dot_portable(const void *a, const void *b, size_t count) {
    const uint8_t *x = a, *y = b;
    float sums[LANES] = {0}, p[LANES], q[LANES];
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        memcpy(p, x + 4 * i, sizeof p);
        memcpy(q, y + 4 * i, sizeof q);
        add_products(sums, p, q);
    }
    if (i < count) {
        pad(x + 4 * i, count - i, p);
        pad(y + 4 * i, count - i, q);
        add_products(sums, p, q);
    }
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t j = 0; j < half; j++) sums[j] = sums[j] + sums[j + half];
    return sums[0];
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512f,avx512vl,avx2")))

// 16 + 16 and 8 + 8 have been added: 4 + 4, 2 + 2, 1 + 1.
AVX2 static inline float tree8(__m256 s) {
    __m128 r = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    r = _mm_add_ps(r, _mm_movehl_ps(r, r));
    r = _mm_add_ss(r, _mm_movehdup_ps(r));
    return _mm_cvtss_f32(r);
}

AVX2 static float dot_avx2(const void *a, const void *b, size_t count) {
    const float *x = a, *y = b;
    __m256 s[4];
    float padded[2][LANES];
    for (int j = 0; j < 4; j++) s[j] = _mm256_setzero_ps();
    for (size_t i = 0; i < count; i += LANES) {
        const float *p = x + i, *q = y + i;
        if (count - i < LANES) {
            pad(p, count - i, padded[0]);
            pad(q, count - i, padded[1]);
            p = padded[0], q = padded[1];
        }
        for (int j = 0; j < 4; j++) s[j] = _mm256_add_ps(s[j], _mm256_mul_ps(_mm256_loadu_ps(p + 8 * j), _mm256_loadu_ps(q + 8 * j)));
    }
    return tree8(_mm256_add_ps(_mm256_add_ps(s[0], s[2]), _mm256_add_ps(s[1], s[3])));
}

AVX512 static float dot_avx512(const void *a, const void *b, size_t count) {
    const float *x = a, *y = b;
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        s0 = _mm512_add_ps(s0, _mm512_mul_ps(_mm512_loadu_ps(x + i), _mm512_loadu_ps(y + i)));
        s1 = _mm512_add_ps(s1, _mm512_mul_ps(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(y + i + 16)));
    }
    if (i < count) {
        size_t left = count - i;
        __mmask16 low = left >= 16 ? 0xFFFF : (__mmask16)((1u << left) - 1);
        __mmask16 high = left > 16 ? (__mmask16)((1u << (left - 16)) - 1) : 0;
        s0 = _mm512_add_ps(s0, _mm512_mul_ps(_mm512_maskz_loadu_ps(low, x + i), _mm512_maskz_loadu_ps(low, y + i)));
        s1 = _mm512_add_ps(s1, _mm512_mul_ps(_mm512_maskz_loadu_ps(high, x + i + 16), _mm512_maskz_loadu_ps(high, y + i + 16)));
    }
    __m512 s = _mm512_add_ps(s0, s1);
    __m256 upper = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(s), 1));
    return tree8(_mm256_add_ps(_mm512_castps512_ps256(s), upper));
}
#elif defined(__aarch64__)
static float dot_neon(const void *a, const void *b, size_t count) {
    const uint8_t *x = a, *y = b;
    float32x4_t s[8];
    float padded[2][LANES];
    for (int j = 0; j < 8; j++) s[j] = vdupq_n_f32(0);
    for (size_t i = 0; i < count; i += LANES) {
        const uint8_t *p = x + 4 * i, *q = y + 4 * i;
        if (count - i < LANES) {
            pad(p, count - i, padded[0]);
            pad(q, count - i, padded[1]);
            p = (const uint8_t *)padded[0], q = (const uint8_t *)padded[1];
        }
        // Loads of bytes: those of floats would promise alignment.
        for (int j = 0; j < 8; j++) {
            float32x4_t u = vreinterpretq_f32_u8(vld1q_u8(p + 16 * j)), v = vreinterpretq_f32_u8(vld1q_u8(q + 16 * j));
            s[j] = vaddq_f32(s[j], vmulq_f32(u, v));
        }
    }
    for (int half = 4; half > 0; half /= 2)
        for (int j = 0; j < half; j++) s[j] = vaddq_f32(s[j], s[j + half]);
    float32x2_t r = vadd_f32(vget_low_f32(s[0]), vget_high_f32(s[0]));
    return vget_lane_f32(r, 0) + vget_lane_f32(r, 1);
}
#endif

float ck_dot_f32_at(int level, const void *a, const void *b, size_t count) {
#if defined(__x86_64__)
    if (level >= CK_SIMD_AVX512) return dot_avx512(a, b, count);
    if (level >= CK_SIMD_AVX2) return dot_avx2(a, b, count);
#elif defined(__aarch64__)
    if (level > CK_SIMD_PORTABLE) return dot_neon(a, b, count);
#endif
    return dot_portable(a, b, count);
}

float ck_dot_f32(const void *a, const void *b, size_t count) { return ck_dot_f32_at(ck_level, a, b, count); }
