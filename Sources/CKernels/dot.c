#include "CKernels.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

float ck_dot_f32_portable(const void *a, const void *b, size_t count) {
    const uint8_t *pa = a, *pb = b;
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        float x[4], y[4];
        memcpy(x, pa + 4 * i, 16);
        memcpy(y, pb + 4 * i, 16);
        s0 += x[0] * y[0];
        s1 += x[1] * y[1];
        s2 += x[2] * y[2];
        s3 += x[3] * y[3];
    }
    for (; i < count; i++) {
        float x, y;
        memcpy(&x, pa + 4 * i, 4);
        memcpy(&y, pb + 4 * i, 4);
        s0 += x * y;
    }
    return (s0 + s1) + (s2 + s3);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma")))
static float dot_avx2(const void *a, const void *b, size_t count) {
    const float *x = a, *y = b;
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(x + i + 8), _mm256_loadu_ps(y + i + 8), s1);
    }
    s0 = _mm256_add_ps(s0, s1);
    __m128 r = _mm_add_ps(_mm256_castps256_ps128(s0), _mm256_extractf128_ps(s0, 1));
    r = _mm_hadd_ps(r, r);
    r = _mm_hadd_ps(r, r);
    float sum = _mm_cvtss_f32(r);
    if (i < count) sum += ck_dot_f32_portable((const uint8_t *)a + 4 * i, (const uint8_t *)b + 4 * i, count - i);
    return sum;
}

__attribute__((target("avx512f")))
static float dot_avx512(const void *a, const void *b, size_t count) {
    const float *x = a, *y = b;
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(x + i), _mm512_loadu_ps(y + i), s0);
        s1 = _mm512_fmadd_ps(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(y + i + 16), s1);
    }
    float sum = _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
    if (i < count) sum += ck_dot_f32_portable((const uint8_t *)a + 4 * i, (const uint8_t *)b + 4 * i, count - i);
    return sum;
}
#endif

float ck_dot_f32(const void *a, const void *b, size_t count) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return dot_avx512(a, b, count);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return dot_avx2(a, b, count);
#endif
    return ck_dot_f32_portable(a, b, count);
}
