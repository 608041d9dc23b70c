// SPDX-License-Identifier: GPL-2.0-only
/*
 * Times the controller's search of a module file natively, for a number of
 * functions to look for:
 *
 *   time_search FILE FUNCTIONS REPEATS [idle]
 *
 * The functions are those that the file imports; if there are more, the others
 * are never called. With "idle", none of them is called. Prints "FUNCTIONS SITES BYTES PREPARE SEARCH": call sites
 * found, bytes of instructions decoded, nanoseconds to fill the table of
 * functions and to search, each at best.
 */
#define _GNU_SOURCE

#include <time.h>

#include "controller.h"
#include "loaded.h"

#define REPLACEMENT_DISTANCE 0x10000000UL
/* Where functions are that nobody calls: behind everything that is loaded. */
#define NOWHERE 0x7f0000000000UL

static struct loaded loaded;

/* The search is compiled to call this; see userspace.py. */
int watched_decode(const unsigned char *at, const unsigned char *end,
		   struct kedr_insn *insn);

int watched_decode(const unsigned char *at, const unsigned char *end,
		   struct kedr_insn *insn)
{
	return kedr_arch_decode(at, end, insn);
}

static unsigned long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static void add(struct kedr_lookup *lookup, const char *name,
		unsigned long address)
{
	struct kedr_function function = { 0 };

	function.name = name;
	function.address = address;
	function.replacement = address - REPLACEMENT_DISTANCE;
	kedr_lookup_add(lookup, &function);
}

static void fill_lookup(struct kedr_lookup *lookup, unsigned int wanted,
			bool idle)
{
	unsigned int i;

	if (kedr_lookup_init(lookup, wanted))
		exit(3);
	for (i = 0; !idle && i < loaded.nr_symbols && lookup->nr < wanted; i++)
		if (is_imported(&loaded, i))
			add(lookup, loaded.names + loaded.symbols[i].st_name,
			    loaded.symbols[i].st_value);
	for (i = 0; lookup->nr < wanted; i++)
		add(lookup, "nowhere", NOWHERE + 320UL * i);
}

static unsigned long search(const struct kedr_lookup *lookup,
			    struct kedr_sites *sites)
{
	struct kedr_area areas[KEDR_NR_AREAS];
	unsigned long scanned = 0;
	int text;

	if (kedr_areas_init(areas, &loaded.mod))
		exit(3);
	for (text = 0; text < KEDR_NR_AREAS; text++) {
		if (kedr_search(loaded.path, &areas[text], text, lookup, sites))
			exit(4);
		scanned += areas[text].scanned;
	}
	kedr_areas_destroy(areas);
	return scanned;
}

int main(int argc, char **argv)
{
	unsigned long long prepare = ~0ULL, best = ~0ULL;
	unsigned long scanned = 0;
	unsigned int wanted, repeats, nr = 0;

	if (argc != 4 && argc != 5)
		return 2;
	wanted = atoi(argv[2]);
	load(&loaded, argv[1]);
	for (repeats = atoi(argv[3]); repeats; repeats--) {
		struct kedr_sites sites = { 0 };
		unsigned long long begun = now(), filled, ended;
		struct kedr_lookup lookup;

		fill_lookup(&lookup, wanted, argc == 5);
		filled = now();
		scanned = search(&lookup, &sites);
		ended = now();
		if (filled - begun < prepare)
			prepare = filled - begun;
		if (ended - filled < best)
			best = ended - filled;
		nr = sites.nr;
		kedr_sites_destroy(&sites);
		kedr_lookup_destroy(&lookup);
	}
	printf("%u %u %lu %llu %llu\n", wanted, nr, scanned, prepare, best);
	unload(&loaded);
	return 0;
}
