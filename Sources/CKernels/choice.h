// Within CKernels: what choice.c has found out before main.
#ifndef CHOICE_H
#define CHOICE_H

extern __attribute__((visibility("hidden"))) int ck_most, ck_level;

#endif
