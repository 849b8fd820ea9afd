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

// What one term's share of a score depends on beside frequency and length: round(weight * (f / (f + base + slope * length))), in single
// precision, operation by operation, to the nearest integer, ties to even. A length is told as it is stored, plus one; 0, which
// is no text, counts as 1.
typedef struct {
    float weight, base, slope;
} ck_scale;

// The shares of frequencies 1...4 in texts of 0...254 terms: table[(f - 1) * CK_TABLE_LENGTHS + stored].
#define CK_TABLE_COUNTS 4
#define CK_TABLE_LENGTHS 256
void ck_share_table(int level, const ck_scale *scale, int32_t *table);

// The texts of nodes start ... start + CK_POSTINGS_WINDOW - 1: their stored lengths; those over 65,535 as 65,535, and whole in `wide`, which is NULL when
// there are none.
typedef struct {
    const uint16_t *lengths;
    const uint32_t *wide;
    uint32_t start;
} ck_window;

// Widens little-endian numbers of 1, 2 or 4 bytes; `wide` is written for 4 only.
void ck_widen_lengths(int level, const uint8_t *lengths, unsigned width, size_t count, uint16_t *out, uint32_t *wide);

// For each posting: sums[node - start] += its share; of frequency 1, and of any. Differences are taken modulo the window. `table` is that of
// `scale`.
void ck_add_ones(const ck_scale *scale, const int32_t *table, const ck_window *window, const uint32_t *nodes, size_t count, int32_t *sums);
void ck_add_counts(const ck_scale *scale, const int32_t *table, const ck_window *window, const uint32_t *nodes, const uint32_t *counts,
                   size_t count, int32_t *sums);

// How many of count <= 128 rising nodes are below `node`.
size_t ck_count_below(int level, const uint32_t *nodes, size_t count, uint32_t node);

// The places of sums > limit (limit >= 0), rising, and the sums there; then every sum is 0. Returns how many.
size_t ck_take_over(int level, int32_t *sums, int32_t limit, uint32_t *places, int32_t *taken);

#endif
