// SPDX-License-Identifier: GPL-2.0-only
/*
 * Branches of x86 with a displacement of 32 bits, and INT3.
 *
 * The displacement counts from the end of the instruction, which is the end of
 * the displacement too.
 *
 * INT3, one byte, stands where execution never comes: behind an instruction
 * that does not go on to the next one, and as padding. Anywhere else, and
 * where a function starts, it is a breakpoint that somebody has put over the
 * first byte of an instruction, for example a kprobe. The rest of that
 * instruction would be misread, so the module is refused. Such a breakpoint
 * behind an unconditional branch cannot be told from the former.
 *
 * Locking: none is needed, there is no state.
 */

#include <linux/smp.h>
#include <linux/string.h>
#include <linux/types.h>

#include "insn_length.h"

#ifdef CONFIG_X86_64
#define IS_64BIT 1
#else
#define IS_64BIT 0
#endif

int kedr_arch_decode(const unsigned char *at, const unsigned char *end,
		     struct kedr_insn *insn)
{
	return kedr_insn_decode(at, end, IS_64BIT, insn);
}

static bool is_prefix(unsigned char byte)
{
	switch (byte) {
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
	case 0x66: case 0x67: case 0xf0: case 0xf2: case 0xf3:
		return true;
	default:
		return IS_64BIT && (byte & 0xf0) == 0x40;
	}
}

/* Does the instruction @insn never go on to the next one, which is @at? */
static bool is_unreached(const unsigned char *insn, const unsigned char *at)
{
	s32 rel;

	while (insn < at && is_prefix(*insn))
		insn++;
	if (insn == at)
		return false;
	switch (*insn) {
	case 0xc2: case 0xc3: case 0xca: case 0xcb: case 0xcf:	/* RET, IRET */
	case 0xe9: case 0xea: case 0xeb:			/* JMP */
	case INT3:
		return true;
	case 0xe8:	/* CALL over it, as return stack buffers are filled */
		memcpy(&rel, insn + 1, sizeof(rel));
		return rel == 1;
	case 0xff:	/* JMP to what a register or memory says */
		return (insn[1] & 0x30) == 0x20;
	case 0x0f:	/* UD2, UD1, UD0 */
		return insn[1] == 0x0b || insn[1] == 0xb9 || insn[1] == 0xff;
	default:
		return false;
	}
}

/* Is there nothing but INT3 up to the next function or section? */
static bool is_padding(const unsigned char *at, const unsigned char *limit)
{
	while (at < limit && *at == INT3)
		at++;
	return at == limit;
}

/* In a run of them only the first one looks at the rest. */
int kedr_arch_is_breakpoint(const unsigned char *before,
			    const unsigned char *at,
			    const unsigned char *limit, int is_start)
{
	if (!is_start && is_unreached(before, at))
		return 0;
	return !is_padding(at, limit);
}

unsigned long kedr_arch_destination(unsigned long at, unsigned int field)
{
	return at + sizeof(field) + (long)(s32)field;
}

int kedr_arch_lead(unsigned long at, unsigned long to, unsigned int *field)
{
	long distance = (long)(to - at - sizeof(*field));

	*field = distance;
	return distance == (s32)distance ? 0 : -1;
}

/* CPUID serializes on every processor that can run this. */
static void serialize_cpu(void *unused)
{
	unsigned int a = 0, b, c = 0, d;

	asm volatile("cpuid"
		     : "+a" (a), "=b" (b), "+c" (c), "=d" (d)
		     :
		     : "memory");
}

void kedr_arch_written(unsigned long from, unsigned long size)
{
	on_each_cpu(serialize_cpu, NULL, 1);
}
