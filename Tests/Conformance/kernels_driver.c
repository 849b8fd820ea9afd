// Prints what the kernels make of numbers from a fixed seed, bit by bit, for every level that this processor has: the same on all processors.
#include "CKernels.h"
#include <stdio.h>
#include <string.h>

static uint64_t state = 2026;
static uint32_t next(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}
static float number(void) { return ((float)next() / 2147483648.0f - 0.5f) * 4; }
static uint32_t bits(float value) {
    uint32_t word;
    memcpy(&word, &value, 4);
    return word;
}

int main(void) {
    static float a[2048], b[2048], wide[2048];
    static uint16_t halves[2048];
    int most = ck_simd_level() > CK_SIMD_AVX2 ? CK_SIMD_VNNI : ck_simd_level();
    for (int round = 0; round < 400; round++) {
        size_t count = round < 40 ? (size_t)round : 1 + next() % 2000;
        for (size_t i = 0; i < count; i++) a[i] = number(), b[i] = number();
        if (count > 4 && round % 7 == 0) a[1] = 1e-40f, b[1] = 3e-39f, a[2] = 1e30f, b[2] = -1e30f;
        ck_encoder_halves(b, halves, count);
        ck_halves_widen(halves, wide, count);
        uint32_t dot = bits(ck_dot_f32_at(0, a, b, count)), half = bits(ck_dot_f16_at(0, a, halves, count));
        for (int level = 1; level <= most; level++)
            if (bits(ck_dot_f32_at(level, a, b, count)) != dot || bits(ck_dot_f16_at(level, a, halves, count)) != half) {
                printf("level %d differs at %zu numbers\n", level, count);
                return 1;
            }
        uint32_t sum = 0;
        for (size_t i = 0; i < count; i++) sum = sum * 31 + bits(wide[i]);
        printf("%zu %08x %08x %08x %08x\n", count, dot, half, sum, ck_crc32c(0, a, 4 * count));
    }
    return 0;
}
