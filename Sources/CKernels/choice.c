// Which kernels may be used: those that the processor has, or fewer, when the environment says so. CONTEX_KERNELS=portable, avx2 or avx512
// bounds every family alike, so that one machine can stand for another in a test. It is found out once, before main.
#include "CKernels.h"
#include "choice.h"
#include <stdlib.h>
#include <string.h>

int ck_most = CK_SIMD_VNNI, ck_level = CK_SIMD_PORTABLE;
static int is_named = 1;

static int processor_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c")) return CK_SIMD_PORTABLE;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512bw"))
        return CK_SIMD_AVX2;
    return __builtin_cpu_supports("avx512vnni") ? CK_SIMD_VNNI : CK_SIMD_AVX512;
#elif defined(__aarch64__)
    return CK_SIMD_AVX2;
#else
    return CK_SIMD_PORTABLE;
#endif
}

__attribute__((constructor)) static void choose(void) {
    const char *text = getenv("CONTEX_KERNELS");
    if (text && *text) {
        if (!strcmp(text, "portable")) ck_most = CK_SIMD_PORTABLE;
        else if (!strcmp(text, "avx2")) ck_most = CK_SIMD_AVX2;
        else is_named = !strcmp(text, "avx512");
    }
    ck_level = processor_level();
    if (ck_level > ck_most) ck_level = ck_most;
}

int ck_kernels_named(void) { return is_named; }
int ck_simd_level(void) { return ck_level; }
