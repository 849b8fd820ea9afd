#include <lmdb.h>
// For the refusal of network file systems; Swift's Glibc module leaves this header out.
#include <sys/statfs.h>
