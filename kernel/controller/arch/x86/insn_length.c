// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lengths of x86 instructions, for 32-bit and 64-bit code.
 *
 * Only what decides the length is decoded: prefixes, the opcode map, the
 * addressing bytes and the size of the immediate operand. What each opcode
 * wants is in opcodes.c.
 *
 * Locking: none is needed, there is no state.
 *
 * Compiles in the kernel and in user space alike: no kernel headers here.
 */

#include "insn_length.h"
#include "opcodes.h"

#define MAX_LENGTH	15

/*
 * The decoder reads without looking for the end. It takes at most 14 prefixes,
 * 4 further bytes up to the opcode, ModRM and SIB; what follows is counted
 * and not read. It is only let loose where this many bytes can be read.
 */
#define MAX_PREFIXES	(MAX_LENGTH - 1)
#define ROOM		(MAX_PREFIXES + 8)

struct decoder {
	const unsigned char *next;
	int is64;
	int operand_16;			/* prefix 66 */
	int address_size;		/* prefix 67 */
	int repeat;			/* the last one of F2 and F3, or 0 */
	int lock;
	int rex;			/* a REX or REX2 prefix is there */
	int wide;			/* REX.W and its like */
	unsigned char map;
	unsigned char opcode;
};

static int take(struct decoder *d)
{
	return *d->next++;
}

static void note_prefix(struct decoder *d, int byte)
{
	switch (byte) {
	case 0x66:
		d->operand_16 = 1;
		break;
	case 0x67:
		d->address_size = 1;
		break;
	case 0xf0:
		d->lock = 1;
		break;
	case 0xf2:
	case 0xf3:
		d->repeat = byte;
		break;
	default:
		/* segment overrides and branch hints do not matter */
		break;
	}
}

/*
 * Takes all legacy prefixes and the REX prefix. A REX prefix counts only
 * directly before the opcode. Returns the byte after them, or -1 if there are
 * more of them than an instruction can have.
 */
static int take_prefixes(struct decoder *d)
{
	int nr;

	for (nr = 0; nr <= MAX_PREFIXES; nr++) {
		int byte = take(d);

		if (kedr_map_one_byte[byte] & P) {
			note_prefix(d, byte);
			d->rex = 0;
			d->wide = 0;
		} else if (d->is64 && (byte & 0xf0) == 0x40) {
			d->rex = 1;
			d->wide = byte & 0x08;
		} else {
			return byte;
		}
	}
	return -1;
}

/* Prefixes that make an instruction with VEX, EVEX or XOP undefined. */
static int has_simd_prefix(const struct decoder *d)
{
	return d->operand_16 || d->repeat || d->lock || d->rex;
}

/* Takes the rest of a VEX or XOP prefix of three bytes and the opcode. */
static void take_vex3(struct decoder *d)
{
	int second;

	d->map = take(d) & 0x1f;
	second = take(d);
	d->wide = second & 0x80;
	d->operand_16 = (second & 3) == 1;
	d->opcode = take(d);
}

static void take_vex2(struct decoder *d)
{
	take(d);
	d->map = MAP_0F;
	d->opcode = take(d);
}

static void take_evex(struct decoder *d)
{
	int second;

	d->map = take(d) & 0x07;
	second = take(d);
	take(d);
	d->wide = second & 0x80;
	d->operand_16 = (second & 3) == 1;
	d->opcode = take(d);
}

static int shape_of_0f(const struct decoder *d)
{
	if (d->opcode == 0xb8 && d->repeat != 0xf3)
		return X;
	if (d->opcode == 0x78 && (d->operand_16 || d->repeat == 0xf2))
		return M | BB;
	return kedr_map_0f[d->opcode];
}

/* REX2: one byte of payload, then an opcode of the one-byte or the 0F map. */
static int decode_rex2(struct decoder *d)
{
	int payload = take(d);
	int row;

	if (d->rex)
		return X;
	d->opcode = take(d);
	d->wide = payload & 0x08;
	row = d->opcode >> 4;
	if (payload & 0x80) {
		d->map = MAP_0F;
		return row == 3 || row == 8 ? X : shape_of_0f(d);
	}
	if (d->opcode == 0xa1)
		return Q;
	if (row == 4 || row == 7 || row == 0xa || row == 0xe)
		return X;
	if (d->opcode == 0x8f)
		return M;
	return kedr_map_one_byte[d->opcode];
}

static int decode_0f(struct decoder *d)
{
	d->opcode = take(d);
	d->map = MAP_0F;
	if (d->opcode == 0x38) {
		d->map = MAP_0F38;
		d->opcode = take(d);
		return M;
	}
	if (d->opcode == 0x3a) {
		d->map = MAP_0F3A;
		d->opcode = take(d);
		return M | B;
	}
	return shape_of_0f(d);
}

/*
 * The opcodes that are marked X in the one-byte map. In 32-bit code VEX and
 * EVEX share theirs with instructions whose operand must be in memory; XOP
 * shares its with POP.
 */
static int decode_escape(struct decoder *d)
{
	int simd = d->is64 || *d->next >= 0xc0;

	switch (d->opcode) {
	case 0x0f:
		return decode_0f(d);
	case 0xd5:
		return d->is64 ? decode_rex2(d) : B;
	case 0x8f:
		if ((*d->next & 0x1f) < MAP_XOP_8)
			return M;
		break;
	default:
		if (!simd)
			return M;
		break;
	}

	if (has_simd_prefix(d))
		return X;
	switch (d->opcode) {
	case 0x62:
		take_evex(d);
		return kedr_shape_of_evex(d->map, d->opcode);
	case 0x8f:
		take_vex3(d);
		return kedr_shape_of_xop(d->map);
	case 0xc4:
		take_vex3(d);
		return kedr_shape_of_vex(d->map, d->opcode);
	default:
		take_vex2(d);
		return kedr_shape_of_vex(d->map, d->opcode);
	}
}

/* Decodes up to and with the opcode; returns the shape of what follows. */
static int decode_opcode(struct decoder *d)
{
	int byte = take_prefixes(d);
	int shape;

	if (byte < 0)
		return X;
	d->opcode = byte;
	d->map = MAP_ONE_BYTE;
	shape = kedr_map_one_byte[byte];
	return shape & X ? decode_escape(d) : shape;
}

/* Size of the displacement that ModRM asks for with 16-bit addresses. */
static int displacement_16(int modrm)
{
	switch (modrm >> 6) {
	case 0:
		return (modrm & 7) == 6 ? 2 : 0;
	case 1:
		return 1;
	case 2:
		return 2;
	default:
		return 0;
	}
}

/* Takes ModRM and SIB and goes over the displacement. Returns ModRM. */
static int take_modrm(struct decoder *d, int registers_only)
{
	int modrm = take(d);
	int base = modrm & 7;

	if (registers_only || modrm >= 0xc0)
		return modrm;
	if (d->address_size && !d->is64) {
		d->next += displacement_16(modrm);
		return modrm;
	}
	if (base == 4)
		base = take(d) & 7;
	if (modrm >= 0x80)
		d->next += 4;
	else if (modrm >= 0x40)
		d->next += 1;
	else if (base == 5)
		d->next += 4;
	return modrm;
}

/* Size of the immediate operands that are not just one byte. */
static int large_immediate(const struct decoder *d, int shape)
{
	int narrow = d->operand_16 && !d->wide;
	int size = 0;

	if (shape & (W | BB))
		size += 2;
	if (shape & D)
		size += 4;
	if (shape & Z)
		size += narrow ? 2 : 4;
	if (shape & V)
		size += d->wide ? 8 : (narrow ? 2 : 4);
	if (shape & O)
		size += d->is64 ? (d->address_size ? 4 : 8) :
				  (d->address_size ? 2 : 4);
	if (shape & F)
		size += narrow ? 4 : 6;
	if (shape & Q)
		size += 8;
	return size;
}

static enum kedr_insn_kind branch_kind(const struct decoder *d)
{
	if (d->map == MAP_0F)
		return KEDR_INSN_JCC;
	return d->opcode == 0xe8 ? KEDR_INSN_CALL : KEDR_INSN_JMP;
}

/*
 * Goes over the displacement of a near branch. With an operand size prefix the
 * makers of processors do not agree on its length in 64-bit code, so that is
 * refused; in 32-bit code the displacement then has 16 bits. Returns 0 or -1.
 */
static int take_branch(struct decoder *d, const unsigned char *start,
		       struct kedr_insn *insn)
{
	if (d->operand_16 && !d->wide) {
		d->next += 2;
		return d->is64 ? -1 : 0;
	}
	insn->kind = branch_kind(d);
	insn->field_at = d->next - start;
	d->next += 4;
	return 0;
}

/* Decodes where ROOM bytes can be read. Returns the length or 0. */
static int decode(const unsigned char *start, int is64, struct kedr_insn *insn)
{
	struct decoder d = { .next = start, .is64 = is64 };
	int shape = decode_opcode(&d);

	if (shape & (X | P | I)) {
		if ((shape & (X | P)) || is64)
			return 0;
		shape &= ~I;
	}
	if (shape & (M | R)) {
		int modrm = take_modrm(&d, shape & R);

		if ((shape & G) && (modrm & 0x30))
			shape &= ~(B | Z);
	}
	if (shape & J) {
		if (take_branch(&d, start, insn))
			return 0;
	} else {
		d.next += shape & B ? 1 : 0;
		if (shape & ~(M | R | B | G))
			d.next += large_immediate(&d, shape);
	}
	return d.next - start;
}

/* Decodes where only @size bytes can be read, fewer than ROOM. */
static int decode_near_end(const unsigned char *start, int size, int is64,
			   struct kedr_insn *insn)
{
	unsigned char copy[ROOM] = { 0 };
	int i;

	for (i = 0; i < size; i++)
		copy[i] = start[i];
	return decode(copy, is64, insn);
}

int kedr_insn_decode(const unsigned char *at, const unsigned char *end,
		     int is64, struct kedr_insn *insn)
{
	struct kedr_insn found = { 0, 0, KEDR_INSN_OTHER };
	int length;

	if (at >= end)
		return 0;
	if (end - at < ROOM)
		length = decode_near_end(at, end - at, is64, &found);
	else
		length = decode(at, is64, &found);
	if (!length || length > MAX_LENGTH || length > end - at)
		return 0;
	found.length = length;
	if (*at == INT3)
		found.kind = KEDR_INSN_TRAP;
	*insn = found;
	return length;
}
