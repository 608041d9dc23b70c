// SPDX-License-Identifier: GPL-2.0-only
/*
 * What follows the opcodes of x86 instructions: tables of the maps.
 *
 * An opcode that is not assigned is refused where the neighbours in its map
 * have different lengths; in maps where all opcodes are of one shape (0F 38,
 * 0F 3A, VEX, EVEX, XOP) the shape of the map is used.
 *
 * Locking: none is needed, there is no state.
 *
 * Compiles in the kernel and in user space alike: no kernel headers here.
 */

#include "opcodes.h"

/* X: an escape to another map, or such an escape in some cases. */
const unsigned short kedr_map_one_byte[256] = {
	/* 00 */ M, M, M, M, B, Z, I, I, M, M, M, M, B, Z, I, X,
	/* 10 */ M, M, M, M, B, Z, I, I, M, M, M, M, B, Z, I, I,
	/* 20 */ M, M, M, M, B, Z, P, I, M, M, M, M, B, Z, P, I,
	/* 30 */ M, M, M, M, B, Z, P, I, M, M, M, M, B, Z, P, I,
	/* 40 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/* 50 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	/* 60 */ I, I, X, M, P, P, P, P, Z, M | Z, B, M | B, 0, 0, 0, 0,
	/* 70 */ B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
	/* 80 */ M | B, M | Z, M | B | I, M | B, M, M, M, M,
	/* 88 */ M, M, M, M, M, M, M, X,
	/* 90 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, F | I, 0, 0, 0, 0, 0,
	/* A0 */ O, O, O, O, 0, 0, 0, 0, B, Z, 0, 0, 0, 0, 0, 0,
	/* B0 */ B, B, B, B, B, B, B, B, V, V, V, V, V, V, V, V,
	/* C0 */ M | B, M | B, W, 0, X, X, M | B, M | Z,
	/* C8 */ W | B, 0, W, 0, 0, B, I, 0,
	/* D0 */ M, M, M, M, B | I, X, 0, 0, M, M, M, M, M, M, M, M,
	/* E0 */ B, B, B, B, B, B, B, B, J, J, F | I, B, 0, 0, 0, 0,
	/* F0 */ P, 0, P, P, 0, 0, M | G | B, M | G | Z, 0, 0, 0, 0, 0, 0, M, M,
};

/* Opcodes after 0F; 38 and 3A lead to further maps. */
const unsigned short kedr_map_0f[256] = {
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

int kedr_shape_of_vex(int map, int opcode)
{
	switch (map) {
	case MAP_0F:
		if (opcode == 0x77)
			return 0;
		return M | (kedr_map_0f[opcode] & B);
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

int kedr_shape_of_xop(int map)
{
	switch (map) {
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
static int shape_of_map_4(int opcode)
{
	switch (opcode) {
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

int kedr_shape_of_evex(int map, int opcode)
{
	switch (map) {
	case MAP_0F:
		return M | (kedr_map_0f[opcode] & B);
	case MAP_0F38:
	case MAP_5:
	case MAP_6:
		return M;
	case MAP_0F3A:
		return M | B;
	case MAP_4:
		return shape_of_map_4(opcode);
	case MAP_7:
		return M | D;
	default:
		return X;
	}
}
