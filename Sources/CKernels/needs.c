#include "CKernels.h"

#include <string.h>

void ck_needs_most(int kind, const ck_need_bound *bound, const int32_t *products, const void *factors, const void *rests, const float *words,
                   const void *logs, const void *lengths, size_t count, float *most) {
    const ck_need_bound b = *bound;
    if (count > CK_NEEDS_BLOCK) count = CK_NEEDS_BLOCK;
    float cosines[CK_NEEDS_BLOCK], shares[CK_NEEDS_BLOCK];
    if (kind == CK_NEEDS_ODDS || kind == CK_NEEDS_COSINE) {
        float factor[CK_NEEDS_BLOCK], rest[CK_NEEDS_BLOCK];
        memcpy(factor, factors, 4 * count);
        memcpy(rest, rests, 4 * count);
        for (size_t i = 0; i < count; i++)
            cosines[i] = factor[i] * (b.scale * ((float)products[i] - b.zero)) + rest[i] * b.norm + b.error;
        if (kind == CK_NEEDS_COSINE) {
            memcpy(most, cosines, 4 * count);
            return;
        }
    }
    uint32_t log[CK_NEEDS_BLOCK];
    uint16_t length[CK_NEEDS_BLOCK];
    memcpy(log, logs, 4 * count);
    memcpy(length, lengths, 2 * count);
    for (size_t i = 0; i < count; i++) {
        // Against the ceiling, whose logarithms are rounded up; a pair of words adds a fifth of theirs at most.
        float ceiling = (float)length[i] * b.log_texts - (float)log[i] * (1.0f / 256);
        ceiling = ceiling > 1e-3f ? ceiling : 1e-3f;
        float share = words[i] / ceiling;
        shares[i] = share < 1.2f ? share : 1.2f;
    }
    switch (kind) {
    case CK_NEEDS_ODDS:
        for (size_t i = 0; i < count; i++) {
            float evidence = words[i] * (1 / b.points) + b.coverage * shares[i];
            most[i] = b.cosine * cosines[i] + b.text * (evidence / (1 + evidence / b.text_max)) - b.cut;
        }
        break;
    case CK_NEEDS_SHARE:
        memcpy(most, shares, 4 * count);
        break;
    default:
        for (size_t i = 0; i < count; i++) most[i] = words[i] > 0 ? shares[i] / (shares[i] + b.share_cut) : -1e30f;
    }
}

// Returns the bytes read, 0 for none.
static inline size_t varint(const uint8_t *bytes, size_t size, uint64_t *value) {
    uint64_t found = 0;
    for (size_t i = 0; i < size && i < 6; i++) {
        found |= (uint64_t)(bytes[i] & 0x7f) << (7 * i);
        if (bytes[i] < 0x80) {
            *value = found;
            return i + 1;
        }
    }
    return 0;
}

int ck_needs_add(const uint8_t *bytes, size_t size, uint32_t first, uint32_t slots, float gain, float *words, uint32_t *exact,
                 size_t *exact_count) {
    uint64_t number = first;
    for (size_t at = 0; at < size;) {
        uint64_t entry, said = 1;
        size_t read = varint(bytes + at, size - at, &entry);
        if (!read || (at > 0 && entry < 4)) return 0;
        at += read;
        number += entry >> 2;
        if (number >= slots) return 0;
        if (entry & 1) {
            read = varint(bytes + at, size - at, &said);
            if (!read) return 0;
            at += read;
        }
        words[number] += gain * (float)said;
        if (exact && (entry & 2)) exact[(*exact_count)++] = (uint32_t)number;
    }
    return 1;
}
