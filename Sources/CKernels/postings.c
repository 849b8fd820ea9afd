#include "CKernels.h"
#include "choice.h"
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

static inline int32_t share(float weight, uint32_t count, float norm) {
    const float f = (float)(int32_t)count;
    const float sum = f + norm;
    const float ratio = f / sum;
    return (int32_t)lrintf(weight * ratio);
}

static inline float norm_of(const ck_scale *scale, uint32_t stored) {
    const float product = scale->slope * (float)(int32_t)(stored == 0 ? 0 : stored - 1);
    return scale->base + product;
}

static void table_portable(const ck_scale *scale, int32_t *table) {
    for (uint32_t f = 1; f <= CK_TABLE_COUNTS; f++)
        for (uint32_t stored = 0; stored < CK_TABLE_LENGTHS; stored++) *table++ = share(scale->weight, f, norm_of(scale, stored));
}

// Out of line: lengths that the table does not have.
__attribute__((noinline))
static int32_t long_share(const ck_scale *scale, const ck_window *window, uint32_t place, uint32_t count) {
    const uint32_t stored = window->wide != NULL ? window->wide[place] : window->lengths[place];
    return share(scale->weight, count, norm_of(scale, stored));
}

// Plain loops: a table look-up and an addition at a place that the loop before it did not have. With gathers, divisions and
// scatters in vector registers they took twice as long on a Zen 4.
void ck_add_ones(const ck_scale *scale, const int32_t *table, const ck_window *window, const uint32_t *nodes, size_t count, int32_t *sums) {
    const uint16_t *lengths = window->lengths;
    const uint32_t start = window->start;
    for (size_t i = 0; i < count; i++) {
        const uint32_t place = (nodes[i] - start) & (CK_POSTINGS_WINDOW - 1), stored = lengths[place];
        const int32_t value = __builtin_expect(stored < CK_TABLE_LENGTHS, 1) ? table[stored] : long_share(scale, window, place, 1);
        sums[place] = (int32_t)((uint32_t)sums[place] + (uint32_t)value);
    }
}

void ck_add_counts(const ck_scale *scale, const int32_t *table, const ck_window *window, const uint32_t *nodes, const uint32_t *counts,
                   size_t count, int32_t *sums) {
    const uint16_t *lengths = window->lengths;
    const uint32_t start = window->start;
    for (size_t i = 0; i < count; i++) {
        const uint32_t place = (nodes[i] - start) & (CK_POSTINGS_WINDOW - 1), stored = lengths[place], f = counts[i] - 1;
        const int32_t value = __builtin_expect(stored < CK_TABLE_LENGTHS && f < CK_TABLE_COUNTS, 1)
            ? table[f * CK_TABLE_LENGTHS + stored] : long_share(scale, window, place, counts[i]);
        sums[place] = (int32_t)((uint32_t)sums[place] + (uint32_t)value);
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2")))
static size_t widen_avx2(const uint8_t *lengths, size_t count, uint16_t *out) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16)
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(lengths + i))));
    return i;
}
#endif

void ck_widen_lengths(int level, const uint8_t *lengths, unsigned width, size_t count, uint16_t *out, uint32_t *wide) {
    if (width == 1) {
        size_t i = 0;
#if defined(__x86_64__)
        if (level > 0) i = widen_avx2(lengths, count, out);
#endif
        for (; i < count; i++) out[i] = lengths[i];
    } else if (width == 2) {
        for (size_t i = 0; i < count; i++) out[i] = (uint16_t)(lengths[2 * i] | lengths[2 * i + 1] << 8);
    } else {
        for (size_t i = 0; i < count; i++) {
            const uint8_t *at = lengths + 4 * i;
            wide[i] = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
            out[i] = wide[i] > UINT16_MAX ? UINT16_MAX : (uint16_t)wide[i];
        }
    }
}

static size_t below_portable(const uint32_t *nodes, size_t count, uint32_t node) {
    size_t low = 0, high = count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (nodes[middle] < node) low = middle + 1;
        else high = middle;
    }
    return low;
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
static void table_avx2(const ck_scale *scale, int32_t *table) {
    const __m256 base = _mm256_set1_ps(scale->base), slope = _mm256_set1_ps(scale->slope), weight = _mm256_set1_ps(scale->weight);
    const __m256i step = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0), one = _mm256_set1_epi32(1);
    for (int stored = 0; stored < CK_TABLE_LENGTHS; stored += 8) {
        const __m256i length = _mm256_sub_epi32(_mm256_max_epi32(_mm256_add_epi32(_mm256_set1_epi32(stored), step), one), one);
        const __m256 norm = _mm256_add_ps(base, _mm256_mul_ps(slope, _mm256_cvtepi32_ps(length)));
        for (int f = 1; f <= CK_TABLE_COUNTS; f++) {
            const __m256 count = _mm256_set1_ps((float)f);
            const __m256 shares = _mm256_mul_ps(weight, _mm256_div_ps(count, _mm256_add_ps(count, norm)));
            _mm256_storeu_si256((__m256i *)(table + (f - 1) * CK_TABLE_LENGTHS + stored), _mm256_cvtps_epi32(shares));
        }
    }
}

__attribute__((target("avx2")))
static size_t below_avx2(const uint32_t *nodes, size_t count, uint32_t node) {
    const __m256i top = _mm256_set1_epi32(INT32_MIN), wanted = _mm256_xor_si256(_mm256_set1_epi32((int)node), top);
    size_t below = 0, i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m256i x = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(nodes + i)), top);
        below += (size_t)__builtin_popcount((uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(wanted, x))));
    }
    for (; i < count; i++) below += nodes[i] < node;
    return below;
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

TARGET512 static void table_avx512(const ck_scale *scale, int32_t *table) {
    const __m512 base = _mm512_set1_ps(scale->base), slope = _mm512_set1_ps(scale->slope), weight = _mm512_set1_ps(scale->weight);
    const __m512i step = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), one = _mm512_set1_epi32(1);
    for (int stored = 0; stored < CK_TABLE_LENGTHS; stored += 16) {
        const __m512i length = _mm512_sub_epi32(_mm512_max_epi32(_mm512_add_epi32(_mm512_set1_epi32(stored), step), one), one);
        const __m512 norm = _mm512_add_ps(base, _mm512_mul_ps(slope, _mm512_cvtepi32_ps(length)));
        for (int f = 1; f <= CK_TABLE_COUNTS; f++) {
            const __m512 count = _mm512_set1_ps((float)f);
            const __m512 shares = _mm512_mul_ps(weight, _mm512_div_ps(count, _mm512_add_ps(count, norm)));
            _mm512_storeu_si512(table + (f - 1) * CK_TABLE_LENGTHS + stored, _mm512_cvtps_epi32(shares));
        }
    }
}

TARGET512 static size_t below_avx512(const uint32_t *nodes, size_t count, uint32_t node) {
    const __m512i wanted = _mm512_set1_epi32((int)node);
    size_t below = 0, i = 0;
    for (; i + 16 <= count; i += 16) below += (size_t)__builtin_popcount(_mm512_cmplt_epu32_mask(_mm512_loadu_si512(nodes + i), wanted));
    const __mmask16 rest = (__mmask16)((1u << (count - i)) - 1);
    return below + (size_t)__builtin_popcount(_mm512_mask_cmplt_epu32_mask(rest, _mm512_maskz_loadu_epi32(rest, nodes + i), wanted));
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
    if (ck_most >= CK_SIMD_AVX512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi"))
        return 2;
    if (ck_most >= CK_SIMD_AVX2 && __builtin_cpu_supports("avx2")) return 1;
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

void ck_share_table(int level, const ck_scale *scale, int32_t *table) {
#if defined(__x86_64__)
    if (level > 1) {
        table_avx512(scale, table);
        return;
    }
    if (level > 0) {
        table_avx2(scale, table);
        return;
    }
#endif
    table_portable(scale, table);
}

size_t ck_count_below(int level, const uint32_t *nodes, size_t count, uint32_t node) {
#if defined(__x86_64__)
    if (level > 1) return below_avx512(nodes, count, node);
    if (level > 0) return below_avx2(nodes, count, node);
#endif
    return below_portable(nodes, count, node);
}

size_t ck_take_over(int level, int32_t *sums, int32_t limit, uint32_t *places, int32_t *taken) {
#if defined(__x86_64__)
    if (level > 1) return take_avx512(sums, limit, places, taken);
    if (level > 0) return take_avx2(sums, limit, places, taken);
#endif
    return take_portable(sums, limit, places, taken);
}
