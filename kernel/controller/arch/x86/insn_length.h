/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lengths of x86 instructions, for 32-bit and 64-bit code.
 *
 * Compiles in the kernel and in user space alike: no kernel headers here.
 */
#ifndef KEDR_INSN_LENGTH_H
#define KEDR_INSN_LENGTH_H

#include "arch.h"

/* The instruction that breakpoints are made of. */
#define INT3 0xcc

/*
 * Decodes one instruction as kedr_arch_decode() does, of 64-bit code if @is64
 * is not zero, else of 32-bit code. Also returns 0 if the length depends on the
 * maker of the processor. Bytes at @end and after it are never read.
 */
int kedr_insn_decode(const unsigned char *at, const unsigned char *end,
		     int is64, struct kedr_insn *insn);

#endif /* KEDR_INSN_LENGTH_H */
