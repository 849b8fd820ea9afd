#include "CKernels.h"
#include <math.h>

void ck_encoder_pack_bytes(const float *w, size_t outputs, size_t depth, int8_t *packed, float *scales, int32_t *sums) {
    for (size_t n = 0; n < outputs; n++) {
        const float *row = w + n * depth;
        float highest = 0;
        for (size_t k = 0; k < depth; k++) highest = fmaxf(highest, fabsf(row[k]));
        const float scale = highest > 0 ? highest / 127 : 1;
        int8_t *to = packed + (n / 32 * depth) * 32 + n % 32 * 4;
        sums[n] = 0;
        for (size_t k = 0; k < depth; k++) {
            const int8_t byte = (int8_t)lrintf(row[k] / scale);
            to[k / 4 * 128 + k % 4] = byte;
            sums[n] += byte;
        }
        scales[n] = scale;
    }
}
