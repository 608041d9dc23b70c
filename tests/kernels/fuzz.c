// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random texts for the decoder and the search, in memory that ends where they
 * end: a byte after them cannot be read.
 *
 *   fuzz SEED STREAMS TEXTS FILE...
 *
 * Bytes are random, or pieces of the module files with some bytes changed.
 * Prints what was tried and ends with 0, or prints "broken: " with the reason
 * and the bytes and ends with 1. What may take time is bounded by counts.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "controller.h"
#include "arch/x86/insn_length.h"
#include "loaded.h"

#ifdef CONFIG_CALL_THUNKS
#define PADDING CONFIG_FUNCTION_PADDING_BYTES
#else
#define PADDING 0
#endif

#define SHOWN_BYTES	64
#define MAX_FILES	8
#define MAX_TEXT	(2 * PAGE_SIZE)
#define MAX_STARTS	16
#define MAX_FUNCTIONS	8

/* ---- chance ---- */

static unsigned long long state;

/* A generator of its own, so that a seed means the same everywhere. */
static unsigned int chance(unsigned int below)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned int)(state >> 33) % below;
}

/* ---- memory that ends ---- */

static unsigned char *block;		/* MAX_TEXT bytes, then none */

static void make_block(void)
{
	block = mmap(NULL, MAX_TEXT + PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block == MAP_FAILED ||
	    mprotect(block + MAX_TEXT, PAGE_SIZE, PROT_NONE)) {
		perror("mmap");
		exit(3);
	}
}

/* Where @size bytes begin that end where the memory does. */
static unsigned char *ending(unsigned long size)
{
	return block + MAX_TEXT - size;
}

static void broken(const char *what, const unsigned char *bytes,
		   unsigned long size)
{
	unsigned long i;

	printf("broken: %s: %lu bytes:", what, size);
	for (i = 0; i < size && i < SHOWN_BYTES; i++)
		printf(" %02x", bytes[i]);
	printf("%s\n", i < size ? " ..." : "");
	exit(1);
}

/* ---- bytes ---- */

static struct loaded files[MAX_FILES];
static unsigned int nr_files;

/* Bytes that lead to the rarer parts of the decoder. */
static unsigned char telling_byte(void)
{
	static const unsigned char telling[] = {
		0x0f, 0x38, 0x3a, 0x62, 0x66, 0x67, 0x8f, 0xc4, 0xc5, 0xd5,
		0xe8, 0xe9, 0xf0, 0xf2, 0xf3, 0xf6, 0xf7, 0x48, 0x2e, 0x04,
	};

	return chance(2) ? telling[chance(sizeof(telling))] : chance(256);
}

static void fill_from_file(unsigned char *bytes, unsigned long size)
{
	const struct module_memory *memory =
		&files[chance(nr_files)].mod.mem[MOD_TEXT];
	unsigned long from;

	if (memory->size <= size) {
		memset(bytes, 0, size);
		return;
	}
	from = chance(memory->size - size);
	memcpy(bytes, (unsigned char *)memory->base + from, size);
}

/* Fills with random bytes, or code, or code with a few bytes changed. */
static void fill(unsigned char *bytes, unsigned long size)
{
	unsigned int changes = chance(4);
	unsigned long i;

	if (!chance(4)) {
		for (i = 0; i < size; i++)
			bytes[i] = telling_byte();
		return;
	}
	fill_from_file(bytes, size);
	while (size && changes--) {
		unsigned long at = chance(size);
		unsigned long nr = 1 + chance(size - at);

		/* one byte, or a run of zeros */
		if (chance(4))
			bytes[at] = telling_byte();
		else
			memset(bytes + at, 0, nr);
	}
}

/* ---- the decoder ---- */

static unsigned long nr_instructions;

static bool is_branch(const struct kedr_insn *insn)
{
	return insn->kind != KEDR_INSN_OTHER && insn->kind != KEDR_INSN_TRAP;
}

/* An instruction is one without what follows it, and is none when cut off. */
static void check_alone(const unsigned char *bytes, int is64,
			const struct kedr_insn *insn)
{
	struct kedr_insn again;
	int nr;

	if (is_branch(insn) && insn->field_at + 4 != insn->length)
		broken("displacement", bytes, insn->length);
	for (nr = 0; nr <= insn->length; nr++) {
		unsigned char *cut = memcpy(ending(nr), bytes, nr);

		if (kedr_insn_decode(cut, cut + nr, is64, &again) !=
		    (nr == insn->length ? nr : 0))
			broken("depends on its end", bytes, insn->length);
	}
}

/* Walks through @size bytes at the end of the memory. */
static void walk_stream(unsigned long size, int is64)
{
	const unsigned char *at = ending(size), *end = at + size;
	struct kedr_insn insn, kept = { 0, 0, KEDR_INSN_OTHER };
	unsigned char bytes[15];

	while (at < end) {
		int length = kedr_insn_decode(at, end, is64, &insn);

		if (length < 0 || length > 15 || length > end - at ||
		    (length && insn.length != length))
			broken("length", at, end - at);
		if (length && (!kept.length || !chance(4))) {
			kept = insn;
			memcpy(bytes, at, length);
		}
		nr_instructions += length > 0;
		at += length ? length : 1;
	}
	if (kept.length)
		check_alone(bytes, is64, &kept);
}

static void try_streams(unsigned long nr)
{
	while (nr--) {
		unsigned long size = chance(8) ? chance(48) : chance(1024);

		fill(ending(size), size);
		walk_stream(size, chance(2));
	}
}

/* ---- the search ---- */

static unsigned long starts[MAX_STARTS];
static struct kedr_area area;
static struct kedr_lookup lookup;

/* What the search has asked of the decoder. */
static struct {
	unsigned long asked;
	unsigned long next;
	unsigned long branches;
} watch;

int watched_decode(const unsigned char *at, const unsigned char *end,
		   struct kedr_insn *insn);

/* Is it the start of a function that is looked for, or the padding before? */
static bool is_function(unsigned long address)
{
	unsigned int i;

	for (i = 0; i < lookup.nr; i++)
		if (lookup.functions[i].address - address <= PADDING)
			return true;
	return false;
}

int watched_decode(const unsigned char *at, const unsigned char *end,
		   struct kedr_insn *insn)
{
	int length = kedr_arch_decode(at, end, insn);
	unsigned long address = (unsigned long)at;
	s32 rel;

	if (address < watch.next ||
	    (unsigned long)end > area.base + area.size)
		broken("the search goes astray", (void *)area.base, area.size);
	watch.asked++;
	watch.next = address + (length ? length : 1);
	if (!length || !is_branch(insn))
		return length;
	memcpy(&rel, at + insn->field_at, sizeof(rel));
	watch.branches += is_function(address + length + rel);
	return length;
}

static int compare_addresses(const void *a, const void *b)
{
	unsigned long left = *(const unsigned long *)a;
	unsigned long right = *(const unsigned long *)b;

	return left < right ? -1 : left > right;
}

static void make_area(unsigned long size)
{
	unsigned int i;

	memset(&area, 0, sizeof(area));
	memset(&watch, 0, sizeof(watch));
	area.name = "core";
	area.base = (unsigned long)ending(size);
	area.size = size;
	area.starts = starts;
	area.nr_starts = size && !chance(4) ? chance(MAX_STARTS) : 0;
	for (i = 0; i < area.nr_starts; i++)
		starts[i] = area.base + chance(size);
	qsort(starts, area.nr_starts, sizeof(*starts), compare_addresses);
}

/* Puts the opcode of a branch before the displacement that follows @at. */
static void put_branch(unsigned char *at)
{
	*at = 0xe8 + chance(2);
	if ((unsigned long)at > area.base && !chance(3)) {
		at[-1] = 0x0f;
		*at = 0x80 + chance(16);
	}
}

/* Functions that some place of the text may call. */
static void make_functions(void)
{
	unsigned int nr = chance(MAX_FUNCTIONS);

	if (kedr_lookup_init(&lookup, nr)) {
		lookup.nr = 0;
		return;
	}
	while (nr-- && area.size > 5) {
		unsigned long at = area.base + chance(area.size - 5);
		struct kedr_function function = { .name = "function" };
		s32 rel;

		memcpy(&rel, (void *)(at + 1), sizeof(rel));
		function.address = at + 5 + rel;
		function.replacement = function.address +
			(chance(8) ? 0x1000L : 0x200000000L);
		if (chance(2))
			put_branch((unsigned char *)at);
		if (!is_function(function.address))
			kedr_lookup_add(&lookup, &function);
	}
}

/* Which branch ends with this displacement? */
static unsigned int kind_at(const unsigned char *rel)
{
	if (rel[-1] == 0xe8)
		return KEDR_INSN_CALL;
	return rel[-1] == 0xe9 ? KEDR_INSN_JMP : KEDR_INSN_JCC;
}

static void check_sites(const struct kedr_sites *sites, int err)
{
	const unsigned char *text = (const unsigned char *)area.base;
	unsigned long counted = 0, after = 0;
	unsigned int i;

	for (i = 0; i < sites->nr; i++) {
		const struct kedr_site *site = &sites->site[i];
		const struct kedr_function *function;
		unsigned long end = site->field_at + 4UL;
		s32 rel;

		if (site->insn_at < after || end > area.size ||
		    site->function >= lookup.nr || site->written)
			broken("a site", text, area.size);
		after = end;
		function = &lookup.functions[site->function];
		memcpy(&rel, text + site->field_at, sizeof(rel));
		if (rel != (s32)site->old ||
		    function->address - (area.base + end + rel) > PADDING ||
		    area.base + end + (s32)site->new !=
		    function->replacement ||
		    kind_at(text + site->field_at) != site->kind)
			broken("what a site says", text, area.size);
	}
	for (i = 0; i < lookup.nr; i++)
		counted += lookup.functions[i].nr_sites[KEDR_INSN_CALL] +
			   lookup.functions[i].nr_sites[KEDR_INSN_JMP] +
			   lookup.functions[i].nr_sites[KEDR_INSN_JCC];
	if (counted != sites->nr)
		broken("counts of functions", text, area.size);
	if (!err && (watch.branches != sites->nr || area.scanned > area.size))
		broken("a branch is missing", text, area.size);
}

static unsigned long nr_sites, nr_found, nr_refused, nr_starved;

static void search_text(unsigned long size)
{
	static unsigned char before[MAX_TEXT];
	struct kedr_sites sites = { NULL, 0, 0 };
	int err;

	make_area(size);
	make_functions();
	memcpy(before, (void *)area.base, size);
	if (!chance(8))
		failing_allocation = 1;
	err = lookup.slots ? kedr_search("fuzz", &area, KEDR_AREA_CORE,
					 &lookup, &sites) : 0;
	failing_allocation = 0;
	if (err && err != -ENOEXEC && err != -ENOMEM)
		broken("error", (void *)area.base, size);
	if (watch.asked > size || memcmp(before, (void *)area.base, size))
		broken("the text was changed", (void *)area.base, size);
	check_sites(&sites, err);
	nr_sites += sites.nr;
	nr_found += !err;
	nr_refused += err == -ENOEXEC;
	nr_starved += err == -ENOMEM;
	kedr_sites_destroy(&sites);
	kedr_lookup_destroy(&lookup);
	if (held_allocations)
		broken("memory is held", (void *)area.base, size);
}

static void try_texts(unsigned long nr)
{
	while (nr--) {
		unsigned long size = chance(4) ? chance(256) : chance(MAX_TEXT);

		fill(ending(size), size);
		/* as after a function: the last instruction is not cut off */
		if (size > 15 && chance(4))
			memset(ending(15), 0xcc, 15);
		search_text(size);
	}
}

int main(int argc, char **argv)
{
	unsigned long streams, texts;

	if (argc < 5 || argc - 4 > MAX_FILES) {
		fprintf(stderr, "usage: fuzz SEED STREAMS TEXTS FILE...\n");
		return 2;
	}
	state = strtoull(argv[1], NULL, 0);
	streams = strtoul(argv[2], NULL, 0);
	texts = strtoul(argv[3], NULL, 0);
	for (nr_files = 0; nr_files + 4 < (unsigned int)argc; nr_files++)
		load(&files[nr_files], argv[nr_files + 4]);
	make_block();
	kernel_is_quiet = true;
	try_streams(streams);
	try_texts(texts);
	printf("%lu streams with %lu instructions; %lu texts searched, %lu with %lu sites, %lu refused, %lu without memory\n",
	       streams, nr_instructions, texts, nr_found, nr_sites, nr_refused,
	       nr_starved);
	while (nr_files--)
		unload(&files[nr_files]);
	return 0;
}
