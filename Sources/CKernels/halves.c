// Vectors of halves (IEEE binary16, little-endian), as the store keeps them: half the bytes of floats, and the ten nearest stay the ten
// nearest (docs/decisions/0050-vectors-as-halves.md).
//
// A half is a float exactly, so a product of floats and halves is that of two vectors of floats, and it is added up as dot.c does it: 32 sums
// side by side, each product rounded and then added, a tree at the end; the same bits on every processor and at every level. Places behind the
// last full 32 count as zeros.
#include "CKernels.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#pragma STDC FP_CONTRACT OFF

#define LANES 32

static inline float float_of(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7fff;
    uint32_t bits = rest << 13;
    float value;
    if (rest >= 0x7c00) {  // infinite, or no number
        bits |= 0x7f800000;
        memcpy(&value, &bits, 4);
    } else {
        memcpy(&value, &bits, 4);
        value *= 0x1p112f;  // exact: the exponents of floats begin 112 lower, and the least halves are normal floats
    }
    memcpy(&bits, &value, 4);
    bits |= sign;
    memcpy(&value, &bits, 4);
    return value;
}

void ck_halves_widen(const void *halves, float *to, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, (const uint8_t *)halves + 2 * i, 2);
        to[i] = float_of(half);
    }
}

static inline void tail_floats(const void *from, size_t count, float *to) {
    memset(to, 0, LANES * sizeof(float));
    memcpy(to, from, count * sizeof(float));
}

static float dot_portable(const uint8_t *a, const uint8_t *b, size_t count) {
    float sums[LANES] = {0}, x[LANES], y[LANES];
    for (size_t i = 0; i < count; i += LANES) {
        const size_t some = count - i < LANES ? count - i : LANES;
        tail_floats(a + 4 * i, some, x);
        memset(y, 0, sizeof y);
        ck_halves_widen(b + 2 * i, y, some);
        for (size_t j = 0; j < LANES; j++) {
            const float product = x[j] * y[j];
            sums[j] = sums[j] + product;
        }
    }
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t j = 0; j < half; j++) sums[j] = sums[j] + sums[j + half];
    return sums[0];
}

#if defined(__x86_64__) || defined(__aarch64__)
/* The last lanes of both, zeros in those that are not there. */
static inline void fill_up(const uint8_t **floats, const uint8_t **halves, size_t count, float *x, uint16_t *y) {
    tail_floats(*floats, count, x);
    memset(y, 0, LANES * sizeof(uint16_t));
    memcpy(y, *halves, count * sizeof(uint16_t));
    *floats = (const uint8_t *)x;
    *halves = (const uint8_t *)y;
}
#endif

#if defined(__x86_64__)
// 16 + 16 and 8 + 8 have been added: 4 + 4, 2 + 2, 1 + 1.
__attribute__((target("avx2"))) static inline float tree8(__m256 s) {
    __m128 r = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
    r = _mm_add_ps(r, _mm_movehl_ps(r, r));
    r = _mm_add_ss(r, _mm_movehdup_ps(r));
    return _mm_cvtss_f32(r);
}

__attribute__((target("avx2,f16c"))) static float dot_avx2(const uint8_t *a, const uint8_t *b, size_t count) {
    __m256 s[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    float x[LANES];
    uint16_t y[LANES];
    for (size_t i = 0; i < count; i += LANES) {
        const uint8_t *p = a + 4 * i, *q = b + 2 * i;
        if (count - i < LANES) fill_up(&p, &q, count - i, x, y);
        for (int j = 0; j < 4; j++)
            s[j] = _mm256_add_ps(s[j], _mm256_mul_ps(_mm256_loadu_ps((const float *)(p + 32 * j)),
                                                     _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(q + 16 * j)))));
    }
    return tree8(_mm256_add_ps(_mm256_add_ps(s[0], s[2]), _mm256_add_ps(s[1], s[3])));
}

__attribute__((target("avx512f,avx512vl,avx512dq,avx2,f16c")))
static float dot_avx512(const uint8_t *a, const uint8_t *b, size_t count) {
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    float x[LANES];
    uint16_t y[LANES];
    for (size_t i = 0; i < count; i += LANES) {
        const uint8_t *p = a + 4 * i, *q = b + 2 * i;
        if (count - i < LANES) fill_up(&p, &q, count - i, x, y);
        s0 = _mm512_add_ps(s0, _mm512_mul_ps(_mm512_loadu_ps(p), _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)q))));
        s1 = _mm512_add_ps(s1, _mm512_mul_ps(_mm512_loadu_ps(p + 64), _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(q + 32)))));
    }
    const __m512 s = _mm512_add_ps(s0, s1);
    return tree8(_mm256_add_ps(_mm512_castps512_ps256(s), _mm512_extractf32x8_ps(s, 1)));
}
#elif defined(__aarch64__)
static float dot_neon(const uint8_t *a, const uint8_t *b, size_t count) {
    float32x4_t s[8];
    float x[LANES];
    uint16_t y[LANES];
    for (int j = 0; j < 8; j++) s[j] = vdupq_n_f32(0);
    for (size_t i = 0; i < count; i += LANES) {
        const uint8_t *p = a + 4 * i, *q = b + 2 * i;
        if (count - i < LANES) fill_up(&p, &q, count - i, x, y);
        for (int j = 0; j < 8; j++) {
            const float16x4_t halves = vreinterpret_f16_u8(vld1_u8(q + 8 * j));
            s[j] = vaddq_f32(s[j], vmulq_f32(vreinterpretq_f32_u8(vld1q_u8(p + 16 * j)), vcvt_f32_f16(halves)));
        }
    }
    for (int half = 4; half > 0; half /= 2)
        for (int j = 0; j < half; j++) s[j] = vaddq_f32(s[j], s[j + half]);
    const float32x2_t r = vadd_f32(vget_low_f32(s[0]), vget_high_f32(s[0]));
    return vget_lane_f32(r, 0) + vget_lane_f32(r, 1);
}
#endif

float ck_dot_f16_at(int level, const void *floats, const void *halves, size_t count) {
#if defined(__x86_64__)
    if (level >= CK_SIMD_AVX512) return dot_avx512(floats, halves, count);
    if (level >= CK_SIMD_AVX2) return dot_avx2(floats, halves, count);
#elif defined(__aarch64__)
    if (level > CK_SIMD_PORTABLE) return dot_neon(floats, halves, count);
#endif
    return dot_portable(floats, halves, count);
}

float ck_dot_f16(const void *floats, const void *halves, size_t count) {
    return ck_dot_f16_at(ck_simd_level(), floats, halves, count);
}
