// The large products of a BERT encoder on bytes.
//
// A weight is a signed byte times a scale, an input an unsigned byte times a scale plus a low end, both per group of 128
// depths g, so that with integers W and A
//
//     sum_k w x  =  sum_g  scale_w[g] scale_a[g] (sum_k W A)  +  low_a[g] (scale_w[g] sum_k W)
//
// The first bracket is what the processor is fast at: AVX-512 VNNI multiplies 64 pairs of bytes and adds them by fours into 16 sums
// in one instruction. The second is known when the weights are packed. A group is 32 such steps, after which its
// integers are turned into floats and added up; four more instructions a register.
//
// Why groups: a hidden vector of MiniLM has a few columns twenty times as large as the others. With one scale a
// row they leave the others five bits; with one a group they spoil only their own (docs/decisions/0016).

#include "CKernels.h"
#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

void ck_encoder_pack_bytes(const float *w, size_t outputs, size_t depth, int8_t *packed, float *scales, float *sums,
                           size_t stride) {
    for (size_t n = 0; n < outputs; n++) {
        const float *row = w + n * depth;
        int8_t *to = packed + (n / 32 * depth) * 32 + n % 32 * 4;
        for (size_t begin = 0, g = 0; begin < depth; begin += CK_GROUP, g++) {
            const size_t end = depth - begin < CK_GROUP ? depth : begin + CK_GROUP;
            float highest = 0;
            for (size_t k = begin; k < end; k++) highest = fmaxf(highest, fabsf(row[k]));
            const float scale = highest > 0 ? highest / 127 : 1;
            int32_t sum = 0;
            for (size_t k = begin; k < end; k++) {
                const int8_t byte = (int8_t)lrintf(row[k] / scale);
                to[k / 4 * 128 + k % 4] = byte;
                sum += byte;
            }
            scales[g * stride + n] = scale;
            sums[g * stride + n] = scale * (float)sum;
        }
    }
}

static void project_portable(const uint8_t *a, const float *scales_a, const float *lows_a, const int8_t *w, const float *scales,
                             const float *sums, const float *bias, float *c, size_t rows, size_t outputs, size_t depth) {
    const size_t groups = (depth + CK_GROUP - 1) / CK_GROUP;
    for (size_t panel = 0; panel < outputs; panel += 32)
        for (size_t r = 0; r < rows; r++) {
            float *to = c + r * outputs + panel;
            memcpy(to, bias + panel, 32 * sizeof(float));
            for (size_t g = 0; g < groups; g++) {
                const size_t end = depth - g * CK_GROUP < CK_GROUP ? depth : (g + 1) * CK_GROUP;
                int32_t integers[32] = {0};
                for (size_t k = g * CK_GROUP; k < end; k += 4) {
                    const uint8_t *left = a + r * depth + k;
                    const int8_t *right = w + panel * depth + k * 32;
                    for (size_t n = 0; n < 32; n++)
                        integers[n] += left[0] * right[4 * n] + left[1] * right[4 * n + 1] + left[2] * right[4 * n + 2] +
                                       left[3] * right[4 * n + 3];
                }
                const float scale = scales_a[r * groups + g], low = lows_a[r * groups + g];
                for (size_t n = 0; n < 32; n++)
                    to[n] += (float)integers[n] * scales[g * outputs + panel + n] * scale + low * sums[g * outputs + panel + n];
            }
        }
}

#if defined(__x86_64__)
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")
// Bytes that the weights are asked for ahead of their use.
#define AHEAD 4096

typedef struct {
    const uint8_t *a;
    const float *scales_a, *lows_a;
    const int8_t *w;
    const float *scales, *sums, *bias;
    float *c;
    size_t outputs, depth, groups;
} Tile;

INLINE int32_t four(const uint8_t *bytes) {
    int32_t value;
    memcpy(&value, bytes, 4);
    return value;
}

// `rows` rows by 32 outputs: 12 registers of integers and 12 of floats at six rows.
#define VNNI __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512vnni,avx2,fma")))
VNNI INLINE void tile_vnni(const int rows, Tile t) {
    __m512 floats[6][2];
    const __m512 bias0 = _mm512_loadu_ps(t.bias), bias1 = _mm512_loadu_ps(t.bias + 16);
    UNROLL
    for (int r = 0; r < rows; r++) floats[r][0] = bias0, floats[r][1] = bias1;
    for (size_t g = 0; g < t.groups; g++) {
        const size_t steps = (t.depth - g * CK_GROUP < CK_GROUP ? t.depth - g * CK_GROUP : CK_GROUP) / 4;
        __m512i integers[6][2];
        UNROLL
        for (int r = 0; r < rows; r++) integers[r][0] = integers[r][1] = _mm512_setzero_si512();
        _Pragma("clang loop unroll(disable)")
        for (size_t k = 0; k < steps; k++, t.w += 128, t.a += 4) {
            __builtin_prefetch(t.w + AHEAD);
            __builtin_prefetch(t.w + AHEAD + 64);
            const __m512i w0 = _mm512_loadu_si512(t.w), w1 = _mm512_loadu_si512(t.w + 64);
            UNROLL
            for (int r = 0; r < rows; r++) {
                const __m512i left = _mm512_set1_epi32(four(t.a + r * t.depth));
                integers[r][0] = _mm512_dpbusd_epi32(integers[r][0], left, w0);
                integers[r][1] = _mm512_dpbusd_epi32(integers[r][1], left, w1);
            }
        }
        const __m512 scale0 = _mm512_loadu_ps(t.scales + g * t.outputs), scale1 = _mm512_loadu_ps(t.scales + g * t.outputs + 16);
        const __m512 sum0 = _mm512_loadu_ps(t.sums + g * t.outputs), sum1 = _mm512_loadu_ps(t.sums + g * t.outputs + 16);
        UNROLL
        for (int r = 0; r < rows; r++) {
            const __m512 scale = _mm512_set1_ps(t.scales_a[r * t.groups + g]), low = _mm512_set1_ps(t.lows_a[r * t.groups + g]);
            floats[r][0] = _mm512_fmadd_ps(low, sum0, floats[r][0]);
            floats[r][1] = _mm512_fmadd_ps(low, sum1, floats[r][1]);
            floats[r][0] = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(integers[r][0]), scale0), scale, floats[r][0]);
            floats[r][1] = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(integers[r][1]), scale1), scale, floats[r][1]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        _mm512_storeu_ps(t.c + r * t.outputs, floats[r][0]);
        _mm512_storeu_ps(t.c + r * t.outputs + 16, floats[r][1]);
    }
}

// `rows` rows by 16 outputs of a panel. AVX2's product of bytes saturates, so both sides are widened to 16 bits, of which pairs are
// added: a register has two partial sums of each of four outputs, folded at the end of a group.
#define AVX2 __attribute__((target("avx2,fma")))
AVX2 INLINE void tile_avx2(const int rows, Tile t) {
    UNROLL
    for (int r = 0; r < rows; r++) memcpy(t.c + r * t.outputs, t.bias, 16 * sizeof(float));
    for (size_t g = 0; g < t.groups; g++) {
        const size_t steps = (t.depth - g * CK_GROUP < CK_GROUP ? t.depth - g * CK_GROUP : CK_GROUP) / 4;
        __m256i integers[2][4];
        UNROLL
        for (int r = 0; r < rows; r++)
            UNROLL
            for (int n = 0; n < 4; n++) integers[r][n] = _mm256_setzero_si256();
        _Pragma("clang loop unroll(disable)")
        for (size_t k = 0; k < steps; k++, t.w += 128, t.a += 4) {
            __builtin_prefetch(t.w + AHEAD);
            __m256i weights[4];
            UNROLL
            for (int n = 0; n < 4; n++) weights[n] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(t.w + 16 * n)));
            UNROLL
            for (int r = 0; r < rows; r++) {
                const __m256i left = _mm256_cvtepu8_epi16(_mm_set1_epi32(four(t.a + r * t.depth)));
                UNROLL
                for (int n = 0; n < 4; n++) integers[r][n] = _mm256_add_epi32(integers[r][n], _mm256_madd_epi16(left, weights[n]));
            }
        }
        UNROLL
        for (int r = 0; r < rows; r++) {
            const __m256 scale = _mm256_set1_ps(t.scales_a[r * t.groups + g]), low = _mm256_set1_ps(t.lows_a[r * t.groups + g]);
            UNROLL
            for (int n = 0; n < 2; n++) {
                // Outputs 0 1 4 5 2 3 6 7, put in order.
                const __m256i folded = _mm256_permute4x64_epi64(_mm256_hadd_epi32(integers[r][2 * n], integers[r][2 * n + 1]), 0xd8);
                float *to = t.c + r * t.outputs + 8 * n;
                __m256 sum = _mm256_fmadd_ps(low, _mm256_loadu_ps(t.sums + g * t.outputs + 8 * n), _mm256_loadu_ps(to));
                __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(folded), _mm256_loadu_ps(t.scales + g * t.outputs + 8 * n));
                _mm256_storeu_ps(to, _mm256_fmadd_ps(product, scale, sum));
            }
        }
    }
}

VNNI static void tile_of_vnni(size_t rows, Tile t) {
    switch (rows) {
        case 6: tile_vnni(6, t); break;
        case 5: tile_vnni(5, t); break;
        case 4: tile_vnni(4, t); break;
        case 3: tile_vnni(3, t); break;
        case 2: tile_vnni(2, t); break;
        default: tile_vnni(1, t); break;
    }
}

AVX2 static void tile_of_avx2(size_t rows, Tile t) {
    if (rows == 2) tile_avx2(2, t);
    else tile_avx2(1, t);
}

static void project_x86(int vnni, Tile all, size_t rows) {
    const size_t most = vnni ? 6 : 2, width = vnni ? 32 : 16, tiles = (rows + most - 1) / most;
    for (size_t n = 0; n < all.outputs; n += width) {
        Tile t = all;
        // Half a panel is 64 bytes further in each of its steps.
        t.w += n / 32 * 32 * all.depth + n % 32 * 4;
        t.scales += n;
        t.sums += n;
        t.bias += n;
        for (size_t tile = 0, r = 0; tile < tiles; tile++) {
            const size_t count = (rows - r + tiles - tile - 1) / (tiles - tile);
            t.a = all.a + r * all.depth;
            t.scales_a = all.scales_a + r * all.groups;
            t.lows_a = all.lows_a + r * all.groups;
            t.c = all.c + r * all.outputs + n;
            if (vnni) tile_of_vnni(count, t);
            else tile_of_avx2(count, t);
            r += count;
        }
    }
}
#endif

void ck_encoder_project_bytes(int level, const uint8_t *a, const float *scales_a, const float *lows_a, const int8_t *w,
                              const float *scales, const float *sums, const float *bias, float *c, size_t rows,
                              size_t outputs, size_t depth) {
#if defined(__x86_64__)
    if (level >= CK_SIMD_AVX2) {
        const Tile all = {a, scales_a, lows_a, w, scales, sums, bias, c, outputs, depth, (depth + CK_GROUP - 1) / CK_GROUP};
        project_x86(level >= CK_SIMD_VNNI, all, rows);
        return;
    }
#endif
    project_portable(a, scales_a, lows_a, w, scales, sums, bias, c, rows, outputs, depth);
}
