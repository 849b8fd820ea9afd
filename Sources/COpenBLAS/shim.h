// Types and constants only: the library is opened at run time (Embedding/OpenBLAS.swift says why), so nothing is linked.
#include <cblas.h>
