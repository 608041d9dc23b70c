// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Copies texts as a payload does, in user space: text_harness ROOM WHAT prints
 * the size that is asked for and the copy. WHAT is null, low, error, or a text
 * that ends with its page, behind which nothing may be read: with no NUL, or
 * with one if WHAT begins with 0.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <kedr/text.h>

static const char *at_the_end_of_memory(const char *what)
{
	size_t page = 4096, size = strlen(what);
	char *area = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED || mprotect(area + page, page, PROT_NONE))
		exit(2);
	if (what[0] == '0')
		return strcpy(area + page - size, what + 1);
	return memcpy(area + page - size, what, size);
}

static const void *text_of(const char *what)
{
	if (!strcmp(what, "null"))
		return NULL;
	if (!strcmp(what, "low"))
		return (void *)16;
	if (!strcmp(what, "error"))
		return (void *)-12L;
	return at_the_end_of_memory(what);
}

int main(int argc, char **argv)
{
	size_t room = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
	char copy[256];

	if (!room || room >= sizeof(copy))
		return 2;
	memset(copy, '#', sizeof(copy));
	__kedr_text_copy(copy, room, text_of(argv[2]));
	if (copy[room] != '#')
		return 3;
	printf("%zu %s\n", __kedr_text_size(text_of(argv[2]), room), copy);
	return 0;
}
