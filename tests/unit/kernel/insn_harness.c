// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the instruction length decoder in user space.
 *
 *   insn_harness decode 32|64        hexadecimal bytes on each line of stdin;
 *                                    prints "LENGTH KIND FIELD_AT" for each
 *   insn_harness walk 32|64 FILE OFFSET SIZE
 *                                    prints the offset of each instruction of
 *                                    a piece of a file, "bad" after one that
 *                                    is not an instruction
 *   insn_harness time 32|64 FILE OFFSET SIZE
 *                                    walks ten times; prints the least number
 *                                    of nanoseconds of processor time
 *   insn_harness fuzz 32|64 SEED COUNT
 *                                    decodes random bytes that end where the
 *                                    memory ends; prints "fuzz COUNT DECODED"
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "insn_length.h"

#define MAX_LINE 256
#define MAX_BYTES 20

static const char * const kinds[] = { "other", "call", "jmp", "jcc", "trap" };

static int is_branch(const struct kedr_insn *insn)
{
	return insn->kind != KEDR_INSN_OTHER && insn->kind != KEDR_INSN_TRAP;
}

/* Copies bytes to the end of a block of their size: no byte after them. */
static unsigned char *exact_copy(const unsigned char *bytes, size_t size)
{
	unsigned char *copy = malloc(size ? size : 1);

	if (!copy)
		exit(3);
	memcpy(copy, bytes, size);
	return copy;
}

static int decode_exactly(const unsigned char *bytes, size_t size, int is64,
			  struct kedr_insn *insn)
{
	unsigned char *copy = exact_copy(bytes, size);
	int length = kedr_insn_decode(copy, copy + size, is64, insn);

	free(copy);
	return length;
}

static int decode_lines(int is64)
{
	char line[MAX_LINE];

	while (fgets(line, sizeof(line), stdin)) {
		unsigned char bytes[MAX_LINE];
		struct kedr_insn insn = { 0, 0, 0 };
		size_t size = 0;
		char *at = line;
		unsigned int byte;
		int length, used;

		while (sscanf(at, "%2x%n", &byte, &used) == 1) {
			bytes[size++] = (unsigned char)byte;
			at += used;
		}
		length = decode_exactly(bytes, size, is64, &insn);
		printf("%d %s %d\n", length, kinds[insn.kind], insn.field_at);
	}
	return 0;
}

/* Returns a piece of a file, or ends the program with a message. */
static unsigned char *read_piece(const char *path, long offset, long size)
{
	unsigned char *bytes = malloc(size);
	FILE *file = fopen(path, "rb");

	if (!bytes || !file || fseek(file, offset, SEEK_SET) ||
	    fread(bytes, 1, size, file) != (size_t)size) {
		fprintf(stderr, "%s: cannot read %ld bytes at %ld\n", path,
			size, offset);
		exit(3);
	}
	fclose(file);
	return bytes;
}

static int walk(int is64, const char *path, long offset, long size)
{
	unsigned char *bytes = read_piece(path, offset, size);
	long at = 0;

	while (at < size) {
		struct kedr_insn insn;
		int length = kedr_insn_decode(bytes + at, bytes + size, is64,
					      &insn);

		printf("%ld%s\n", at, length ? "" : " bad");
		at += length ? length : 1;
	}
	free(bytes);
	return 0;
}

/* Decodes all of it. Returns the number of direct branches. */
static long branches(int is64, const unsigned char *bytes, long size)
{
	long at = 0, found = 0;

	while (at < size) {
		struct kedr_insn insn = { 1, 0, KEDR_INSN_OTHER };

		kedr_insn_decode(bytes + at, bytes + size, is64, &insn);
		found += is_branch(&insn);
		at += insn.length;
	}
	return found;
}

static long long processor_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int time_walk(int is64, const char *path, long offset, long size)
{
	unsigned char *bytes = read_piece(path, offset, size);
	long long least = 0;
	long found = 0;
	int round;

	for (round = 0; round < 10; round++) {
		long long begun = processor_time();
		long long taken;

		found = branches(is64, bytes, size);
		taken = processor_time() - begun;
		if (!round || taken < least)
			least = taken;
	}
	printf("time %lld branches %ld\n", least, found);
	free(bytes);
	return 0;
}

/* A small generator of its own, so that a seed means the same everywhere. */
static unsigned long long state;

static unsigned char random_byte(void)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned char)(state >> 33);
}

/* Bytes that lead to the rarer parts of the decoder. */
static unsigned char telling_byte(void)
{
	static const unsigned char telling[] = {
		0x0f, 0x38, 0x3a, 0x62, 0x66, 0x67, 0x8f, 0xc4, 0xc5, 0xd5,
		0xe8, 0xe9, 0xf0, 0xf2, 0xf3, 0xf6, 0xf7, 0x48, 0x2e, 0x04,
	};

	if (random_byte() & 1)
		return telling[random_byte() % sizeof(telling)];
	return random_byte();
}

static void broken(const char *what, const unsigned char *bytes, size_t size)
{
	size_t i;

	printf("broken: %s:", what);
	for (i = 0; i < size; i++)
		printf(" %02x", bytes[i]);
	printf("\n");
	exit(1);
}

/* One try. Returns 1 if the bytes begin with an instruction. */
static int try_once(int is64)
{
	unsigned char bytes[MAX_BYTES];
	struct kedr_insn insn, again;
	size_t size = random_byte() % (MAX_BYTES + 1);
	size_t i;
	int length;

	for (i = 0; i < size; i++)
		bytes[i] = telling_byte();
	length = decode_exactly(bytes, size, is64, &insn);
	if (!length)
		return 0;
	if (length < 0 || length > 15 || (size_t)length > size ||
	    length != insn.length)
		broken("length", bytes, size);
	if (is_branch(&insn) && insn.field_at + 4 != length)
		broken("displacement", bytes, size);
	if (decode_exactly(bytes, length, is64, &again) != length)
		broken("needs bytes after its end", bytes, size);
	for (i = 0; i < (size_t)length; i++)
		if (decode_exactly(bytes, i, is64, &again))
			broken("shorter when cut off", bytes, size);
	return 1;
}

static int fuzz(int is64, unsigned long long seed, long count)
{
	long i, decoded = 0;

	state = seed;
	for (i = 0; i < count; i++)
		decoded += try_once(is64);
	printf("fuzz %ld %ld\n", count, decoded);
	return 0;
}

int main(int argc, char **argv)
{
	int is64 = argc > 2 && !strcmp(argv[2], "64");

	if (argc == 3 && !strcmp(argv[1], "decode"))
		return decode_lines(is64);
	if (argc == 6 && !strcmp(argv[1], "walk"))
		return walk(is64, argv[3], atol(argv[4]), atol(argv[5]));
	if (argc == 6 && !strcmp(argv[1], "time"))
		return time_walk(is64, argv[3], atol(argv[4]), atol(argv[5]));
	if (argc == 5 && !strcmp(argv[1], "fuzz"))
		return fuzz(is64, strtoull(argv[3], NULL, 0), atol(argv[4]));
	fprintf(stderr, "usage: insn_harness decode|walk|time|fuzz 32|64 ...\n");
	return 2;
}
