#include "CKernels.h"
#include "choice.h"
#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__x86_64__)
static inline int has_avx2(void) { return ck_most >= CK_SIMD_AVX2 && __builtin_cpu_supports("avx2"); }
#endif

int ck_codes_level(void) {
#if defined(__x86_64__)
    if (ck_most >= CK_SIMD_AVX512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vnni"))
        return CK_CODES_VNNI;
    if (has_avx2()) return CK_CODES_AVX2;
#endif
    return CK_CODES_PORTABLE;
}

// What is rounded is written operation by operation, and stays so: a fused multiply-add would give other bits where there is one.
#pragma STDC FP_CONTRACT OFF

// Loops that the compiler vectorises, once for any processor and once for AVX2 (without FMA, which would round differently).
#define INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))
#endif

// MARK: Rotation. Only additions, subtractions and single products: the same bits from every compiler.

static void hadamard128(float *x) {
    for (size_t half = 1; half < 128; half *= 2)
        for (size_t base = 0; base < 128; base += 2 * half)
            for (size_t i = base; i < base + half; i++) {
                float a = x[i], b = x[i + half];
                x[i] = a + b;
                x[i + half] = a - b;
            }
}

#if defined(__x86_64__)
// The same sums: three rounds within 8 floats, the others between them.
AVX2 static void hadamard128_avx2(float *x) {
    __m256 v[16];
    for (size_t i = 0; i < 16; i++) {
        __m256 y = _mm256_loadu_ps(x + 8 * i);
        __m256 a = _mm256_moveldup_ps(y), b = _mm256_movehdup_ps(y);
        y = _mm256_blend_ps(_mm256_add_ps(a, b), _mm256_sub_ps(a, b), 0xAA);
        a = _mm256_permute_ps(y, 0x44), b = _mm256_permute_ps(y, 0xEE);
        y = _mm256_blend_ps(_mm256_add_ps(a, b), _mm256_sub_ps(a, b), 0xCC);
        a = _mm256_permute2f128_ps(y, y, 0x00), b = _mm256_permute2f128_ps(y, y, 0x11);
        v[i] = _mm256_blend_ps(_mm256_add_ps(a, b), _mm256_sub_ps(a, b), 0xF0);
    }
    for (size_t half = 1; half < 16; half *= 2)
        for (size_t base = 0; base < 16; base += 2 * half)
            for (size_t i = base; i < base + half; i++) {
                __m256 a = v[i], b = v[i + half];
                v[i] = _mm256_add_ps(a, b);
                v[i + half] = _mm256_sub_ps(a, b);
            }
    for (size_t i = 0; i < 16; i++) _mm256_storeu_ps(x + 8 * i, v[i]);
}
#endif

INLINE void rotate(float *vector, float *scratch, const float *signs, const uint32_t *places, size_t padded, void (*hadamard)(float *)) {
    // Two transforms of 128 each lengthen by sqrt(128): together by 128, a power of two.
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < padded; i++) scratch[i] = vector[i] * signs[i];
        for (size_t base = 0; base < padded; base += 128) hadamard(scratch + base);
        for (size_t i = 0; i < padded; i++) vector[i] = scratch[places[i]];
        signs += padded;
        places += padded;
    }
    for (size_t i = 0; i < padded; i++) vector[i] *= 1.0f / 128.0f;
}

#if defined(__x86_64__)
AVX2 static void rotate_avx2(float *vector, float *scratch, const float *signs, const uint32_t *places, size_t padded) {
    rotate(vector, scratch, signs, places, padded, hadamard128_avx2);
}
#endif

void ck_codes_rotate(float *vector, float *scratch, const float *signs, const uint32_t *places, size_t padded) {
#if defined(__x86_64__)
    if (has_avx2()) {
        rotate_avx2(vector, scratch, signs, places, padded);
        return;
    }
#endif
    rotate(vector, scratch, signs, places, padded, hadamard128);
}

// MARK: Encoding

INLINE float largest(const float *x, size_t count) {
    float most[16] = {0};
    for (size_t i = 0; i < count; i += 16)
        for (size_t j = 0; j < 16; j++) {
            float a = fabsf(x[i + j]);
            most[j] = a > most[j] ? a : most[j];
        }
    for (size_t j = 1; j < 16; j++)
        if (most[j] > most[0]) most[0] = most[j];
    return most[0];
}

static inline int level_of(float value, float inverse_step, float offset, int top) {
    // offset + 0.5 and truncation: to the nearest level, and the same on every machine.
    float shifted = value * inverse_step;
    shifted = shifted + (offset + 0.5f);
    int level = (int)floorf(shifted);
    return level < 0 ? 0 : level > top ? top : level;
}

float ck_codes_encode(int bits, const float *rotated, size_t padded, uint8_t *code) {
    float most = largest(rotated, padded);
    memset(code, bits == 4 ? 0x88 : 128, ck_codes_bytes(bits, padded));
    if (!(most > 0)) return 0;
    float offset = bits == 4 ? 7.5f : 128.0f;
    int top = bits == 4 ? 15 : 255;
    float best_step = most / (bits == 4 ? 7.5f : 127.0f);
    if (bits == 4) {
        // Sixteen levels are few: clipping the largest values pays. Of ten steps the one whose levels point best along x.
        double best = -1;
        for (int trial = 0; trial < 10; trial++) {
            float step = most / 7.5f * (1.0f - 0.06f * (float)trial), inverse = 1.0f / step;
            double product = 0, square = 0;
            for (size_t i = 0; i < padded; i++) {
                double l = (double)level_of(rotated[i], inverse, offset, top) - 7.5;
                double p = l * (double)rotated[i], s = l * l;
                product += p;
                square += s;
            }
            if (product > 0 && product * product > best * square) {
                best = product * product / square;
                best_step = step;
            }
        }
    }
    float inverse = 1.0f / best_step;
    double product = 0, length = 0;
    for (size_t i = 0; i < padded; i++) {
        int l = level_of(rotated[i], inverse, offset, top);
        double p = ((double)l - (double)offset) * (double)rotated[i], s = (double)rotated[i] * (double)rotated[i];
        product += p;
        length += s;
        if (bits == 8) {
            code[i] = (uint8_t)l;
        } else {
            uint8_t *byte = code + (i / 128) * 64 + i % 64;
            *byte = (i % 128) < 64 ? (uint8_t)((*byte & 0xF0) | l) : (uint8_t)((*byte & 0x0F) | l << 4);
        }
    }
    return product > 0 ? (float)(length / product) : 0;
}

INLINE float query_of(const float *rotated, size_t padded, int8_t *query, int32_t *sum) {
    float most = largest(rotated, padded);
    *sum = 0;
    memset(query, 0, padded);
    if (!(most > 0)) return 0;
    float inverse = 127.0f / most;
    int32_t total = 0;
    for (size_t i = 0; i < padded; i++) {
        float scaled = rotated[i] * inverse;
        int l = (int)floorf(scaled + 0.5f);
        l = l > 127 ? 127 : l < -127 ? -127 : l;
        query[i] = (int8_t)l;
        total += l;
    }
    *sum = total;
    return most / 127.0f;
}

#if defined(__x86_64__)
AVX2 static float query_avx2(const float *rotated, size_t padded, int8_t *query, int32_t *sum) {
    return query_of(rotated, padded, query, sum);
}
#endif

float ck_codes_query(const float *rotated, size_t padded, int8_t *query, int32_t *sum) {
#if defined(__x86_64__)
    if (has_avx2()) return query_avx2(rotated, padded, query, sum);
#endif
    return query_of(rotated, padded, query, sum);
}

void ck_codes_expand(int bits, const uint8_t *code, size_t padded, int8_t *query, int32_t *sum) {
    int32_t total = 0;
    if (bits == 8) {
        for (size_t i = 0; i < padded; i++) {
            int l = (int)code[i] - 128;
            query[i] = (int8_t)l;
            total += l;
        }
    } else {
        for (size_t base = 0; base < padded; base += 128, code += 64)
            for (size_t j = 0; j < 64; j++) {
                int low = 2 * (code[j] & 15) - 15, high = 2 * (code[j] >> 4) - 15;
                query[base + j] = (int8_t)low;
                query[base + j + 64] = (int8_t)high;
                total += low + high;
            }
    }
    *sum = total;
}

// MARK: Products

static int32_t product_portable(int bits, const int8_t *query, size_t padded, const uint8_t *code) {
    int32_t sum = 0;
    if (bits == 8) {
        for (size_t i = 0; i < padded; i++) sum += (int32_t)query[i] * code[i];
    } else {
        for (size_t base = 0; base < padded; base += 128, code += 64)
            for (size_t j = 0; j < 64; j++) sum += query[base + j] * (code[j] & 15) + query[base + j + 64] * (code[j] >> 4);
    }
    return sum;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static inline int32_t sum_avx2(__m256i v) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1));
    return _mm_cvtsi128_si32(s);
}

__attribute__((target("avx2"))) static int32_t product_avx2(int bits, const int8_t *query, size_t padded, const uint8_t *code) {
    __m256i sum = _mm256_setzero_si256(), ones = _mm256_set1_epi16(1);
    if (bits == 8) {
        // Bytes of 255 times 127 twice over do not fit the 16 bits of maddubs: widen first.
        for (size_t i = 0; i < padded; i += 16) {
            __m256i c = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(code + i)));
            __m256i q = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(query + i)));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(c, q));
        }
    } else {
        __m256i mask = _mm256_set1_epi8(15);
        for (size_t base = 0; base < padded; base += 128, code += 64)
            for (size_t j = 0; j < 64; j += 32) {
                __m256i c = _mm256_loadu_si256((const __m256i *)(code + j));
                __m256i low = _mm256_and_si256(c, mask), high = _mm256_and_si256(_mm256_srli_epi16(c, 4), mask);
                __m256i a = _mm256_maddubs_epi16(low, _mm256_loadu_si256((const __m256i *)(query + base + j)));
                __m256i b = _mm256_maddubs_epi16(high, _mm256_loadu_si256((const __m256i *)(query + base + j + 64)));
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_add_epi16(a, b), ones));
            }
    }
    return sum_avx2(sum);
}

// 384 dimensions, those of the built-in model, of 4 bits: unrolled, the query in registers or in the first cache. Sums of two products are at most
// 2 * 15 * 127; those of four registers add up in 16 bits, and are widened once. Four codes share the last additions.
__attribute__((target("avx2"))) static inline __m256i pair_avx2(const __m256i *code, const __m256i *low, const __m256i *high, __m256i mask) {
    __m256i c = _mm256_loadu_si256(code);
    __m256i a = _mm256_maddubs_epi16(_mm256_and_si256(c, mask), _mm256_loadu_si256(low));
    return _mm256_add_epi16(a, _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(c, 4), mask), _mm256_loadu_si256(high)));
}

__attribute__((target("avx2"))) static inline __m256i sums_avx2_384(const int8_t *query, const uint8_t *code) {
    const __m256i mask = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1), *q = (const __m256i *)query, *c = (const __m256i *)code;
    __m256i sum = _mm256_setzero_si256();
    for (int i = 0; i < 3; i++, q += 4, c += 2) {
        __m256i four = _mm256_add_epi16(pair_avx2(c, q, q + 2, mask), pair_avx2(c + 1, q + 1, q + 3, mask));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(four, ones));
    }
    return sum;
}

__attribute__((target("avx2"))) static void products_avx2_384(const int8_t *query, const uint8_t *const *codes, size_t count, int32_t *out) {
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m256i a = _mm256_hadd_epi32(sums_avx2_384(query, codes[i]), sums_avx2_384(query, codes[i + 1]));
        __m256i b = _mm256_hadd_epi32(sums_avx2_384(query, codes[i + 2]), sums_avx2_384(query, codes[i + 3]));
        __m256i sum = _mm256_hadd_epi32(a, b);
        _mm_storeu_si128((__m128i *)(out + i), _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1)));
    }
    for (; i < count; i++) out[i] = product_avx2(4, query, 384, codes[i]);
}

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))

VNNI static inline int32_t product_vnni(int bits, const int8_t *query, size_t padded, const uint8_t *code) {
    __m512i a = _mm512_setzero_si512(), b = a;
    if (bits == 8) {
        for (size_t i = 0; i < padded; i += 128) {
            a = _mm512_dpbusd_epi32(a, _mm512_loadu_si512(code + i), _mm512_loadu_si512(query + i));
            b = _mm512_dpbusd_epi32(b, _mm512_loadu_si512(code + i + 64), _mm512_loadu_si512(query + i + 64));
        }
    } else {
        __m512i mask = _mm512_set1_epi8(15);
        for (size_t base = 0; base < padded; base += 128, code += 64) {
            __m512i c = _mm512_loadu_si512(code);
            a = _mm512_dpbusd_epi32(a, _mm512_and_si512(c, mask), _mm512_loadu_si512(query + base));
            b = _mm512_dpbusd_epi32(b, _mm512_and_si512(_mm512_srli_epi16(c, 4), mask), _mm512_loadu_si512(query + base + 64));
        }
    }
    return _mm512_reduce_add_epi32(_mm512_add_epi32(a, b));
}

// 384 dimensions, those of the built-in model: the loop unrolled, the query in registers.
VNNI static void products_vnni_384(int bits, const int8_t *query, const uint8_t *const *codes, size_t count, int32_t *out) {
    __m512i q0 = _mm512_loadu_si512(query), q1 = _mm512_loadu_si512(query + 64), q2 = _mm512_loadu_si512(query + 128);
    __m512i q3 = _mm512_loadu_si512(query + 192), q4 = _mm512_loadu_si512(query + 256), q5 = _mm512_loadu_si512(query + 320);
    __m512i mask = _mm512_set1_epi8(15), zero = _mm512_setzero_si512();
    for (size_t i = 0; i < count; i++) {
        const uint8_t *code = codes[i];
        // From the second-level cache, where the caller had it brought, to the first.
        const uint8_t *ahead = codes[i + 4 < count ? i + 4 : i];
        for (size_t at = 0; at < (bits == 4 ? 192 : 384); at += 64) __builtin_prefetch(ahead + at, 0, 3);
        __m512i a, b, c;
        if (bits == 8) {
            a = _mm512_dpbusd_epi32(zero, _mm512_loadu_si512(code), q0);
            b = _mm512_dpbusd_epi32(zero, _mm512_loadu_si512(code + 64), q1);
            c = _mm512_dpbusd_epi32(zero, _mm512_loadu_si512(code + 128), q2);
            a = _mm512_dpbusd_epi32(a, _mm512_loadu_si512(code + 192), q3);
            b = _mm512_dpbusd_epi32(b, _mm512_loadu_si512(code + 256), q4);
            c = _mm512_dpbusd_epi32(c, _mm512_loadu_si512(code + 320), q5);
        } else {
            __m512i x = _mm512_loadu_si512(code), y = _mm512_loadu_si512(code + 64), z = _mm512_loadu_si512(code + 128);
            a = _mm512_dpbusd_epi32(zero, _mm512_and_si512(x, mask), q0);
            b = _mm512_dpbusd_epi32(zero, _mm512_and_si512(y, mask), q2);
            c = _mm512_dpbusd_epi32(zero, _mm512_and_si512(z, mask), q4);
            a = _mm512_dpbusd_epi32(a, _mm512_and_si512(_mm512_srli_epi16(x, 4), mask), q1);
            b = _mm512_dpbusd_epi32(b, _mm512_and_si512(_mm512_srli_epi16(y, 4), mask), q3);
            c = _mm512_dpbusd_epi32(c, _mm512_and_si512(_mm512_srli_epi16(z, 4), mask), q5);
        }
        out[i] = _mm512_reduce_add_epi32(_mm512_add_epi32(_mm512_add_epi32(a, b), c));
    }
}

VNNI static void products_vnni(int bits, const int8_t *query, size_t padded, const uint8_t *const *codes, size_t count, int32_t *out) {
    for (size_t i = 0; i < count; i++) out[i] = product_vnni(bits, query, padded, codes[i]);
}
#endif

void ck_codes_products(int level, int bits, const int8_t *query, size_t padded, const uint8_t *const *codes, size_t count,
                       int32_t *out) {
#if defined(__x86_64__)
    if (level == CK_CODES_VNNI) {
        if (padded != 384)
            products_vnni(bits, query, padded, codes, count, out);
        else if (bits == 4)
            products_vnni_384(4, query, codes, count, out);
        else
            products_vnni_384(8, query, codes, count, out);
        return;
    }
    if (level == CK_CODES_AVX2 && bits == 4 && padded == 384) {
        products_avx2_384(query, codes, count, out);
        return;
    }
    if (level == CK_CODES_AVX2) {
        for (size_t i = 0; i < count; i++) out[i] = product_avx2(bits, query, padded, codes[i]);
        return;
    }
#endif
    (void)level;
    for (size_t i = 0; i < count; i++) out[i] = product_portable(bits, query, padded, codes[i]);
}
