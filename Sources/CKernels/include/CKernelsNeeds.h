// needs.c: bounds over standing needs, and the lists of words that lead to them (docs/formats/needs-v2.md, Sources/Needs). What comes out of these
// decides only which needs are scored exactly, so it may differ in its last bits from processor to processor.
#ifndef CKERNELS_NEEDS_H
#define CKERNELS_NEEDS_H

#include <stddef.h>
#include <stdint.h>

// Needs of a block.
#define CK_NEEDS_BLOCK 80

// What a fresh text and the moment bring to the bound of each need.
typedef struct {
    // The product of the text's vector with the levels of a code is scale * (product - zero).
    float scale, zero;
    // Length of the vector as it was rounded, and how far the rounding moved it.
    float norm, error;
    // Of the calibration (Sources/Search/Calibration.swift).
    float cosine, text, points, coverage, text_max, cut, share_cut;
    // ln(texts + 1)
    float log_texts;
} ck_need_bound;

// What the similarity of a need is compared by: log-odds, the cosine, the share of its words, or the similarity by words alone.
#define CK_NEEDS_ODDS 0
#define CK_NEEDS_COSINE 1
#define CK_NEEDS_SHARE 2
#define CK_NEEDS_WORDS 3

// The most that each need of a block can reach. Factors and rests are little-endian floats, logs 32-bit numbers in 256ths, lengths 16-bit numbers, none
// aligned. `products` is read for ODDS and COSINE, the words for the others and ODDS.
void ck_needs_most(int kind, const ck_need_bound *bound, const int32_t *products, const void *factors, const void *rests, const float *words,
                   const void *logs, const void *lengths, size_t count, float *most);

// Adds gain times the count of each entry of a list to words[number]; where `exact` is given, the numbers of entries that are exact are written
// there (room for `size`) and counted. Entries: varint of (difference << 2 | exact << 1 | many), then, if many, varint of the count; the first
// difference is from `first`. Returns 0 when the list is none: numbers that do not rise or are not below `slots`, bytes that end early.
int ck_needs_add(const uint8_t *bytes, size_t size, uint32_t first, uint32_t slots, float gain, float *words, uint32_t *exact,
                 size_t *exact_count);

#endif
