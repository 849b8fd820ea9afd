#include "CKernels.h"
#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

// A share is computed operation by operation: a fused multiply-add would give other bits than Swift's.
#pragma STDC FP_CONTRACT OFF

// Wider values go the portable way on every level: four bytes from any bit on hold 25 bits for certain.
#define FAST_BITS 25
// Bytes of the widest fast block, and what a load of 64 bytes may run over it.
#define FAST_BYTES (CK_POSTINGS_MAX * FAST_BITS / 8)
#define LOAD_BYTES 64

void ck_pack(const uint32_t *values, size_t count, unsigned bits, uint8_t *out) {
    uint64_t pending = 0;
    unsigned filled = 0;
    for (size_t i = 0; i < count; i++) {
        pending |= (uint64_t)values[i] << filled;
        filled += bits;
        while (filled >= 8) {
            *out++ = (uint8_t)pending;
            pending >>= 8;
            filled -= 8;
        }
    }
    if (filled > 0) *out = (uint8_t)pending;
}

static inline uint32_t value_at(const uint8_t *bytes, size_t available, unsigned bits, size_t index) {
    const size_t bit = index * bits, byte = bit >> 3;
    uint64_t word = 0;
    memcpy(&word, bytes + byte, available - byte < 8 ? available - byte : 8);
    return (uint32_t)(word >> (bit & 7)) & (uint32_t)((1ull << bits) - 1);
}

static void unpack_portable(const uint8_t *bytes, size_t available, unsigned bits, size_t count, uint32_t *out) {
    for (size_t i = 0; i < count; i++) out[i] = value_at(bytes, available, bits, i);
}

static int nodes_portable(const uint8_t *bytes, size_t available, unsigned bits, size_t count, uint32_t first, uint32_t last, uint32_t *out) {
    uint64_t node = (uint64_t)first;
    for (size_t i = 0; i < count; i++) {
        node += (uint64_t)(bits == 0 ? 0 : value_at(bytes, available, bits, i)) + (i == 0 ? 0 : 1);
        if (node > UINT32_MAX) return 0;
        out[i] = (uint32_t)node;
    }
    return count > 0 && out[0] == first && out[count - 1] == last;
}

static void norms_portable(const uint8_t *lengths, unsigned width, size_t from, size_t count, float base, float slope, float *norms) {
    for (size_t i = from; i < count; i++) {
        uint32_t length = 0;
        for (unsigned k = 0; k < width; k++) length |= (uint32_t)lengths[i * width + k] << (8 * k);
        const float product = slope * (float)(int32_t)(length == 0 ? 0 : length - 1);
        norms[i] = base + product;
    }
}

static inline int32_t share(float weight, uint32_t count, float norm) {
    const float f = (float)(int32_t)count;
    const float sum = f + norm;
    const float ratio = f / sum;
    return (int32_t)lrintf(weight * ratio);
}

static void add_portable(const uint32_t *nodes, const uint32_t *counts, size_t count, uint32_t start, const float *norms, float weight,
                         int32_t *sums) {
    for (size_t i = 0; i < count; i++) {
        const uint32_t place = (nodes[i] - start) & (CK_POSTINGS_WINDOW - 1);
        sums[place] = (int32_t)((uint32_t)sums[place] + (uint32_t)share(weight, counts[i], norms[place]));
    }
}

static size_t take_portable(int32_t *sums, int32_t limit, uint32_t *places, int32_t *taken) {
    size_t found = 0;
    for (uint32_t i = 0; i < CK_POSTINGS_WINDOW; i++) {
        if (sums[i] > limit) {
            places[found] = i;
            taken[found++] = sums[i];
        }
        sums[i] = 0;
    }
    return found;
}

#if defined(__x86_64__)
// Which bytes hold each value, and how far they are to be shifted: for the two halves of eight values, and for sixteen.
static uint8_t pick8[FAST_BITS + 1][32] __attribute__((aligned(64)));
static uint32_t shift8[FAST_BITS + 1][8] __attribute__((aligned(64)));
static uint8_t pick16[FAST_BITS + 1][64] __attribute__((aligned(64)));
static uint32_t shift16[FAST_BITS + 1][16] __attribute__((aligned(64)));

__attribute__((constructor)) static void make_tables(void) {
    for (unsigned bits = 1; bits <= FAST_BITS; bits++) {
        for (unsigned i = 0; i < 16; i++) {
            const unsigned bit = i * bits;
            shift16[bits][i] = bit & 7;
            for (unsigned k = 0; k < 4; k++) pick16[bits][4 * i + k] = (uint8_t)((bit >> 3) + k);
        }
        for (unsigned i = 0; i < 8; i++) {
            const unsigned bit = i < 4 ? i * bits : ((4 * bits) & 7) + (i - 4) * bits;
            shift8[bits][i] = bit & 7;
            for (unsigned k = 0; k < 4; k++) pick8[bits][4 * i + k] = (uint8_t)((bit >> 3) + k);
        }
    }
}

__attribute__((target("avx2")))
static inline __m256i load8(const uint8_t *bytes, unsigned bits, __m256i pick, __m256i shift, __m256i mask) {
    const __m128i low = _mm_loadu_si128((const __m128i *)bytes);
    const __m128i high = _mm_loadu_si128((const __m128i *)(bytes + ((4 * bits) >> 3)));
    const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
    return _mm256_and_si256(_mm256_srlv_epi32(_mm256_shuffle_epi8(both, pick), shift), mask);
}

__attribute__((target("avx2")))
static void counts_avx2(const uint8_t *bytes, unsigned bits, size_t count, uint32_t *out) {
    const __m256i pick = _mm256_load_si256((const __m256i *)pick8[bits]), shift = _mm256_load_si256((const __m256i *)shift8[bits]);
    const __m256i mask = _mm256_set1_epi32((int)((1u << bits) - 1)), one = _mm256_set1_epi32(1);
    for (size_t i = 0; i < count; i += 8, bytes += bits)
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_add_epi32(load8(bytes, bits, pick, shift, mask), one));
}

__attribute__((target("avx2")))
static void nodes_avx2(const uint8_t *bytes, unsigned bits, size_t count, uint32_t first, uint32_t *out) {
    const __m256i pick = _mm256_load_si256((const __m256i *)pick8[bits]), shift = _mm256_load_si256((const __m256i *)shift8[bits]);
    const __m256i mask = _mm256_set1_epi32((int)((1u << bits) - 1)), one = _mm256_set1_epi32(1);
    __m256i carry = _mm256_set1_epi32((int)(first - 1));
    for (size_t i = 0; i < count; i += 8, bytes += bits) {
        __m256i x = _mm256_add_epi32(load8(bytes, bits, pick, shift, mask), one);
        x = _mm256_add_epi32(x, _mm256_slli_si256(x, 4));
        x = _mm256_add_epi32(x, _mm256_slli_si256(x, 8));
        const __m256i low = _mm256_permutevar8x32_epi32(x, _mm256_set1_epi32(3));
        x = _mm256_add_epi32(x, _mm256_blend_epi32(_mm256_setzero_si256(), low, 0xF0));
        x = _mm256_add_epi32(x, carry);
        _mm256_storeu_si256((__m256i *)(out + i), x);
        carry = _mm256_permutevar8x32_epi32(x, _mm256_set1_epi32(7));
    }
}

__attribute__((target("avx2")))
static void norms_avx2(const uint8_t *lengths, unsigned width, size_t count, float base, float slope, float *norms) {
    const __m256 b = _mm256_set1_ps(base), s = _mm256_set1_ps(slope);
    const __m256i one = _mm256_set1_epi32(1);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256i x;
        if (width == 1) x = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(lengths + i)));
        else if (width == 2) x = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(lengths + 2 * i)));
        else x = _mm256_loadu_si256((const __m256i *)(lengths + 4 * i));
        x = _mm256_sub_epi32(_mm256_max_epu32(x, one), one);
        _mm256_storeu_ps(norms + i, _mm256_add_ps(b, _mm256_mul_ps(s, _mm256_cvtepi32_ps(x))));
    }
    norms_portable(lengths, width, i, count, base, slope, norms);
}

__attribute__((target("avx2")))
static void add_avx2(const uint32_t *nodes, const uint32_t *counts, size_t count, uint32_t start, const float *norms, float weight,
                     int32_t *sums) {
    const __m256i base = _mm256_set1_epi32((int)start), window = _mm256_set1_epi32(CK_POSTINGS_WINDOW - 1);
    const __m256 w = _mm256_set1_ps(weight);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        uint32_t place[8];
        int32_t value[8];
        const __m256i at = _mm256_and_si256(_mm256_sub_epi32(_mm256_loadu_si256((const __m256i *)(nodes + i)), base), window);
        _mm256_storeu_si256((__m256i *)place, at);
        const __m256 f = _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(counts + i)));
        const __m256 norm = _mm256_i32gather_ps(norms, at, 4);
        const __m256 shares = _mm256_mul_ps(w, _mm256_div_ps(f, _mm256_add_ps(f, norm)));
        _mm256_storeu_si256((__m256i *)value, _mm256_cvtps_epi32(shares));
        for (int k = 0; k < 8; k++) sums[place[k]] = (int32_t)((uint32_t)sums[place[k]] + (uint32_t)value[k]);
    }
    add_portable(nodes + i, counts + i, count - i, start, norms, weight, sums);
}

__attribute__((target("avx2")))
static size_t take_avx2(int32_t *sums, int32_t limit, uint32_t *places, int32_t *taken) {
    const __m256i bound = _mm256_set1_epi32(limit), zero = _mm256_setzero_si256();
    size_t found = 0;
    for (uint32_t i = 0; i < CK_POSTINGS_WINDOW; i += 8) {
        const __m256i x = _mm256_loadu_si256((const __m256i *)(sums + i));
        uint32_t over = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(x, bound)));
        for (; over != 0; over &= over - 1) {
            const uint32_t place = i + (uint32_t)__builtin_ctz(over);
            places[found] = place;
            taken[found++] = sums[place];
        }
        _mm256_storeu_si256((__m256i *)(sums + i), zero);
    }
    return found;
}

#define TARGET512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi")))

TARGET512 static inline __m512i load16(const uint8_t *bytes, __m512i pick, __m512i shift, __m512i mask) {
    return _mm512_and_si512(_mm512_srlv_epi32(_mm512_permutexvar_epi8(pick, _mm512_loadu_si512(bytes)), shift), mask);
}

TARGET512 static void counts_avx512(const uint8_t *bytes, unsigned bits, size_t count, uint32_t *out) {
    const __m512i pick = _mm512_load_si512(pick16[bits]), shift = _mm512_load_si512(shift16[bits]);
    const __m512i mask = _mm512_set1_epi32((int)((1u << bits) - 1)), one = _mm512_set1_epi32(1);
    for (size_t i = 0; i < count; i += 16, bytes += 2 * bits)
        _mm512_storeu_si512(out + i, _mm512_add_epi32(load16(bytes, pick, shift, mask), one));
}

TARGET512 static void nodes_avx512(const uint8_t *bytes, unsigned bits, size_t count, uint32_t first, uint32_t *out) {
    const __m512i pick = _mm512_load_si512(pick16[bits]), shift = _mm512_load_si512(shift16[bits]);
    const __m512i mask = _mm512_set1_epi32((int)((1u << bits) - 1)), one = _mm512_set1_epi32(1), zero = _mm512_setzero_si512();
    __m512i carry = _mm512_set1_epi32((int)(first - 1));
    for (size_t i = 0; i < count; i += 16, bytes += 2 * bits) {
        __m512i x = _mm512_add_epi32(load16(bytes, pick, shift, mask), one);
        x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 15));
        x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 14));
        x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 12));
        x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, zero, 8));
        x = _mm512_add_epi32(x, carry);
        _mm512_storeu_si512(out + i, x);
        carry = _mm512_permutexvar_epi32(_mm512_set1_epi32(15), x);
    }
}

TARGET512 static void norms_avx512(const uint8_t *lengths, unsigned width, size_t count, float base, float slope, float *norms) {
    const __m512 b = _mm512_set1_ps(base), s = _mm512_set1_ps(slope);
    const __m512i one = _mm512_set1_epi32(1);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m512i x;
        if (width == 1) x = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(lengths + i)));
        else if (width == 2) x = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(lengths + 2 * i)));
        else x = _mm512_loadu_si512(lengths + 4 * i);
        x = _mm512_sub_epi32(_mm512_max_epu32(x, one), one);
        _mm512_storeu_ps(norms + i, _mm512_add_ps(b, _mm512_mul_ps(s, _mm512_cvtepi32_ps(x))));
    }
    norms_portable(lengths, width, i, count, base, slope, norms);
}

TARGET512 static void add_avx512(const uint32_t *nodes, const uint32_t *counts, size_t count, uint32_t start, const float *norms, float weight,
                                 int32_t *sums) {
    const __m512i base = _mm512_set1_epi32((int)start), window = _mm512_set1_epi32(CK_POSTINGS_WINDOW - 1);
    const __m512 w = _mm512_set1_ps(weight);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        uint32_t place[16];
        int32_t value[16];
        const __m512i at = _mm512_and_si512(_mm512_sub_epi32(_mm512_loadu_si512(nodes + i), base), window);
        _mm512_storeu_si512(place, at);
        const __m512 f = _mm512_cvtepi32_ps(_mm512_loadu_si512(counts + i));
        const __m512 norm = _mm512_i32gather_ps(at, norms, 4);
        const __m512 shares = _mm512_mul_ps(w, _mm512_div_ps(f, _mm512_add_ps(f, norm)));
        _mm512_storeu_si512(value, _mm512_cvtps_epi32(shares));
        for (int k = 0; k < 16; k++) sums[place[k]] = (int32_t)((uint32_t)sums[place[k]] + (uint32_t)value[k]);
    }
    add_portable(nodes + i, counts + i, count - i, start, norms, weight, sums);
}

TARGET512 static size_t take_avx512(int32_t *sums, int32_t limit, uint32_t *places, int32_t *taken) {
    const __m512i bound = _mm512_set1_epi32(limit), zero = _mm512_setzero_si512();
    size_t found = 0;
    for (uint32_t i = 0; i < CK_POSTINGS_WINDOW; i += 16) {
        const __m512i x = _mm512_loadu_si512(sums + i);
        uint32_t over = _mm512_cmpgt_epi32_mask(x, bound);
        for (; over != 0; over &= over - 1) {
            const uint32_t place = i + (uint32_t)__builtin_ctz(over);
            places[found] = place;
            taken[found++] = sums[place];
        }
        _mm512_storeu_si512(sums + i, zero);
    }
    return found;
}
#endif

int ck_postings_level(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512vbmi"))
        return 2;
    if (__builtin_cpu_supports("avx2")) return 1;
#endif
    return 0;
}

#if defined(__x86_64__)
// Wide loads read past the values: near the end of what may be read they get a copy.
static inline const uint8_t *padded(const uint8_t *bytes, size_t available, unsigned bits, size_t count, uint8_t *copy) {
    const size_t used = ck_packed_bytes(count, bits);
    if (available >= ck_packed_bytes(CK_POSTINGS_MAX, bits) + LOAD_BYTES) return bytes;
    memcpy(copy, bytes, used);
    return copy;
}
#endif

void ck_unpack_counts(int level, const uint8_t *bytes, size_t available, unsigned bits, size_t count, uint32_t *out) {
    if (bits == 0) {
        for (size_t i = 0; i < CK_POSTINGS_MAX; i++) out[i] = 1;
        return;
    }
#if defined(__x86_64__)
    if (level > 0 && bits <= FAST_BITS) {
        uint8_t copy[FAST_BYTES + LOAD_BYTES];
        const uint8_t *from = padded(bytes, available, bits, count, copy);
        if (level > 1) counts_avx512(from, bits, count, out);
        else counts_avx2(from, bits, count, out);
        return;
    }
#endif
    unpack_portable(bytes, available, bits, count, out);
    for (size_t i = 0; i < count; i++) out[i] += 1;
}

int ck_unpack_nodes(int level, const uint8_t *bytes, size_t available, unsigned bits, size_t count, uint32_t first, uint32_t last, uint32_t *out) {
#if defined(__x86_64__)
    // 127 * 2^25 < 2^32: with the right first and last number, none in between has run over.
    if (level > 0 && bits > 0 && bits <= FAST_BITS) {
        uint8_t copy[FAST_BYTES + LOAD_BYTES];
        const uint8_t *from = padded(bytes, available, bits, count, copy);
        if (level > 1) nodes_avx512(from, bits, count, first, out);
        else nodes_avx2(from, bits, count, first, out);
        return count > 0 && first <= last && out[0] == first && out[count - 1] == last;
    }
#endif
    return nodes_portable(bytes, available, bits, count, first, last, out);
}

void ck_norms(int level, const uint8_t *lengths, unsigned width, size_t count, float base, float slope, float *norms) {
#if defined(__x86_64__)
    if (level > 1) {
        norms_avx512(lengths, width, count, base, slope, norms);
        return;
    }
    if (level > 0) {
        norms_avx2(lengths, width, count, base, slope, norms);
        return;
    }
#endif
    norms_portable(lengths, width, 0, count, base, slope, norms);
}

void ck_add_shares(int level, const uint32_t *nodes, const uint32_t *counts, size_t count, uint32_t start, const float *norms,
                   float weight, int32_t *sums) {
#if defined(__x86_64__)
    if (level > 1) {
        add_avx512(nodes, counts, count, start, norms, weight, sums);
        return;
    }
    if (level > 0) {
        add_avx2(nodes, counts, count, start, norms, weight, sums);
        return;
    }
#endif
    add_portable(nodes, counts, count, start, norms, weight, sums);
}

size_t ck_take_over(int level, int32_t *sums, int32_t limit, uint32_t *places, int32_t *taken) {
#if defined(__x86_64__)
    if (level > 1) return take_avx512(sums, limit, places, taken);
    if (level > 0) return take_avx2(sums, limit, places, taken);
#endif
    return take_portable(sums, limit, places, taken);
}
