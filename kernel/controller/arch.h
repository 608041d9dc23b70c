/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What only an architecture knows: its instructions, where its branches lead,
 * how they are led elsewhere. arch/x86 has the functions for x86; the rest of
 * the controller is the same for all.
 *
 * Each branch has a field of four bytes that says where it leads. On x86 it is
 * the displacement; where instructions have four bytes it is the instruction.
 *
 * Nothing here needs a lock.
 *
 * Compiles in the kernel and in user space alike: no kernel headers here.
 */
#ifndef KEDR_ARCH_H
#define KEDR_ARCH_H

enum kedr_insn_kind {
	KEDR_INSN_OTHER,	/* anything else */
	KEDR_INSN_CALL,		/* direct branches with a field */
	KEDR_INSN_JMP,
	KEDR_INSN_JCC,
	KEDR_INSN_TRAP,		/* what breakpoints are made of */
	KEDR_NR_INSN_KINDS,
};

/**
 * struct kedr_insn - what is known about one instruction
 * @length: length in bytes
 * @field_at: offset of the field; for branches only
 * @kind: one of &enum kedr_insn_kind
 */
struct kedr_insn {
	unsigned char length;
	unsigned char field_at;
	unsigned char kind;
};

/**
 * kedr_arch_decode() - decode one instruction of this kernel's code
 * @at: first byte of the instruction
 * @end: the byte after the last one that may be read
 * @insn: filled on success, else untouched
 *
 * Return: the length of the instruction in bytes; 0 if the bytes are not an
 * instruction or if it does not end before @end.
 */
int kedr_arch_decode(const unsigned char *at, const unsigned char *end,
		     struct kedr_insn *insn);

/**
 * kedr_arch_is_breakpoint() - was a trap put over an instruction?
 * @before: first byte of the instruction before it; @at if there is none
 * @at: first byte of the trap
 * @limit: where the next function or section starts
 * @is_start: non-zero if a function or section starts at @at
 *
 * Return: 0 if the trap stands where compilers put one, else 1.
 */
int kedr_arch_is_breakpoint(const unsigned char *before,
			    const unsigned char *at,
			    const unsigned char *limit, int is_start);

/* Where a branch leads whose field is at address @at and has the value @field. */
unsigned long kedr_arch_destination(unsigned long at, unsigned int field);

/*
 * Changes the value of the field at address @at so that the branch leads to
 * @to. Returns 0, or -1 if it cannot reach that.
 */
int kedr_arch_lead(unsigned long at, unsigned long to, unsigned int *field);

/*
 * Has all processors execute what was written at addresses @from to @from +
 * @size through another mapping, not what they have fetched before. May sleep.
 */
void kedr_arch_written(unsigned long from, unsigned long size);

#endif /* KEDR_ARCH_H */
