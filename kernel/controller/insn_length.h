/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lengths of x86 instructions, for 32-bit and 64-bit code.
 *
 * Compiles in the kernel and in user space alike: no kernel headers here.
 */
#ifndef KEDR_INSN_LENGTH_H
#define KEDR_INSN_LENGTH_H

/* What an instruction does with a 32-bit displacement, if it has one. */
enum kedr_insn_kind {
	KEDR_INSN_OTHER,	/* not a direct branch with a 32-bit displacement */
	KEDR_INSN_CALL,		/* E8 */
	KEDR_INSN_JMP,		/* E9 */
	KEDR_INSN_JCC,		/* 0F 80 to 0F 8F */
	KEDR_NR_INSN_KINDS,
};

/**
 * struct kedr_insn - what is known about one instruction
 * @length: length in bytes, 1 to 15
 * @rel_at: offset of the 32-bit displacement; for direct branches only
 * @kind: one of &enum kedr_insn_kind
 */
struct kedr_insn {
	unsigned char length;
	unsigned char rel_at;
	unsigned char kind;
};

/**
 * kedr_insn_decode() - decode one instruction
 * @at: first byte of the instruction
 * @end: the byte after the last one that may be read
 * @is64: non-zero for 64-bit code, zero for 32-bit code
 * @insn: filled on success, untouched otherwise
 *
 * Bytes at @end and after it are never read.
 *
 * Return: the length of the instruction in bytes; 0 if the bytes are not an
 * instruction, if it does not end before @end, or if its length depends on
 * the maker of the processor.
 */
int kedr_insn_decode(const unsigned char *at, const unsigned char *end,
		     int is64, struct kedr_insn *insn);

#endif /* KEDR_INSN_LENGTH_H */
