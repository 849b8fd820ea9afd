// codes.c: quantised vectors. A code has `bits` (4 or 8) a dimension; dimensions are padded to a multiple of 128.
//
//     4 bits: byte j of each 64 holds dimension j in its low half and dimension j + 64 in its high half; level c is c - 7.5
//     8 bits: byte j is dimension j; level c is c - 128
//
// A vector x is about factor * (levels of its code), the factor being chosen so that <x, x> comes out exactly. Products
// of codes are sums of integers, exact in any order, so that every instruction set gives the same number.
#ifndef CK_CODES_H
#define CK_CODES_H

#include <stddef.h>
#include <stdint.h>

#define CK_CODES_BLOCK 128

// Instruction sets; ck_codes_level() says what this processor has.
#define CK_CODES_PORTABLE 0
#define CK_CODES_AVX2 1
#define CK_CODES_VNNI 2
int ck_codes_level(void);

static inline size_t ck_codes_bytes(int bits, size_t padded) { return bits == 4 ? padded / 2 : padded; }

// Two rounds of signs, Hadamard transform of each 128 and permutation: an orthogonal map. signs holds 2 * padded floats
// (1 or -1), places 2 * padded indices: out[i] = transformed[places[i]]. scratch and vector hold padded floats.
void ck_codes_rotate(float *vector, float *scratch, const float *signs, const uint32_t *places, size_t padded);

// Writes the code of a rotated vector; returns the factor, 0 for a vector of zeros.
float ck_codes_encode(int bits, const float *rotated, size_t padded, uint8_t *code);

// The other side of a product: whole numbers of 8 bits. Returns the scale; x is about scale * query. *sum is their sum.
float ck_codes_query(const float *rotated, size_t padded, int8_t *query, int32_t *sum);
// A code as the other side of products; the scale is then factor / 2 for 4 bits, factor for 8.
void ck_codes_expand(int bits, const uint8_t *code, size_t padded, int8_t *query, int32_t *sum);

// out[i] = sum over dimensions of query * stored number (0...15 or 0...255) of codes[i]. The level's offset is the
// caller's: subtract 7.5 * sum or 128 * sum.
void ck_codes_products(int level, int bits, const int8_t *query, size_t padded, const uint8_t *const *codes, size_t count,
                       int32_t *out);

// The lines of a code, or of a links record.
static inline void ck_prefetch_bytes(const void *p, size_t bytes) {
    for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch((const char *)p + at, 0, 2);
}

#endif
