// The large products of a BERT encoder on bytes.
//
// A weight is a signed byte times a scale, an input an unsigned byte less 128 times a scale, both per group of 128 depths g, so that with
// integers W and A
//
//     sum_k w x  =  sum_g  scale_w[g] scale_a[g] (sum_k W A  -  128 sum_k W)
//
// The first sum is what the processor is fast at: AVX-512 VNNI multiplies 64 pairs of bytes and adds them by fours into 16 sums in one
// instruction. The second is known when the weights are packed, and the first begins with it. A group is 32 such steps, after which its
// integers are turned into floats and added up; three more instructions a register.
//
// Integers are exact, what follows is done in one order and nothing is fused: the same bits at every level.
//
// What the inputs and weights are before they become bytes (shifted, balanced, turned): docs/decisions/0064.

#include "CKernels.h"
#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#pragma STDC FP_CONTRACT OFF

void ck_encoder_observe(const float *x, size_t rows, size_t columns, double *sums, float *products) {
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < columns; k++) sums[k] += x[r * columns + k];
    for (size_t begin = 0; begin < columns; begin += CK_GROUP, products += CK_GROUP * CK_GROUP) {
        const size_t count = columns - begin < CK_GROUP ? columns - begin : CK_GROUP;
        for (size_t r = 0; r < rows; r += 4) {
            // Rows that are not there are the last one times 0.
            const float *row[4];
            float there[4];
            for (size_t i = 0; i < 4; i++) {
                row[i] = x + (r + i < rows ? r + i : rows - 1) * columns + begin;
                there[i] = r + i < rows ? 1 : 0;
            }
            for (size_t i = 0; i < count; i++) {
                const float a = row[0][i], b = row[1][i] * there[1], c = row[2][i] * there[2], d = row[3][i] * there[3];
                for (size_t j = i / 4 * 4; j < count; j++)
                    products[i * CK_GROUP + j] += a * row[0][j] + b * row[1][j] + (c * row[2][j] + d * row[3][j]);
            }
        }
    }
}

// Multiplies by Hadamard's matrix of eight across the places i, i + 16 ... i + 112 of a group: of numbers `stride` apart.
static void turn_f32(float *v) {
    for (size_t step = 16; step < CK_GROUP; step *= 2)
        for (size_t k = 0; k < CK_GROUP; k++)
            if (!(k & step)) {
                const float a = v[k], b = v[k + step];
                v[k] = a + b;
                v[k + step] = a - b;
            }
}

static void turn_f64(double *v, size_t stride) {
    for (size_t step = 16; step < CK_GROUP; step *= 2)
        for (size_t k = 0; k < CK_GROUP; k++)
            if (!(k & step)) {
                const double a = v[k * stride], b = v[(k + step) * stride];
                v[k * stride] = a + b;
                v[(k + step) * stride] = a - b;
            }
}

void ck_encoder_pushes(double *m, size_t count, const float *factors, double damping, float *pushes) {
    double trace = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) m[i * CK_GROUP + j] *= (double)factors[i] * factors[j];
    if (count == CK_GROUP) {
        for (size_t i = 0; i < CK_GROUP; i++) turn_f64(m + i * CK_GROUP, 1);
        for (size_t i = 0; i < CK_GROUP; i++) turn_f64(m + i, CK_GROUP);
    }
    for (size_t i = 0; i < count; i++) trace += m[i * CK_GROUP + i];
    memset(pushes, 0, CK_GROUP * CK_GROUP * sizeof *pushes);
    if (!(trace > 0)) return;
    for (size_t i = 0; i < count; i++) m[i * CK_GROUP + i] += damping * trace / (double)count;
    // m = R times R transposed with R upper, in the place of m's upper half.
    for (size_t j = count; j-- > 0;)
        for (size_t i = j + 1; i-- > 0;) {
            double rest = m[i * CK_GROUP + j];
            for (size_t k = j + 1; k < count; k++) rest -= m[i * CK_GROUP + k] * m[j * CK_GROUP + k];
            m[i * CK_GROUP + j] = i == j ? sqrt(rest) : rest / m[j * CK_GROUP + j];
        }
    // The inverse of R, each row over its own diagonal, column by column.
    for (size_t j = 0; j < count; j++) {
        double column[CK_GROUP];
        column[j] = 1 / m[j * CK_GROUP + j];
        for (size_t i = j; i-- > 0;) {
            double sum = 0;
            for (size_t k = i + 1; k <= j; k++) sum += m[i * CK_GROUP + k] * column[k];
            column[i] = -sum / m[i * CK_GROUP + i];
            pushes[i * CK_GROUP + j] = (float)(column[i] * m[i * CK_GROUP + i]);
        }
    }
}

void ck_encoder_pack_bytes(const float *w, size_t outputs, size_t depth, const float *factors, const float *pushes, int8_t *packed,
                           float *scales, int32_t *sums, size_t stride) {
    for (size_t begin = 0, g = 0; begin < depth; begin += CK_GROUP, g++) {
        const size_t count = depth - begin < CK_GROUP ? depth - begin : CK_GROUP;
        for (size_t n = 0; n < outputs; n++) {
            int8_t *to = packed + (n / 32 * depth) * 32 + n % 32 * 4;
            float v[CK_GROUP], highest = 0;
            for (size_t k = 0; k < count; k++) v[k] = w[n * depth + begin + k] / factors[begin + k];
            if (count == CK_GROUP) {
                turn_f32(v);
                for (size_t k = 0; k < CK_GROUP; k++) v[k] /= 8;  // the matrix times itself is eight times the identity
            }
            for (size_t k = 0; k < count; k++) highest = fmaxf(highest, fabsf(v[k]));
            const float scale = highest > 0 ? highest / 127 : 1;
            int32_t sum = 0;
            for (size_t k = 0; k < count; k++) {
                const float byte = fminf(fmaxf(rintf(v[k] / scale), -127), 127), error = v[k] - byte * scale;
                const float *push = pushes + (g * CK_GROUP + k) * CK_GROUP;
                for (size_t j = k + 1; j < count; j++) v[j] -= error * push[j];
                to[(begin + k) / 4 * 128 + k % 4] = (int8_t)byte;
                sum += (int32_t)byte;
            }
            scales[g * stride + n] = scale;
            sums[g * stride + n] = -128 * sum;
        }
    }
}

// Eight products of 16 bits, added by pairs.
typedef int16_t short8 __attribute__((vector_size(16)));
typedef int32_t int4 __attribute__((vector_size(16)));
static inline int4 pairs(short8 a, short8 b) {
#if defined(__x86_64__)
    return (int4)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    typedef int32_t int8 __attribute__((vector_size(32)));
    const int8 products = __builtin_convertvector(a, int8) * __builtin_convertvector(b, int8);
    return __builtin_shufflevector(products, products, 0, 2, 4, 6) + __builtin_shufflevector(products, products, 1, 3, 5, 7);
#endif
}

// What every processor multiplies fast are numbers of 16 bits: a group of a panel is widened once for all rows, and a group of a row once
// for a panel; a register has two partial sums of two outputs. Inputs less 128 need no sums to begin with.
static void project_portable(const uint8_t *a, const float *scales_a, const int8_t *w, const float *scales, const float *bias, float *c,
                             size_t rows, size_t outputs, size_t depth) {
    const size_t groups = (depth + CK_GROUP - 1) / CK_GROUP;
    for (size_t panel = 0; panel < outputs; panel += 32)
        for (size_t g = 0; g < groups; g++) {
            const size_t begin = g * CK_GROUP, count = depth - begin < CK_GROUP ? depth - begin : CK_GROUP;
            short8 right[CK_GROUP * 4];
            for (size_t i = 0; i < count * 32; i++) ((int16_t *)right)[i] = w[panel * depth + begin * 32 + i];
            for (size_t r = 0; r < rows; r++) {
                float *to = c + r * outputs + panel;
                if (g == 0) memcpy(to, bias + panel, 32 * sizeof(float));
                int16_t left[CK_GROUP];
                for (size_t k = 0; k < count; k++) left[k] = (int16_t)(a[r * depth + begin + k] - 128);
                for (size_t n = 0; n < 32; n += 16) {
                    int4 sums[8] = {0};
                    for (size_t k = 0; k < count; k += 4) {
                        int64_t four;
                        memcpy(&four, left + k, 8);
                        const short8 both = (short8)(__attribute__((vector_size(16))) int64_t){four, four};
                        for (size_t i = 0; i < 8; i++) sums[i] += pairs(right[k * 4 + n / 2 + i], both);
                    }
                    for (size_t i = 0; i < 16; i++) {
                        const int32_t integer = sums[i / 2][i % 2 * 2] + sums[i / 2][i % 2 * 2 + 1];
                        to[n + i] += (float)integer * scales[g * outputs + panel + n + i] * scales_a[r * groups + g];
                    }
                }
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
    const float *scales_a;
    const int8_t *w;
    const float *scales;
    const int32_t *sums;
    const float *bias;
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
        const __m512i sum0 = _mm512_loadu_si512(t.sums + g * t.outputs), sum1 = _mm512_loadu_si512(t.sums + g * t.outputs + 16);
        __m512i integers[6][2];
        UNROLL
        for (int r = 0; r < rows; r++) integers[r][0] = sum0, integers[r][1] = sum1;
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
        UNROLL
        for (int r = 0; r < rows; r++) {
            const __m512 scale = _mm512_set1_ps(t.scales_a[r * t.groups + g]);
            floats[r][0] = floats[r][0] + _mm512_cvtepi32_ps(integers[r][0]) * scale0 * scale;
            floats[r][1] = floats[r][1] + _mm512_cvtepi32_ps(integers[r][1]) * scale1 * scale;
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        _mm512_storeu_ps(t.c + r * t.outputs, floats[r][0]);
        _mm512_storeu_ps(t.c + r * t.outputs + 16, floats[r][1]);
    }
}

// As project_portable, two rows at a time. AVX2's product of bytes saturates, so here too both sides are widened to 16 bits, of which pairs
// are added: a register has two partial sums of each of four outputs, folded at the end of a group.
#define AVX2 __attribute__((target("avx2,fma")))
AVX2 INLINE void tile_avx2(const int rows, const int16_t *left, const int16_t *right, size_t count, const float *scales_a, size_t groups,
                           const float *scales, float *c, size_t outputs) {
    __m256i integers[2][4];
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
        for (int n = 0; n < 4; n++) integers[r][n] = _mm256_setzero_si256();
    _Pragma("clang loop unroll(disable)")
    for (size_t k = 0; k < count; k += 4, right += 128) {
        __m256i both[2];
        UNROLL
        for (int r = 0; r < rows; r++) both[r] = _mm256_broadcastq_epi64(_mm_loadl_epi64((const void *)(left + r * CK_GROUP + k)));
        UNROLL
        for (int n = 0; n < 4; n++) {
            const __m256i weights = _mm256_loadu_si256((const void *)(right + 16 * n));
            UNROLL
            for (int r = 0; r < rows; r++) integers[r][n] = _mm256_add_epi32(integers[r][n], _mm256_madd_epi16(both[r], weights));
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        const __m256 scale = _mm256_set1_ps(scales_a[r * groups]);
        UNROLL
        for (int n = 0; n < 2; n++) {
            // Outputs 0 1 4 5 2 3 6 7, put in order.
            const __m256i whole = _mm256_permute4x64_epi64(_mm256_hadd_epi32(integers[r][2 * n], integers[r][2 * n + 1]), 0xd8);
            float *to = c + r * outputs + 8 * n;
            _mm256_storeu_ps(to, _mm256_loadu_ps(to) + _mm256_cvtepi32_ps(whole) * _mm256_loadu_ps(scales + 8 * n) * scale);
        }
    }
}

AVX2 static void project_avx2(const uint8_t *a, const float *scales_a, const int8_t *w, const float *scales, const float *bias, float *c,
                              size_t rows, size_t outputs, size_t depth) {
    const size_t groups = (depth + CK_GROUP - 1) / CK_GROUP;
    for (size_t panel = 0; panel < outputs; panel += 32)
        for (size_t g = 0; g < groups; g++) {
            const size_t begin = g * CK_GROUP, count = depth - begin < CK_GROUP ? depth - begin : CK_GROUP;
            int16_t right[CK_GROUP * 32], left[2 * CK_GROUP];
            for (size_t i = 0; i < count * 32; i++) right[i] = w[panel * depth + begin * 32 + i];
            for (size_t r = 0; r < rows; r += 2) {
                const size_t two = rows - r < 2 ? 1 : 2;
                for (size_t i = 0; i < two; i++) {
                    if (g == 0) memcpy(c + (r + i) * outputs + panel, bias + panel, 32 * sizeof(float));
                    for (size_t k = 0; k < count; k++) left[i * CK_GROUP + k] = (int16_t)(a[(r + i) * depth + begin + k] - 128);
                }
                for (size_t n = 0; n < 32; n += 16) {
                    const float *of_rows = scales_a + r * groups + g, *of_outputs = scales + g * outputs + panel + n;
                    float *to = c + r * outputs + panel + n;
                    if (two == 2) tile_avx2(2, left, right + 4 * n, count, of_rows, groups, of_outputs, to, outputs);
                    else tile_avx2(1, left, right + 4 * n, count, of_rows, groups, of_outputs, to, outputs);
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

static void project_vnni(Tile all, size_t rows) {
    const size_t tiles = (rows + 5) / 6;
    for (size_t n = 0; n < all.outputs; n += 32) {
        Tile t = all;
        t.w += n * all.depth;
        t.scales += n;
        t.sums += n;
        t.bias += n;
        for (size_t tile = 0, r = 0; tile < tiles; tile++) {
            const size_t count = (rows - r + tiles - tile - 1) / (tiles - tile);
            t.a = all.a + r * all.depth;
            t.scales_a = all.scales_a + r * all.groups;
            t.c = all.c + r * all.outputs + n;
            tile_of_vnni(count, t);
            r += count;
        }
    }
}
#endif

void ck_encoder_project_bytes(int level, const uint8_t *a, const float *scales_a, const int8_t *w, const float *scales,
                              const int32_t *sums, const float *bias, float *c, size_t rows, size_t outputs, size_t depth) {
#if defined(__x86_64__)
    if (level >= CK_SIMD_VNNI) {
        const Tile all = {a, scales_a, w, scales, sums, bias, c, outputs, depth, (depth + CK_GROUP - 1) / CK_GROUP};
        project_vnni(all, rows);
        return;
    }
    if (level >= CK_SIMD_AVX2) {
        project_avx2(a, scales_a, w, scales, bias, c, rows, outputs, depth);
        return;
    }
#endif
    project_portable(a, scales_a, w, scales, bias, c, rows, outputs, depth);
}
