// The entry of libFuzzer for programs with a main of their own ("Using libFuzzer as a library" in LLVM's manual); no header of
// the toolchain declares it. The archive comes with -sanitize=fuzzer.
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*check)(const uint8_t *data, size_t size));
