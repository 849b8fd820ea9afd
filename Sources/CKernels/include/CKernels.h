// CKernels: the only C of our own. One file per family of kernels; each has a portable version and versions for
// instruction sets that the CPU may have, chosen once at run time. No kernel allocates, none keeps state, and all of
// them accept unaligned pointers, because LMDB aligns values to two bytes only.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>

// checksum.c: CRC-32C (Castagnoli), the polynomial of iSCSI and ext4. `seed` is the value of the bytes before, 0 at first.
uint32_t ck_crc32c(uint32_t seed, const void *bytes, size_t count);
uint32_t ck_crc32c_portable(uint32_t seed, const void *bytes, size_t count);

// dot.c: products of float32 vectors.
float ck_dot_f32(const void *a, const void *b, size_t count);
float ck_dot_f32_portable(const void *a, const void *b, size_t count);

#endif
