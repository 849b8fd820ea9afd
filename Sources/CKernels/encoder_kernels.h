// The encoder's kernels, written once over the compiler's vector types and compiled by encoder.c for three widths: it
// defines WIDTH (floats a register), ROWS (rows of a block of products, as many as the registers hold) and NAME(x).

typedef float NAME(vf) __attribute__((vector_size(WIDTH * 4)));
typedef int32_t NAME(vi) __attribute__((vector_size(WIDTH * 4)));
typedef float NAME(vu) __attribute__((vector_size(WIDTH * 4), aligned(1)));
typedef float NAME(v4) __attribute__((vector_size(16)));
#define VF NAME(vf)
#define VI NAME(vi)
#define V4 NAME(v4)
#define LOAD(p) (*(const NAME(vu) *)(p))
#define STORE(p, v) (*(NAME(vu) *)(p) = (v))
#define INLINE static inline __attribute__((always_inline))

#if WIDTH == 16
#define UNPACK_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define UNPACK_HIGH(a, b) __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define PAIRS_LOW(a, b) __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define PAIRS_HIGH(a, b) __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#elif WIDTH == 8
#define UNPACK_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define UNPACK_HIGH(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define PAIRS_LOW(a, b) __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define PAIRS_HIGH(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#else
#define UNPACK_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define UNPACK_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define PAIRS_LOW(a, b) __builtin_shufflevector(a, b, 0, 1, 4, 5)
#define PAIRS_HIGH(a, b) __builtin_shufflevector(a, b, 2, 3, 6, 7)
#endif

// The sums of four registers, by transposing within 128-bit lanes and then folding the lanes.
INLINE V4 NAME(sum4)(VF a, VF b, VF c, VF d) {
    VF ab = UNPACK_LOW(a, b) + UNPACK_HIGH(a, b);
    VF cd = UNPACK_LOW(c, d) + UNPACK_HIGH(c, d);
    VF all = PAIRS_LOW(ab, cd) + PAIRS_HIGH(ab, cd);
    V4 sum = {all[0], all[1], all[2], all[3]};
    for (int lane = 4; lane < WIDTH; lane += 4) sum += (V4){all[lane], all[lane + 1], all[lane + 2], all[lane + 3]};
    return sum;
}

INLINE float NAME(sum)(VF a) {
    float lanes[WIDTH];
    STORE(lanes, a);
    for (int half = WIDTH / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
}

// e^x for x <= 0 (Cephes: reduce by ln 2 in two parts, then a polynomial of degree 5 in the rest).
INLINE VF NAME(exponential)(VF x) {
    const VF lowest = (VF){0} - 87.0f, half = (VF){0} + 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    x = __builtin_elementwise_max(x, lowest);
    VF n = (x * 1.44269504f + half) - half;
    VF r = x - n * 0.693359375f + n * 2.12194440e-4f;
    VF p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    VF y = p * (r * r) + r + 1.0f;
    VI power = (__builtin_convertvector(n, VI) + 127) << 23;
    return y * (VF)power;
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
    return x * p / q;
}

static void NAME(add_bias)(float *x, size_t stride, const float *bias, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++, x += stride)
        for (size_t i = 0; i < columns; i += WIDTH) STORE(x + i, LOAD(x + i) + LOAD(bias + i));
}

static void NAME(gelu)(float *x, const float *bias, size_t rows, size_t columns) {
    for (size_t r = 0; r < rows; r++, x += columns)
        for (size_t i = 0; i < columns; i += WIDTH) {
            VF v = LOAD(x + i) + LOAD(bias + i);
            STORE(x + i, v * 0.5f * (1.0f + NAME(error_function)(v * 0.70710678f)));
        }
}

static void NAME(layer_norm)(float *x, const float *bias, const float *residual, const float *scale, const float *shift,
                             size_t rows, size_t columns, float epsilon) {
    for (size_t r = 0; r < rows; r++, x += columns, residual += columns) {
        VF total = {0}, squares = {0};
        for (size_t i = 0; i < columns; i += WIDTH) {
            VF v = LOAD(x + i) + LOAD(bias + i) + LOAD(residual + i);
            STORE(x + i, v);
            total += v;
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

static void NAME(mean_pool)(const float *x, size_t rows, size_t columns, float *out) {
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

// `rows` rows (a constant at every call, so that the products stay in registers) times four rows of weights.
INLINE void NAME(block4)(const int rows, const float *a, size_t a_stride, const float *w, size_t w_stride, float *c,
                         size_t c_stride, size_t depth) {
    VF sums[ROWS][4];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int n = 0; n < 4; n++) sums[r][n] = (VF){0};
    for (size_t k = 0; k < depth; k += WIDTH) {
        VF weights[4];
#pragma clang loop unroll(full)
        for (int n = 0; n < 4; n++) weights[n] = LOAD(w + n * w_stride + k);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            VF v = LOAD(a + r * a_stride + k);
#pragma clang loop unroll(full)
            for (int n = 0; n < 4; n++) sums[r][n] += v * weights[n];
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
        V4 four = NAME(sum4)(sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
        memcpy(c + r * c_stride, &four, 16);
    }
}

static void NAME(project)(const float *a, const float *w, float *c, size_t c_stride, size_t rows, size_t outputs, size_t depth) {
    // Four rows of weights stay in the first-level cache while a group of input rows, which the second level holds,
    // passes by.
    size_t group = (size_t)(PANEL_BYTES / 4) / depth / ROWS * ROWS;
    for (size_t begin = 0; begin < rows; begin += group) {
        size_t end = begin + group < rows ? begin + group : rows;
        for (size_t n = 0; n < outputs; n += 4) {
            const float *weights = w + n * depth;
            size_t r = begin;
            for (; r + ROWS <= end; r += ROWS)
                NAME(block4)(ROWS, a + r * depth, depth, weights, depth, c + r * c_stride + n, c_stride, depth);
            const float *rest = a + r * depth;
            float *to = c + r * c_stride + n;
            switch (end - r) {
#if ROWS > 5
                case 5: NAME(block4)(5, rest, depth, weights, depth, to, c_stride, depth); break;
                case 4: NAME(block4)(4, rest, depth, weights, depth, to, c_stride, depth); break;
                case 3: NAME(block4)(3, rest, depth, weights, depth, to, c_stride, depth); break;
#endif
#if ROWS > 2
                case 2: NAME(block4)(2, rest, depth, weights, depth, to, c_stride, depth); break;
#endif
                case 1: NAME(block4)(1, rest, depth, weights, depth, to, c_stride, depth); break;
                default: break;
            }
        }
    }
}

// c[rows x 32] = a[rows x depth] * b[depth x 32]: one column block of a product whose right side is not transposed.
#define COLUMN_VECTORS (32 / WIDTH)
INLINE void NAME(block32)(const int rows, const float *a, size_t a_stride, const float *b, size_t b_stride, float *c,
                          size_t c_stride, size_t depth) {
    VF sums[COLUMN_ROWS][COLUMN_VECTORS];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int n = 0; n < COLUMN_VECTORS; n++) sums[r][n] = (VF){0};
    for (size_t k = 0; k < depth; k++) {
        VF right[COLUMN_VECTORS];
#pragma clang loop unroll(full)
        for (int n = 0; n < COLUMN_VECTORS; n++) right[n] = LOAD(b + k * b_stride + n * WIDTH);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            float left = a[r * a_stride + k];
#pragma clang loop unroll(full)
            for (int n = 0; n < COLUMN_VECTORS; n++) sums[r][n] += left * right[n];
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int n = 0; n < COLUMN_VECTORS; n++) STORE(c + r * c_stride + n * WIDTH, sums[r][n]);
}

static void NAME(multiply32)(const float *a, size_t a_stride, const float *b, size_t b_stride, float *c, size_t c_stride,
                             size_t rows, size_t depth) {
    size_t r = 0;
    for (; r + COLUMN_ROWS <= rows; r += COLUMN_ROWS)
        NAME(block32)(COLUMN_ROWS, a + r * a_stride, a_stride, b, b_stride, c + r * c_stride, c_stride, depth);
    for (; r < rows; r++) NAME(block32)(1, a + r * a_stride, a_stride, b, b_stride, c + r * c_stride, c_stride, depth);
}

static void NAME(attention_head)(const float *queries, const float *keys, const float *values, size_t stride,
                                 size_t length, float *scratch, float *out, size_t out_stride) {
    const size_t padded = (length + 31) / 32 * 32;
    float *transposed = scratch, *scores = scratch + 32 * padded;
    for (size_t d = 0; d < 32; d++) {
        for (size_t j = 0; j < length; j++) transposed[d * padded + j] = keys[j * stride + d];
        for (size_t j = length; j < padded; j++) transposed[d * padded + j] = 0;
    }
    const float scale = 0.17677670f;  // 1 / sqrt(32)
    for (size_t begin = 0; begin < length; begin += 32) {
        size_t rows = length - begin < 32 ? length - begin : 32;
        for (size_t j = 0; j < padded; j += 32)
            NAME(multiply32)(queries + begin * stride, stride, transposed + j, padded, scores + j, padded, rows, 32);
        for (size_t r = 0; r < rows; r++) {
            float *row = scores + r * padded;
            for (size_t j = length; j < padded; j++) row[j] = -3.0e38f;
            VF highest = LOAD(row);
            for (size_t j = WIDTH; j < padded; j += WIDTH) highest = __builtin_elementwise_max(highest, LOAD(row + j));
            float top = highest[0];
            for (int i = 1; i < WIDTH; i++) top = highest[i] > top ? highest[i] : top;
            VF total = {0};
            for (size_t j = 0; j < padded; j += WIDTH) {
                VF e = NAME(exponential)((LOAD(row + j) - top) * scale);
                STORE(row + j, e);
                total += e;
            }
            float inverse = 1.0f / NAME(sum)(total);
            for (size_t j = 0; j < padded; j += WIDTH) STORE(row + j, LOAD(row + j) * inverse);
        }
        NAME(multiply32)(scores, padded, values, stride, out + begin * out_stride, out_stride, rows, length);
    }
}

#undef VF
#undef VI
#undef V4
#undef LOAD
#undef STORE
#undef INLINE
#undef UNPACK_LOW
#undef UNPACK_HIGH
#undef PAIRS_LOW
#undef PAIRS_HIGH
#undef COLUMN_VECTORS
#undef WIDTH
#undef ROWS
#undef COLUMN_ROWS
#undef NAME
