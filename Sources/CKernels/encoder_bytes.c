// The large products of a BERT encoder on bytes.
//
// A weight is a signed byte times a scale, an input an unsigned byte less 128 times a scale, both per group of 64 depths g, so that with
// integers W and A
//
//     sum_k w x  =  sum_g  scale_w[g] scale_a[g] (sum_k W A  -  128 sum_k W)
//
// The first sum is what the processor is fast at: AVX-512 VNNI multiplies 64 pairs of bytes and adds them by fours into 16 sums in one
// instruction. The second is known when the weights are packed, and the first begins with it. A group is 16 such steps, after which its
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

// Loops that packing spends its seconds in: compiled for AVX2 as well, with the same bits.
#define INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))
#define BOTH_WAYS(name, parameters, ...)                        \
    AVX2 static void name##_avx2 parameters { name(__VA_ARGS__); } \
    void ck_encoder_##name parameters {                         \
        if (ck_simd_level() >= CK_SIMD_AVX2) name##_avx2(__VA_ARGS__); \
        else name(__VA_ARGS__);                                 \
    }
#else
#define BOTH_WAYS(name, parameters, ...) \
    void ck_encoder_##name parameters { name(__VA_ARGS__); }
#endif

INLINE void observe(const float *x, size_t rows, size_t columns, double *sums, float *products) {
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < columns; k++) sums[k] += x[r * columns + k];
    for (size_t begin = 0; begin < columns; begin += CK_BLOCK, products += CK_BLOCK * CK_BLOCK) {
        const size_t count = columns - begin < CK_BLOCK ? columns - begin : CK_BLOCK;
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
                for (size_t j = i / 8 * 8; j < count; j++)
                    products[i * CK_BLOCK + j] += a * row[0][j] + b * row[1][j] + (c * row[2][j] + d * row[3][j]);
            }
        }
    }
}
BOTH_WAYS(observe, (const float *x, size_t rows, size_t columns, double *sums, float *products), x, rows, columns, sums, products)

// Hadamard's matrix on a group of numbers that lie `stride` apart.
INLINE void turn(double *v, size_t stride) {
    for (size_t step = 1; step < CK_GROUP; step *= 2)
        for (size_t k = 0; k < CK_GROUP; k++)
            if (!(k & step)) {
                const double a = v[k * stride], b = v[(k + step) * stride];
                v[k * stride] = a + b;
                v[(k + step) * stride] = a - b;
            }
}

INLINE void pushes(double *m, size_t count, const float *factors, double damping, float *pushes) {
    double trace = 0, line[CK_BLOCK];
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) m[i * CK_BLOCK + j] *= (double)factors[i] * factors[j];
    for (size_t g = 0; g + CK_GROUP <= count; g += CK_GROUP)
        for (size_t i = 0; i < count; i++) turn(m + i * CK_BLOCK + g, 1);
    for (size_t g = 0; g + CK_GROUP <= count; g += CK_GROUP)
        for (size_t i = 0; i < count; i++) turn(m + g * CK_BLOCK + i, CK_BLOCK);
    for (size_t i = 0; i < count; i++) trace += m[i * CK_BLOCK + i];
    memset(pushes, 0, CK_BLOCK * CK_BLOCK * sizeof *pushes);
    if (!(trace > 0)) return;
    for (size_t i = 0; i < count; i++) m[i * CK_BLOCK + i] += damping * trace / (double)count;
    // m = R times R transposed with R upper, in the place of m's upper half, column by column from the last.
    for (size_t j = count; j-- > 0;) {
        const double root = sqrt(m[j * CK_BLOCK + j]);
        for (size_t i = 0; i < j; i++) line[i] = m[i * CK_BLOCK + j] /= root;
        m[j * CK_BLOCK + j] = root;
        for (size_t i = 0; i < j; i++)
            for (size_t k = i; k < j; k++) m[i * CK_BLOCK + k] -= line[i] * line[k];
    }
    // The inverse of R in its place, row by row from the last; each row times its own diagonal is what is wanted.
    for (size_t i = count; i-- > 0;) {
        const double root = m[i * CK_BLOCK + i];
        for (size_t j = i + 1; j < count; j++) line[j] = 0;
        for (size_t k = i + 1; k < count; k++) {
            const double by = m[i * CK_BLOCK + k];
            for (size_t j = k; j < count; j++) line[j] -= by * m[k * CK_BLOCK + j];
        }
        m[i * CK_BLOCK + i] = 1 / root;
        for (size_t j = i + 1; j < count; j++) {
            m[i * CK_BLOCK + j] = line[j] / root;
            pushes[i * CK_BLOCK + j] = (float)-line[j];
        }
    }
}
BOTH_WAYS(pushes, (double *m, size_t count, const float *factors, double damping, float *to), m, count, factors, damping, to)

INLINE void pack_bytes(const float *w, size_t outputs, size_t depth, const float *factors, const float *pushes, int8_t *packed,
                       float *scales, int32_t *sums, size_t stride) {
    for (size_t block = 0; block < depth; block += CK_BLOCK, pushes += CK_BLOCK * CK_BLOCK) {
        const size_t width = depth - block < CK_BLOCK ? depth - block : CK_BLOCK;
        for (size_t n = 0; n < outputs; n++) {
            int8_t *to = packed + (n / 32 * depth) * 32 + n % 32 * 4;
            double turned[CK_GROUP];
            float v[CK_BLOCK];
            for (size_t k = 0; k < width; k++) v[k] = w[n * depth + block + k] / factors[block + k];
            for (size_t g = 0; g + CK_GROUP <= width; g += CK_GROUP) {
                for (size_t k = 0; k < CK_GROUP; k++) turned[k] = v[g + k];
                turn(turned, 1);
                // The matrix times itself is CK_GROUP times the identity.
                for (size_t k = 0; k < CK_GROUP; k++) v[g + k] = (float)(turned[k] / CK_GROUP);
            }
            for (size_t begin = 0; begin < width; begin += CK_GROUP) {
                const size_t end = width - begin < CK_GROUP ? width : begin + CK_GROUP, group = (block + begin) / CK_GROUP;
                float highest = 0;
                for (size_t k = begin; k < end; k++) highest = fmaxf(highest, fabsf(v[k]));
                const float scale = highest > 0 ? highest / 127 : 1;
                int32_t sum = 0;
                for (size_t k = begin; k < end; k++) {
                    const float byte = fminf(fmaxf(rintf(v[k] / scale), -127), 127), error = v[k] - byte * scale;
                    const float *push = pushes + k * CK_BLOCK;
                    for (size_t j = k + 1; j < width; j++) v[j] += error * push[j];
                    to[(block + k) / 4 * 128 + k % 4] = (int8_t)byte;
                    sum += (int32_t)byte;
                }
                scales[group * stride + n] = scale;
                sums[group * stride + n] = -128 * sum;
            }
        }
    }
}
BOTH_WAYS(pack_bytes,
          (const float *w, size_t outputs, size_t depth, const float *factors, const float *pushes, int8_t *packed, float *scales,
           int32_t *sums, size_t stride),
          w, outputs, depth, factors, pushes, packed, scales, sums, stride)

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
