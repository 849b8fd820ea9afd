// The encoder's float32 kernels, written once over the compiler's vector types and compiled by encoder.c for three widths.
// It defines
//     WIDTH            floats a register
//     ROWS             rows of a tile of the large products, as many as the registers hold
//     TILE             outputs of a tile: 32, or 16 where 32 would need too many registers
//     COLUMN_ROWS      rows of a tile of attention's products
//     WIDEN(p)         WIDTH halves as floats, or nothing where the processor has no such instruction
//     RECIPROCAL(x)    1 / x, to two units in the last place
//     NAME(x)
//
// The large product. Weights are packed in panels of 32 outputs, within a panel depth by depth (CKernels.h draws it), so
// that one step of the inner loop reads one cache line of halves:
//
//     for each depth k:   w = widen(panel[k][0..31])            2 registers with AVX-512
//                         for each row r of the tile:  sums[r] += a[r][k] * w
//
// Fourteen rows by two registers of sums, two of weights and one of the input make 31 of AVX-512's 32 registers; the loads
// (one and a half a step and row) hide behind the multiply-adds, which are the limit. Rows are divided evenly over tiles, so 16 rows are
// two tiles of eight and not one of fourteen and one of two. The panel stays in the first-level cache, or is prefetched into
// it, while all tiles of rows pass by.
//
// A processor that cannot widen in a register (plain SSE2) widens a part of the panel into a buffer once for all rows.

typedef float NAME(vf) __attribute__((vector_size(WIDTH * 4)));
typedef int32_t NAME(vi) __attribute__((vector_size(WIDTH * 4)));
typedef uint32_t NAME(vw) __attribute__((vector_size(WIDTH * 4)));
typedef uint16_t NAME(vh) __attribute__((vector_size(WIDTH * 2), aligned(1)));
typedef uint8_t NAME(vb) __attribute__((vector_size(WIDTH), aligned(1)));
typedef float NAME(vu) __attribute__((vector_size(WIDTH * 4), aligned(1)));
#define VF NAME(vf)
#define VI NAME(vi)
#define LOAD(p) (*(const NAME(vu) *)(p))
#define STORE(p, v) (*(NAME(vu) *)(p) = (v))
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

// WIDTH halves as floats. Exact: the exponent is moved and then corrected by a product, which also makes subnormals right.
INLINE VF NAME(widen)(const uint16_t *p) {
#ifdef WIDEN
    return (VF)WIDEN(p);
#else
    NAME(vw) bits = __builtin_convertvector(*(const NAME(vh) *)p, NAME(vw));
    VF magnitude = (VF)((bits & 0x7fff) << 13) * 0x1p112f;
    return (VF)((NAME(vw))magnitude | (bits & 0x8000) << 16);
#endif
}

// The sum, the highest and the lowest of a register, by halving it.
typedef float NAME(v4) __attribute__((vector_size(16)));
#if WIDTH == 16
typedef float NAME(v8) __attribute__((vector_size(32)));
#define HALVES(a, fold) \
    NAME(v8) half = fold(__builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7), __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15)); \
    NAME(v4) four = fold(__builtin_shufflevector(half, half, 0, 1, 2, 3), __builtin_shufflevector(half, half, 4, 5, 6, 7));
#elif WIDTH == 8
#define HALVES(a, fold) NAME(v4) four = fold(__builtin_shufflevector(a, a, 0, 1, 2, 3), __builtin_shufflevector(a, a, 4, 5, 6, 7));
#else
#define HALVES(a, fold) NAME(v4) four = a;
#endif
#define REDUCE(a, fold) \
    HALVES(a, fold) \
    NAME(v4) two = fold(four, __builtin_shufflevector(four, four, 2, 3, 0, 1)); \
    return fold(two, __builtin_shufflevector(two, two, 1, 0, 3, 2))[0];
#define PLUS(a, b) ((a) + (b))
INLINE float NAME(sum)(VF a) { REDUCE(a, PLUS) }
INLINE float NAME(highest)(VF a) { REDUCE(a, __builtin_elementwise_max) }
INLINE float NAME(lowest)(VF a) { REDUCE(a, __builtin_elementwise_min) }

// 2^x for x <= 0, and 2^-126 below that: the integer part goes into the exponent, the rest through a polynomial of degree 5,
// the best in relative error on -1/2...1/2 (1.8e-7 in float32).
INLINE VF NAME(power)(VF x) {
    const VF lowest = (VF){0} - 126.0f, magic = (VF){0} + 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    x = __builtin_elementwise_max(x, lowest);
    VF shifted = x + magic;
    VF r = x - (shifted - magic);
    VF p = r * 1.32764606e-3f + 9.67554124e-3f;
    p = p * r + 5.55071331e-2f;
    p = p * r + 2.40221197e-1f;
    p = p * r + 6.93146967e-1f;
    p = p * r + 1.00000007f;
    return (VF)((VI)p + ((VI)shifted << 23));  // the magic number's own bits are shifted out
}

// erf by a quotient of polynomials in x^2, odd 13 over even 8, exact to a few units in the last place for |x| <= 4,
// beyond which it is 1 in float32.
INLINE VF NAME(error_function)(VF x) {
    const VF four = (VF){0} + 4.0f;
    x = __builtin_elementwise_min(__builtin_elementwise_max(x, -four), four);
    VF s = x * x;
    VF p = s * -2.72614225801306e-10f + 2.77068142495902e-08f;
    p = p * s - 2.10102402082508e-06f;
    p = p * s - 5.69250639462346e-05f;
    p = p * s - 7.34990630326855e-04f;
    p = p * s - 2.95459980854025e-03f;
    p = p * s - 1.60960333262415e-02f;
    VF q = s * -1.45660718464996e-05f - 2.13374055278905e-04f;
    q = q * s - 1.68282697438203e-03f;
    q = q * s - 7.37332916720468e-03f;
    q = q * s - 1.42647390514189e-02f;
    return x * p * RECIPROCAL(q);
}

INLINE VF NAME(gelu_of)(VF v) { return v * 0.5f * (1.0f + NAME(error_function)(v * 0.70710678f)); }

static void NAME(gather)(const uint16_t *words, const float *positions, const int32_t *tokens, size_t count, size_t columns,
                         float *out) {
    for (size_t t = 0; t < count; t++, positions += columns, out += columns) {
        const uint16_t *word = words + (size_t)tokens[t] * columns;
        for (size_t i = 0; i < columns; i += WIDTH) STORE(out + i, NAME(widen)(word + i) + LOAD(positions + i));
    }
}

static void NAME(layer_norm)(float *x, const float *residual, const float *scale, const float *shift, size_t rows,
                             size_t columns, float epsilon) {
    for (size_t r = 0; r < rows; r++, x += columns) {
        VF total = {0}, squares = {0};
        if (residual) {
            for (size_t i = 0; i < columns; i += WIDTH) {
                VF v = LOAD(x + i) + LOAD(residual + i);
                STORE(x + i, v);
                total += v;
            }
            residual += columns;
        } else {
            for (size_t i = 0; i < columns; i += WIDTH) total += LOAD(x + i);
        }
        float mean = NAME(sum)(total) / (float)columns;
        for (size_t i = 0; i < columns; i += WIDTH) {
            VF v = LOAD(x + i) - mean;
            squares += v * v;
        }
        float inverse = 1.0f / sqrtf(NAME(sum)(squares) / (float)columns + epsilon);
        for (size_t i = 0; i < columns; i += WIDTH)
            STORE(x + i, (LOAD(x + i) - mean) * inverse * LOAD(scale + i) + LOAD(shift + i));
    }
}

static void NAME(pool)(const float *x, size_t rows, size_t columns, float *out) {
    VF squares = {0};
    for (size_t i = 0; i < columns; i += WIDTH) {
        VF total = {0};
        for (size_t r = 0; r < rows; r++) total += LOAD(x + r * columns + i);
        VF mean = total / (float)rows;
        squares += mean * mean;
        STORE(out + i, mean);
    }
    float length = sqrtf(NAME(sum)(squares));
    float inverse = 1.0f / (length > 1e-12f ? length : 1e-12f);
    for (size_t i = 0; i < columns; i += WIDTH) STORE(out + i, LOAD(out + i) * inverse);
}

// MARK: The large products

#define TILE_VECTORS (TILE / WIDTH)
#ifdef WIDEN
#define WEIGHT uint16_t
#define WEIGHTS(p) NAME(widen)(p)
#else
#define WEIGHT float
#define WEIGHTS(p) LOAD(p)
#endif
// Bytes that the weights are asked for ahead of their use: enough for a line from memory at eight rows.
#define AHEAD 4096

// `rows` rows (a constant at every call, so that the sums stay in registers) by TILE outputs, over `depth` steps of a panel.
// `sums` of earlier steps are in c when `more`.
INLINE void NAME(tile)(const int rows, const float *a, size_t a_stride, const WEIGHT *w, const float *bias, int more, float *c,
                       size_t c_stride, size_t depth) {
    VF sums[ROWS][TILE_VECTORS];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int n = 0; n < TILE_VECTORS; n++)
            sums[r][n] = more ? LOAD(c + r * c_stride + n * WIDTH) : bias ? LOAD(bias + n * WIDTH) : (VF){0};
#pragma clang loop unroll(disable)
    for (size_t k = 0; k < depth; k++, w += 32) {
        VF weights[TILE_VECTORS];
#ifdef WIDEN
        __builtin_prefetch((const char *)w + AHEAD);
#endif
#pragma clang loop unroll(full)
        for (int n = 0; n < TILE_VECTORS; n++) weights[n] = WEIGHTS(w + n * WIDTH);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            float left = a[r * a_stride + k];
#pragma clang loop unroll(full)
            for (int n = 0; n < TILE_VECTORS; n++) sums[r][n] += left * weights[n];
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int n = 0; n < TILE_VECTORS; n++) STORE(c + r * c_stride + n * WIDTH, sums[r][n]);
}

#define TILE_OF(rows)                                                                                                          \
    case rows: NAME(tile)(rows, a, a_stride, w, bias, more, c, c_stride, depth); break;
static void NAME(tile_of)(size_t rows, const float *a, size_t a_stride, const WEIGHT *w, const float *bias, int more, float *c,
                          size_t c_stride, size_t depth) {
    switch (rows) {
#if ROWS >= 14
        TILE_OF(14) TILE_OF(13) TILE_OF(12) TILE_OF(11) TILE_OF(10) TILE_OF(9) TILE_OF(8) TILE_OF(7)
#endif
#if ROWS >= 6
        TILE_OF(6) TILE_OF(5)
#endif
#if ROWS >= 4
        TILE_OF(4) TILE_OF(3)
#endif
        TILE_OF(2) TILE_OF(1)
        default: break;
    }
}

static void NAME(project)(const float *a, size_t a_stride, const uint16_t *panels, const float *bias, int gelu, float *c,
                          size_t c_stride, size_t rows, size_t outputs, size_t depth) {
    const size_t tiles = (rows + ROWS - 1) / ROWS;
#ifdef WIDEN
    const size_t part = depth;
#else
    float widened[PART * 32];
    const size_t part = PART;
#endif
    for (size_t panel = 0; panel < outputs; panel += 32)
        for (size_t k = 0; k < depth; k += part) {
            const size_t steps = depth - k < part ? depth - k : part;
#ifdef WIDEN
            const uint16_t *weights = panels + panel * depth;
#else
            const float *weights = widened;
            for (size_t i = 0; i < steps * 32; i += WIDTH) STORE(widened + i, NAME(widen)(panels + panel * depth + k * 32 + i));
#endif
            for (size_t n = 0; n < 32; n += TILE)
                for (size_t tile = 0, r = 0; tile < tiles; tile++) {
                    const size_t count = (rows - r + tiles - tile - 1) / (tiles - tile);
                    float *to = c + r * c_stride + panel + n;
                    NAME(tile_of)(count, a + r * a_stride + k, a_stride, weights + n, bias ? bias + panel + n : 0, k > 0, to,
                                  c_stride, steps);
                    if (gelu && k + steps == depth)
                        for (size_t i = 0; i < count; i++)
                            for (size_t v = 0; v < TILE; v += WIDTH)
                                STORE(to + i * c_stride + v, NAME(gelu_of)(LOAD(to + i * c_stride + v)));
                    r += count;
                }
        }
}

// MARK: Inputs of products of bytes

// Hadamard's matrix on a group, stage by stage: of each two numbers `step` apart the sum and the difference. Within a register the one is the
// register with its lanes exchanged plus itself, with the sign of every other lane (or two, or four ...) turned, which is exact.
#define REGISTERS (CK_GROUP / WIDTH)
#define EXCHANGE(v, ...) __builtin_shufflevector(v, v, __VA_ARGS__)
#if WIDTH == 16
#define SIGNS(a, b, c, d) (VF){1, a, b, (a) * (b), c, (a) * (c), (b) * (c), (a) * (b) * (c), d, (a) * (d), (b) * (d), (a) * (b) * (d), \
                               (c) * (d), (a) * (c) * (d), (b) * (c) * (d), (a) * (b) * (c) * (d)}
#define EXCHANGE1(v) EXCHANGE(v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#define EXCHANGE2(v) EXCHANGE(v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define EXCHANGE4(v) EXCHANGE(v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
#define EXCHANGE8(v) EXCHANGE(v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#elif WIDTH == 8
#define SIGNS(a, b, c, d) (VF){1, a, b, (a) * (b), c, (a) * (c), (b) * (c), (a) * (b) * (c)}
#define EXCHANGE1(v) EXCHANGE(v, 1, 0, 3, 2, 5, 4, 7, 6)
#define EXCHANGE2(v) EXCHANGE(v, 2, 3, 0, 1, 6, 7, 4, 5)
#define EXCHANGE4(v) EXCHANGE(v, 4, 5, 6, 7, 0, 1, 2, 3)
#else
#define SIGNS(a, b, c, d) (VF){1, a, b, (a) * (b)}
#define EXCHANGE1(v) EXCHANGE(v, 1, 0, 3, 2)
#define EXCHANGE2(v) EXCHANGE(v, 2, 3, 0, 1)
#endif
#define TURN(step)                                                  \
    UNROLL for (int i = 0; i < REGISTERS; i++) if (!(i & (step))) { \
        const VF a = v[i], b = v[i + (step)];                       \
        v[i] = a + b;                                               \
        v[i + (step)] = a - b;                                      \
    }
#define TURN_WITHIN(exchange, ...) UNROLL for (int i = 0; i < REGISTERS; i++) v[i] = SIGNS(__VA_ARGS__) * v[i] + exchange(v[i]);
INLINE void NAME(turn)(VF *v) {
    TURN_WITHIN(EXCHANGE1, -1, 1, 1, 1)
    TURN_WITHIN(EXCHANGE2, 1, -1, 1, 1)
#if WIDTH >= 8
    TURN_WITHIN(EXCHANGE4, 1, 1, -1, 1)
#endif
#if WIDTH >= 16
    TURN_WITHIN(EXCHANGE8, 1, 1, 1, -1)
#endif
#if WIDTH < 8
    TURN(4 / WIDTH)
#endif
#if WIDTH < 16
    TURN(8 / WIDTH)
#endif
    TURN(16 / WIDTH)
    TURN(32 / WIDTH)
}

// A group of one row: `registers` of them (a constant where the group is whole, as at one of the two calls, so that it stays in
// registers). Nothing is fused that would round otherwise, so that (but for the gelu) the bytes are the same at every width.
INLINE float NAME(quantise_group)(const int registers, const float *x, int gelu, const float *factors, const float *offsets,
                                  uint8_t *bytes) {
#pragma clang fp contract(off)
    const VF magic = (VF){0} + (12582912.0f + 128);  // adding it rounds to an integer, which is then in the low bits
    VF v[REGISTERS], most = {0};
    UNROLL for (int i = 0; i < REGISTERS; i++) if (i < registers) {
        VF value = LOAD(x + i * WIDTH);
        if (gelu) value = NAME(gelu_of)(value);
        v[i] = value * LOAD(factors + i * WIDTH) - LOAD(offsets + i * WIDTH);
    }
    if (registers == REGISTERS) NAME(turn)(v);
    UNROLL for (int i = 0; i < REGISTERS; i++) if (i < registers) most = __builtin_elementwise_max(most, __builtin_elementwise_abs(v[i]));
    const float highest = NAME(highest)(most), inverse = highest > 0 ? 127 / highest : 0;
    UNROLL for (int i = 0; i < REGISTERS; i++) if (i < registers)
        *(NAME(vb) *)(bytes + i * WIDTH) = __builtin_convertvector((VI)(v[i] * inverse + magic), NAME(vb));
    return highest / 127;
}

static void NAME(quantise)(const float *x, int gelu, const float *factors, const float *offsets, uint8_t *bytes, float *scales,
                           size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++, x += columns, bytes += columns)
        for (size_t k = 0; k < columns; k += CK_GROUP)
            *scales++ = columns - k >= CK_GROUP
                            ? NAME(quantise_group)(REGISTERS, x + k, gelu, factors + k, offsets + k, bytes + k)
                            : NAME(quantise_group)((int)(columns - k) / WIDTH, x + k, gelu, factors + k, offsets + k, bytes + k);
}

// MARK: Attention

// c[rows x outputs] = a[rows x depth] * b[depth x outputs] for a block of `vectors` registers of outputs.
INLINE void NAME(block)(const int rows, const int vectors, const float *a, size_t a_stride, const float *b, size_t b_stride,
                        float *c, size_t c_stride, size_t depth) {
    VF sums[COLUMN_ROWS][32 / WIDTH];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int n = 0; n < vectors; n++) sums[r][n] = (VF){0};
    for (size_t k = 0; k < depth; k++) {
        VF right[32 / WIDTH];
#pragma clang loop unroll(full)
        for (int n = 0; n < vectors; n++) right[n] = LOAD(b + k * b_stride + n * WIDTH);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            float left = a[r * a_stride + k];
#pragma clang loop unroll(full)
            for (int n = 0; n < vectors; n++) sums[r][n] += left * right[n];
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int n = 0; n < vectors; n++) STORE(c + r * c_stride + n * WIDTH, sums[r][n]);
}

// outputs is a multiple of 16.
static void NAME(multiply)(const float *a, size_t a_stride, const float *b, size_t b_stride, float *c, size_t c_stride,
                           size_t rows, size_t outputs, size_t depth) {
    size_t n = 0;
    for (; n + 32 <= outputs; n += 32) {
        size_t r = 0;
        for (; r + COLUMN_ROWS <= rows; r += COLUMN_ROWS)
            NAME(block)(COLUMN_ROWS, 32 / WIDTH, a + r * a_stride, a_stride, b + n, b_stride, c + r * c_stride + n, c_stride, depth);
        for (; r < rows; r++)
            NAME(block)(1, 32 / WIDTH, a + r * a_stride, a_stride, b + n, b_stride, c + r * c_stride + n, c_stride, depth);
    }
    if (n == outputs) return;
    size_t r = 0;
    for (; r + COLUMN_ROWS <= rows; r += COLUMN_ROWS)
        NAME(block)(COLUMN_ROWS, 16 / WIDTH, a + r * a_stride, a_stride, b + n, b_stride, c + r * c_stride + n, c_stride, depth);
    for (; r < rows; r++)
        NAME(block)(1, 16 / WIDTH, a + r * a_stride, a_stride, b + n, b_stride, c + r * c_stride + n, c_stride, depth);
}

static void NAME(attention_head)(const float *queries, const float *keys, const float *values, size_t stride, size_t length,
                                 size_t columns, float *scratch, float *out, size_t out_stride) {
    const size_t padded = (length + 15) / 16 * 16;
    float *transposed = scratch, *scores = scratch + columns * padded;
    for (size_t d = 0; d < columns; d++) {
        for (size_t j = 0; j < length; j++) transposed[d * padded + j] = keys[j * stride + d];
        for (size_t j = length; j < padded; j++) transposed[d * padded + j] = 0;
    }
    // Softmax by powers of 2, which is the same with the logarithm of e in the scale.
    const float scale = 1.44269504f / sqrtf((float)columns);
    for (size_t begin = 0; begin < length; begin += 32) {
        const size_t rows = length - begin < 32 ? length - begin : 32;
        NAME(multiply)(queries + begin * stride, stride, transposed, padded, scores, padded, rows, padded, columns);
        float inverse[32];
        for (size_t r = 0; r < rows; r++) {
            float *row = scores + r * padded;
            for (size_t j = length; j < padded; j++) row[j] = -3.0e38f;
            VF highest = LOAD(row);
            for (size_t j = WIDTH; j < padded; j += WIDTH) highest = __builtin_elementwise_max(highest, LOAD(row + j));
            const float top = NAME(highest)(highest);
            VF total = {0};
            for (size_t j = 0; j < padded; j += WIDTH) {
                VF e = NAME(power)((LOAD(row + j) - top) * scale);
                STORE(row + j, e);
                total += e;
            }
            inverse[r] = 1.0f / NAME(sum)(total);
        }
        float *to = out + begin * out_stride;
        NAME(multiply)(scores, padded, values, stride, to, out_stride, rows, columns, length);
        for (size_t r = 0; r < rows; r++)
            for (size_t i = 0; i < columns; i += WIDTH) STORE(to + r * out_stride + i, LOAD(to + r * out_stride + i) * inverse[r]);
    }
}

#undef HALVES
#undef REDUCE
#undef PLUS
#undef VF
#undef VI
#undef LOAD
#undef STORE
#undef INLINE
#undef UNROLL
#undef REGISTERS
#undef TURN
#undef TURN_WITHIN
#undef SIGNS
#undef EXCHANGE
#undef EXCHANGE1
#undef EXCHANGE2
#undef EXCHANGE4
#undef EXCHANGE8
#undef WIDTH
#undef ROWS
#undef TILE
#undef TILE_VECTORS
#undef TILE_OF
#undef COLUMN_ROWS
#undef AHEAD
#undef WEIGHT
#undef WEIGHTS
#undef WIDEN
#undef RECIPROCAL
#undef NAME
