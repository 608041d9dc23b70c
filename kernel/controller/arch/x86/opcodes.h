/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What follows the opcodes of x86 instructions.
 */
#ifndef KEDR_OPCODES_H
#define KEDR_OPCODES_H

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

/* Shapes by opcode: of the map of one byte, and behind 0F. */
extern const unsigned short kedr_map_one_byte[256];
extern const unsigned short kedr_map_0f[256];

/* Shapes of instructions with such a prefix. */
int kedr_shape_of_vex(int map, int opcode);
int kedr_shape_of_xop(int map);
int kedr_shape_of_evex(int map, int opcode);

#endif /* KEDR_OPCODES_H */
