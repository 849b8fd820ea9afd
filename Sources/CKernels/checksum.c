#include "CKernels.h"
#include "choice.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Table-driven, one byte a step; the table is made when the program is loaded, before any thread can ask for it.
static uint32_t table[256];

__attribute__((constructor)) static void make_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = (c & 1) ? (c >> 1) ^ 0x82F63B78u : c >> 1;
        table[i] = c;
    }
}

uint32_t ck_crc32c_portable(uint32_t seed, const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    uint32_t c = ~seed;
    for (size_t i = 0; i < count; i++) c = table[(c ^ p[i]) & 0xff] ^ (c >> 8);
    return ~c;
}

#if defined(__x86_64__)
// The instruction takes eight bytes in three cycles, but can begin one in every cycle: three stretches go side by side, and what the first two
// give is moved over the bytes after them. Moving a sum over n bytes is a product with x^8n modulo the polynomial; the carry-less product of
// two sums, taken for eight bytes of data, comes out as their product times x^33, hence x^(8n - 33).
#define STEPS 3
static const size_t stretches[STEPS] = {1024, 256, 64};
static uint64_t once[STEPS], twice[STEPS];

static uint32_t power(size_t exponent) {
    uint32_t x = 0x80000000u;
    while (exponent--) x = (x & 1) ? (x >> 1) ^ 0x82F63B78u : x >> 1;
    return x;
}

__attribute__((constructor)) static void make_factors(void) {
    for (int i = 0; i < STEPS; i++) {
        once[i] = power(8 * stretches[i] - 33);
        twice[i] = power(16 * stretches[i] - 33);
    }
}

__attribute__((target("sse4.2,pclmul")))
static inline uint64_t moved(uint64_t sum, uint64_t factor) {
    const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)sum), _mm_cvtsi64_si128((long long)factor), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

static inline uint64_t word_at(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return word;
}

__attribute__((target("sse4.2,pclmul")))
static uint32_t crc32c_sse42(uint32_t seed, const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    uint64_t c = (uint32_t)~seed;
    for (int step = 0; step < STEPS; step++) {
        const size_t n = stretches[step];
        for (; count >= 3 * n; p += 3 * n, count -= 3 * n) {
            uint64_t second = 0, third = 0;
            for (size_t i = 0; i < n; i += 8) {
                c = _mm_crc32_u64(c, word_at(p + i));
                second = _mm_crc32_u64(second, word_at(p + n + i));
                third = _mm_crc32_u64(third, word_at(p + 2 * n + i));
            }
            c = moved(c, twice[step]) ^ moved(second, once[step]) ^ third;
        }
    }
    for (; count >= 8; p += 8, count -= 8) c = _mm_crc32_u64(c, word_at(p));
    uint32_t r = (uint32_t)c;
    while (count--) r = _mm_crc32_u8(r, *p++);
    return ~r;
}
#endif

uint32_t ck_crc32c(uint32_t seed, const void *bytes, size_t count) {
#if defined(__x86_64__)
    if (ck_most > CK_SIMD_PORTABLE && __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
        return crc32c_sse42(seed, bytes, count);
#endif
    return ck_crc32c_portable(seed, bytes, count);
}
