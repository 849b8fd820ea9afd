// What the C library is told about memory of large requests. Not a kernel, but C and ours.
#include "CKernels.h"
#if defined(__GLIBC__) || defined(__linux__)
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>
#endif

void ck_allocator_begin(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
#endif
}

/* Whoever allocates waits while the C library looks for what it can give back: a tenth of a second of a small heap too, when it is
   done again and again. So only when there is much. */
#define CK_KEPT_BYTES_MAX (192L << 20)

void ck_allocator_give_back(void)
{
#ifdef __GLIBC__
    long size = 0, resident = 0, shared = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file) {
        int fields = fscanf(file, "%ld %ld %ld", &size, &resident, &shared);
        fclose(file);
        if (fields == 3 && (resident - shared) * sysconf(_SC_PAGESIZE) <= CK_KEPT_BYTES_MAX) return;
    }
    malloc_trim(1 << 20);
#endif
}
