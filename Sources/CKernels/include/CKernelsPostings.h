// postings.c: the loops of the inverted index (docs/formats/fulltext-v1.md, Sources/FullText). Packed values are a stream of
// bits, least significant first: value i of width b begins at bit i * b. `level` is what ck_postings_level() says, or less, so
// that a test can compare them. Every level gives the same bits.
#ifndef CKERNELS_POSTINGS_H
#define CKERNELS_POSTINGS_H

#include <stddef.h>
#include <stdint.h>

// Values of a block, and what an output buffer must have room for.
#define CK_POSTINGS_MAX 128
// Nodes of a window: `norms` and `sums` have this many entries.
#define CK_POSTINGS_WINDOW 4096

// 0 portable, 1 AVX2, 2 AVX-512 with VBMI.
int ck_postings_level(void);

// Bytes that `count` values of `bits` bits take.
static inline size_t ck_packed_bytes(size_t count, unsigned bits) { return (count * bits + 7) / 8; }

// Packs count <= 128 values, each below 2^bits; writes ck_packed_bytes.
void ck_pack(const uint32_t *values, size_t count, unsigned bits, uint8_t *out);

// Unpacks count <= 128 values and adds 1 to each. `available` >= ck_packed_bytes is what may be read from `bytes`. Entries of
// `out` from `count` on, up to 128, become anything.
void ck_unpack_counts(int level, const uint8_t *bytes, size_t available, unsigned bits, size_t count, uint32_t *out);

// The same for node numbers: out[i] = first - 1 + the sum of (value + 1) up to and with value i. Returns 0 when the numbers
// run over 32 bits or do not end with `last`, so that 1 promises first = out[0] < out[1] < ... = last.
int ck_unpack_nodes(int level, const uint8_t *bytes, size_t available, unsigned bits, size_t count, uint32_t first, uint32_t last, uint32_t *out);

// norms[i] = base + slope * (lengths[i] - 1), where lengths are little-endian numbers of `width` (1, 2, 4) bytes and 0 counts
// as 1. `norms` has room for count rounded up to 16.
void ck_norms(int level, const uint8_t *lengths, unsigned width, size_t count, float base, float slope, float *norms);

// For each posting: sums[node - start] += round(weight * (f / (f + norms[node - start]))), in single precision, operation by
// operation, to the nearest integer, ties to even. Differences are taken modulo the window.
void ck_add_shares(int level, const uint32_t *nodes, const uint32_t *counts, size_t count, uint32_t start, const float *norms,
                   float weight, int32_t *sums);

// The places of sums > limit (limit >= 0), rising, and the sums there; then every sum is 0. Returns how many.
size_t ck_take_over(int level, int32_t *sums, int32_t limit, uint32_t *places, int32_t *taken);

#endif
