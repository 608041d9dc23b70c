// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lengths of x86 instructions, for 32-bit and 64-bit code.
 *
 * Only what decides the length is decoded: prefixes, the opcode map, the
 * addressing bytes and the size of the immediate operand. An opcode that is
 * not assigned is refused where the neighbours in its map have different
 * lengths; in maps where all opcodes are of one shape (0F 38, 0F 3A, VEX,
 * EVEX, XOP) the shape of the map is used.
 *
 * Locking: none is needed, there is no state.
 *
 * Compiles in the kernel and in user space alike: no kernel headers here.
 */

#include "insn_length.h"

#define MAX_LENGTH	15

/* Shapes of instructions: what follows the opcode. */
#define M	0x0001	/* ModRM, with SIB and displacement as it asks for */
#define B	0x0002	/* 8-bit immediate or displacement */
#define W	0x0004	/* 16-bit immediate */
#define Z	0x0008	/* 16-bit or 32-bit immediate, by operand size */
#define V	0x0010	/* the same, or 64-bit with REX.W */
#define D	0x0020	/* 32-bit immediate whatever the operand size */
#define O	0x0040	/* address, as wide as the address size */
#define J	0x0080	/* displacement of a near branch */
#define F	0x0100	/* far pointer */
#define R	0x0200	/* ModRM that always names registers */
#define BB	0x0400	/* two 8-bit immediates */
#define Q	0x0800	/* 64-bit immediate */
#define P	0x1000	/* a prefix, not an opcode */
#define I	0x2000	/* not an instruction in 64-bit code */
#define X	0x4000	/* not an instruction, or handled elsewhere */
#define G	0x8000	/* group 3: immediate only for /0 and /1 */

static const unsigned short map_one_byte[256] = {
	/* 00 */ M, M, M, M, B, Z, I, I, M, M, M, M, B, Z, I, X,
	/* 10 */ M, M, M, M, B, Z, I, I, M, M, M, M, B, Z, I, I,
	/* 20 */ M, M, M, M, B, Z, P, I, M, M, M, M, B, Z, P, I,
	/* 30 */ M, M, M, M, B, Z, P, I, M, M, M, M, B, Z, P, I,
	/* 40 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/* 50 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/* 60 */ I, I, M | I, M, P, P, P, P, Z, M | Z, B, M | B, 0, 0, 0, 0,
	/* 70 */ B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
	/* 80 */ M | B, M | Z, M | B | I, M | B, M, M, M, M,
	/* 88 */ M, M, M, M, M, M, M, M,
	/* 90 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, F | I, 0, 0, 0, 0, 0,
	/* A0 */ O, O, O, O, 0, 0, 0, 0, B, Z, 0, 0, 0, 0, 0, 0,
	/* B0 */ B, B, B, B, B, B, B, B, V, V, V, V, V, V, V, V,
	/* C0 */ M | B, M | B, W, 0, M | I, M | I, M | B, M | Z,
	/* C8 */ W | B, 0, W, 0, 0, B, I, 0,
	/* D0 */ M, M, M, M, B | I, B | I, 0, 0, M, M, M, M, M, M, M, M,
	/* E0 */ B, B, B, B, B, B, B, B, J, J, F | I, B, 0, 0, 0, 0,
	/* F0 */ P, 0, P, P, 0, 0, M | G | B, M | G | Z, 0, 0, 0, 0, 0, 0, M, M,
};

/* Opcodes after 0F; 38 and 3A lead to further maps. */
static const unsigned short map_0f[256] = {
	/* 00 */ M, M, M, M, X, 0, 0, 0, 0, 0, X, 0, X, M, 0, M | B,
	/* 10 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 20 */ R, R, R, R, X, X, X, X, M, M, M, M, M, M, M, M,
	/* 30 */ 0, 0, 0, 0, 0, 0, X, 0, X, X, X, X, X, X, X, X,
	/* 40 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 50 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 60 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* 70 */ M | B, M | B, M | B, M | B, M, M, M, 0,
	/* 78 */ M, M, X, X, M, M, M, M,
	/* 80 */ J, J, J, J, J, J, J, J, J, J, J, J, J, J, J, J,
	/* 90 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* A0 */ 0, 0, 0, M, M | B, M, M, M, 0, 0, 0, M, M | B, M, M, M,
	/* B0 */ M, M, M, M, M, M, M, M, M, M, M | B, M, M, M, M, M,
	/* C0 */ M, M, M | B, M, M | B, M | B, M | B, M,
	/* C8 */ 0, 0, 0, 0, 0, 0, 0, 0,
	/* D0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* E0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
	/* F0 */ M, M, M, M, M, M, M, M, M, M, M, M, M, M, M, M,
};

/* Names of the opcode maps, as VEX, EVEX and XOP number them. */
enum {
	MAP_ONE_BYTE = 0,
	MAP_0F = 1,
	MAP_0F38 = 2,
	MAP_0F3A = 3,
	MAP_4 = 4,
	MAP_5 = 5,
	MAP_6 = 6,
	MAP_7 = 7,
	MAP_XOP_8 = 8,
	MAP_XOP_9 = 9,
	MAP_XOP_A = 10,
};

struct decoder {
	const unsigned char *start;
	const unsigned char *next;
	const unsigned char *end;	/* never more than 15 bytes from start */
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

/* Returns the next byte or -1. */
static int take(struct decoder *d)
{
	if (d->next >= d->end)
		return -1;
	return *d->next++;
}

static int peek(const struct decoder *d)
{
	if (d->next >= d->end)
		return -1;
	return *d->next;
}

static int skip(struct decoder *d, int bytes)
{
	if (d->end - d->next < bytes)
		return -1;
	d->next += bytes;
	return 0;
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
 * directly before the opcode. Returns the byte after them or -1.
 */
static int take_prefixes(struct decoder *d)
{
	for (;;) {
		int byte = take(d);

		if (byte < 0)
			return -1;
		if (map_one_byte[byte] & P) {
			note_prefix(d, byte);
			d->rex = 0;
			d->wide = 0;
		} else if (d->is64 && (byte & 0xf0) == 0x40) {
			d->rex = 1;
			d->wide = !!(byte & 0x08);
		} else {
			return byte;
		}
	}
}

/* Prefixes that make an instruction with VEX, EVEX or XOP undefined. */
static int has_simd_prefix(const struct decoder *d)
{
	return d->operand_16 || d->repeat || d->lock || d->rex;
}

static int take_opcode(struct decoder *d)
{
	int byte = take(d);

	if (byte < 0)
		return -1;
	d->opcode = (unsigned char)byte;
	return 0;
}

/* Takes the rest of a VEX or XOP prefix of three bytes and the opcode. */
static int take_vex3(struct decoder *d)
{
	int first = take(d);
	int second = take(d);

	if (first < 0 || second < 0)
		return -1;
	d->map = first & 0x1f;
	d->wide = !!(second & 0x80);
	d->operand_16 = (second & 3) == 1;
	return take_opcode(d);
}

static int take_evex(struct decoder *d)
{
	int first = take(d);
	int second = take(d);
	int third = take(d);

	if (first < 0 || second < 0 || third < 0)
		return -1;
	d->map = first & 0x07;
	d->wide = !!(second & 0x80);
	d->operand_16 = (second & 3) == 1;
	return take_opcode(d);
}

static int shape_of_vex(const struct decoder *d)
{
	switch (d->map) {
	case MAP_0F:
		if (d->opcode == 0x77)
			return 0;
		return M | (map_0f[d->opcode] & B);
	case MAP_0F38:
	case MAP_5:
		return M;
	case MAP_0F3A:
		return M | B;
	case MAP_7:
		return M | D;
	default:
		return X;
	}
}

static int shape_of_xop(const struct decoder *d)
{
	switch (d->map) {
	case MAP_XOP_8:
		return M | B;
	case MAP_XOP_9:
		return M;
	case MAP_XOP_A:
		return M | D;
	default:
		return X;
	}
}

/* Map 4 holds the instructions of the one-byte map in their EVEX form. */
static int shape_of_map_4(const struct decoder *d)
{
	switch (d->opcode) {
	case 0x24:
	case 0x2c:
	case 0x6b:
	case 0x80:
	case 0x83:
	case 0xc0:
	case 0xc1:
		return M | B;
	case 0x69:
	case 0x81:
		return M | Z;
	case 0xf6:
		return M | G | B;
	case 0xf7:
		return M | G | Z;
	default:
		return M;
	}
}

static int shape_of_evex(const struct decoder *d)
{
	switch (d->map) {
	case MAP_0F:
		return M | (map_0f[d->opcode] & B);
	case MAP_0F38:
	case MAP_5:
	case MAP_6:
		return M;
	case MAP_0F3A:
		return M | B;
	case MAP_4:
		return shape_of_map_4(d);
	case MAP_7:
		return M | D;
	default:
		return X;
	}
}

static int shape_of_0f(const struct decoder *d)
{
	if (d->opcode == 0xb8 && d->repeat != 0xf3)
		return X;
	if (d->opcode == 0x78 && (d->operand_16 || d->repeat == 0xf2))
		return M | BB;
	return map_0f[d->opcode];
}

/* REX2: one byte of payload, then an opcode of the one-byte or the 0F map. */
static int decode_rex2(struct decoder *d)
{
	int payload = take(d);
	int row;

	if (payload < 0 || d->rex || take_opcode(d))
		return X;
	d->rex = 1;
	d->wide = !!(payload & 0x08);
	row = d->opcode >> 4;
	if (payload & 0x80) {
		d->map = MAP_0F;
		return row == 3 || row == 8 ? X : shape_of_0f(d);
	}
	if (d->opcode == 0xa1)
		return Q;
	if (row == 4 || row == 7 || row == 0xa || row == 0xe)
		return X;
	switch (d->opcode) {
	case 0x0f:
	case 0x62:
	case 0xc4:
	case 0xc5:
	case 0xd5:
		return X;
	default:
		return map_one_byte[d->opcode];
	}
}

static int decode_0f(struct decoder *d)
{
	if (take_opcode(d))
		return X;
	d->map = MAP_0F;
	if (d->opcode == 0x38) {
		d->map = MAP_0F38;
		return take_opcode(d) ? X : M;
	}
	if (d->opcode == 0x3a) {
		d->map = MAP_0F3A;
		return take_opcode(d) ? X : (M | B);
	}
	return shape_of_0f(d);
}

/* Decodes up to and with the opcode; returns the shape of what follows. */
static int decode_opcode(struct decoder *d)
{
	int byte = take_prefixes(d);
	int following;

	if (byte < 0)
		return X;
	if (byte == 0x0f)
		return decode_0f(d);

	d->opcode = (unsigned char)byte;
	d->map = MAP_ONE_BYTE;
	following = peek(d);
	switch (byte) {
	case 0x62:
		if (!d->is64 && following < 0xc0)
			break;
		return has_simd_prefix(d) || take_evex(d) ? X : shape_of_evex(d);
	case 0x8f:
		if (following < 0 || (following & 0x1f) < MAP_XOP_8)
			break;
		return has_simd_prefix(d) || take_vex3(d) ? X : shape_of_xop(d);
	case 0xc4:
		if (!d->is64 && following < 0xc0)
			break;
		return has_simd_prefix(d) || take_vex3(d) ? X : shape_of_vex(d);
	case 0xc5:
		if (!d->is64 && following < 0xc0)
			break;
		if (has_simd_prefix(d) || skip(d, 1) || take_opcode(d))
			return X;
		d->map = MAP_0F;
		return shape_of_vex(d);
	case 0xd5:
		if (d->is64)
			return decode_rex2(d);
		break;
	default:
		break;
	}
	return map_one_byte[byte];
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

/* Takes ModRM, SIB and the displacement. Returns ModRM or -1. */
static int take_modrm(struct decoder *d, int registers_only)
{
	int modrm = take(d);
	int mod, base, displacement;

	if (modrm < 0)
		return -1;
	mod = modrm >> 6;
	base = modrm & 7;
	if (registers_only || mod == 3)
		return modrm;
	if (d->address_size && !d->is64)
		return skip(d, displacement_16(modrm)) ? -1 : modrm;
	if (base == 4) {
		int sib = take(d);

		if (sib < 0)
			return -1;
		base = sib & 7;
	}
	if (mod == 1)
		displacement = 1;
	else if (mod == 2 || base == 5)
		displacement = 4;
	else
		displacement = 0;
	return skip(d, displacement) ? -1 : modrm;
}

/* Size of the immediate operands; the shape has at most one of each kind. */
static int immediate_size(const struct decoder *d, int shape)
{
	int narrow = d->operand_16 && !d->wide;
	int size = 0;

	if (shape & B)
		size += 1;
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

/*
 * A near branch. With an operand size prefix the makers of processors do not
 * agree on its length in 64-bit code, so that is refused; in 32-bit code its
 * displacement has 16 bits.
 */
static int take_branch(struct decoder *d, struct kedr_insn *insn)
{
	if (d->operand_16 && !d->wide)
		return d->is64 ? -1 : skip(d, 2);

	insn->rel_at = (unsigned char)(d->next - d->start);
	if (d->map == MAP_0F)
		insn->kind = KEDR_INSN_JCC;
	else
		insn->kind = d->opcode == 0xe8 ? KEDR_INSN_CALL : KEDR_INSN_JMP;
	return skip(d, 4);
}

int kedr_insn_decode(const unsigned char *at, const unsigned char *end,
		     int is64, struct kedr_insn *insn)
{
	struct kedr_insn found = { 0, 0, KEDR_INSN_OTHER };
	struct decoder d = { 0 };
	int shape;

	if (at >= end)
		return 0;
	d.start = at;
	d.next = at;
	d.end = end - at > MAX_LENGTH ? at + MAX_LENGTH : end;
	d.is64 = is64;

	shape = decode_opcode(&d);
	if ((shape & (X | P)) || (is64 && (shape & I)))
		return 0;
	/* In 32-bit code these are instructions like any other. */
	shape &= ~I;

	if (shape & (M | R)) {
		int modrm = take_modrm(&d, shape & R);

		if (modrm < 0)
			return 0;
		if ((shape & G) && (modrm & 0x30))
			shape &= ~(B | Z);
	}
	if (shape & J) {
		if (take_branch(&d, &found))
			return 0;
	} else if (skip(&d, immediate_size(&d, shape))) {
		return 0;
	}
	found.length = (unsigned char)(d.next - d.start);
	*insn = found;
	return found.length;
}
