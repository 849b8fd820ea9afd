// What the C library is told about memory of large requests. Not a kernel, but C and ours.
#include "CKernels.h"
#if defined(__GLIBC__) || defined(__linux__)
#include <malloc.h>
#endif

void ck_allocator_begin(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
#endif
}

void ck_allocator_give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(1 << 20);
#endif
}
