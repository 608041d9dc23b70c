// SPDX-License-Identifier: GPL-2.0-only
/*
 * Searches module files as the controller does and compares the instructions
 * that the search has seen with those that objdump shows.
 *
 *   prove FILE...	with the output of
 *			objdump -d -w -z --no-show-raw-insn FILE... on stdin
 *
 * Every symbol that a file imports is looked for. Prints for each file:
 *
 *   site SECTION OFFSET call|jmp|jcc SYMBOL	a site, in the order of the text;
 *			index of the section, offset of the displacement in
 *			it, index of the symbol
 *   differs SECTION OFFSET WHAT	an instruction that only one of the
 *			two sees (ours, objdump), one that objdump cannot
 *			read (bad), or a section that was not searched
 *   early NUMBER	calls that enter their function's padding, found as
 *			well as the others; only if the controller was
 *			compiled for it and the file was made for it
 *   module INSTRUCTIONS SECTIONS BYTES FILE	all was printed
 *
 * A file that the search refuses ends it with the controller's message.
 */
#define _GNU_SOURCE

#include "controller.h"
#include "loaded.h"

#define OURS	1	/* marks of bytes: an instruction starts here */
#define OTHERS	2
#define UNREAD	4	/* there, but objdump cannot read it */

#ifdef CONFIG_X86_64
#define EXPECTED_64BIT true
#else
#define EXPECTED_64BIT false
#endif

#define REPLACEMENT_DISTANCE 0x10000000UL
#define HEADING "Disassembly of section "

static struct loaded loaded;
static unsigned char *marks[KEDR_NR_AREAS];

/* Stands between the search and the decoder: see the build of search.c. */
int watched_decode(const unsigned char *at, const unsigned char *end,
		   struct kedr_insn *insn);

int watched_decode(const unsigned char *at, const unsigned char *end,
		   struct kedr_insn *insn)
{
	int length = kedr_arch_decode(at, end, insn);
	int text;

	for (text = 0; length && text < KEDR_NR_AREAS; text++) {
		const struct module_memory *memory = &loaded.mod.mem[text];
		unsigned long offset = at - (unsigned char *)memory->base;

		if (memory->base && offset < memory->size)
			marks[text][offset] |= OURS;
	}
	return length;
}

/* ---- the search ---- */

static void fill_lookup(struct kedr_lookup *lookup, unsigned int *symbol_of)
{
	unsigned int i, nr = 0;

	for (i = 0; i < loaded.nr_symbols; i++)
		nr += is_imported(&loaded, i);
	if (kedr_lookup_init(lookup, nr))
		exit(3);
	for (i = 0; i < loaded.nr_symbols; i++) {
		struct kedr_function function = { 0 };

		if (!is_imported(&loaded, i))
			continue;
		function.name = loaded.names + loaded.symbols[i].st_name;
		function.address = loaded.symbols[i].st_value;
		function.replacement = function.address - REPLACEMENT_DISTANCE;
		symbol_of[lookup->nr] = i;
		kedr_lookup_add(lookup, &function);
	}
}

static void search(const struct kedr_lookup *lookup, struct kedr_sites *sites)
{
	struct kedr_area areas[KEDR_NR_AREAS];
	int text;

	if (kedr_areas_init(areas, &loaded.mod))
		exit(3);
	for (text = 0; text < KEDR_NR_AREAS; text++)
		if (kedr_search(loaded.path, &areas[text], text, lookup,
				sites))
			exit(4);
	kedr_areas_destroy(areas);
}

static void print_sites(const struct kedr_sites *sites,
			const unsigned int *symbol_of)
{
	unsigned int i;

	for (i = 0; i < sites->nr; i++) {
		const struct kedr_site *site = &sites->site[i];
		const struct section *section =
			section_at(&loaded, site->area, site->field_at);

		printf("site %ld %lu %s %u\n",
		       (long)(section - loaded.sections),
		       site->field_at - section->at, kedr_kind_name(site->kind),
		       symbol_of[site->function]);
	}
}

/* The same sites must be found when calls enter the padding of functions. */
static void search_early(const struct kedr_lookup *lookup,
			 const struct kedr_sites *sites)
{
#ifdef CONFIG_CALL_THUNKS
	struct kedr_sites again = { 0 };
	unsigned long nr;
	unsigned int i;

	if (!loaded.call_sites)
		return;
	nr = enter_early(&loaded, CONFIG_FUNCTION_PADDING_BYTES);
	search(lookup, &again);
	for (i = 0; i < again.nr && i < sites->nr; i++)
		if (again.site[i].field_at != sites->site[i].field_at ||
		    again.site[i].area != sites->site[i].area ||
		    again.site[i].function != sites->site[i].function ||
		    again.site[i].new != sites->site[i].new)
			break;
	if (i < again.nr || i < sites->nr)
		printf("differs 0 %u early\n", i);
	printf("early %lu\n", nr);
	kedr_sites_destroy(&again);
#else
	(void)lookup;
	(void)sites;
#endif
}

static void search_module(void)
{
	struct kedr_sites sites = { 0 };
	struct kedr_lookup lookup;
	unsigned int *symbol_of = calloc(loaded.nr_symbols + 1,
					 sizeof(*symbol_of));
	int text;

	for (text = 0; text < KEDR_NR_AREAS; text++) {
		marks[text] = calloc(loaded.mod.mem[text].size + 1, 1);
		if (!symbol_of || !marks[text])
			exit(3);
	}
	fill_lookup(&lookup, symbol_of);
	search(&lookup, &sites);
	print_sites(&sites, symbol_of);
	search_early(&lookup, &sites);
	kedr_sites_destroy(&sites);
	kedr_lookup_destroy(&lookup);
	free(symbol_of);
}

/* ---- the other disassembler ---- */

static char *line;
static size_t line_room;
static bool line_waits;

/* Reads a line, or takes the one that was read too much. False at the end. */
static bool next_line(void)
{
	if (line_waits) {
		line_waits = false;
		return true;
	}
	return getline(&line, &line_room, stdin) > 0;
}

/* Is it the line "PATH:     file format FORMAT"? */
static bool begins_file(void)
{
	return strstr(line, ":     file format ") != NULL;
}

static struct section *find_section(unsigned int from, const char *name)
{
	unsigned int i;

	for (i = from; i < loaded.nr_sections; i++)
		if (loaded.sections[i].size &&
		    (loaded.sections[i].flags & SHF_EXECINSTR) &&
		    !strcmp(loaded.sections[i].name, name))
			return &loaded.sections[i];
	fprintf(stderr, "%s: objdump shows a section %s of code\n",
		loaded.path, name);
	exit(3);
}

/* "Disassembly of section NAME:"; sections come in the order of the file. */
static struct section *enter_section(const struct section *before)
{
	char *name = line + strlen(HEADING);
	struct section *section;

	name[strcspn(name, "\n") - 1] = 0;
	section = find_section(before ? before - loaded.sections + 1 : 0,
			       name);
	if (section->text < 0)
		printf("differs %ld 0 unsearched\n",
		       (long)(section - loaded.sections));
	return section;
}

/* "     1a2:\tmov ..." */
static void mark_instruction(const struct section *section)
{
	char *end;
	unsigned long at = strtoul(line, &end, 16);

	if (*end != ':' || end == line || section->text < 0)
		return;
	if (at >= section->size) {
		fprintf(stderr, "%s: objdump shows code after %s\n",
			loaded.path, section->name);
		exit(3);
	}
	marks[section->text][section->at + at] |=
		strstr(end, "(bad)") ? OTHERS | UNREAD : OTHERS;
}

static void read_objdump(void)
{
	const struct section *section = NULL;

	while (next_line() && !begins_file())
		;
	while (next_line()) {
		if (begins_file()) {
			line_waits = true;
			return;
		}
		if (!strncmp(line, HEADING, strlen(HEADING)))
			section = enter_section(section);
		else if (line[0] == ' ' && section)
			mark_instruction(section);
	}
}

/* ---- the comparison ---- */

static const char *difference(unsigned char mark)
{
	switch (mark) {
	case 0:
	case OURS | OTHERS:
		return NULL;
	case OURS:
		return "ours";
	case OTHERS:
		return "objdump";
	default:
		return "bad";
	}
}

static unsigned long compare_section(const struct section *section)
{
	const unsigned char *mark = marks[section->text] + section->at;
	unsigned long i, nr = 0;

	for (i = 0; i < section->size; i++) {
		nr += mark[i] & OURS;
		if (difference(mark[i]))
			printf("differs %ld %lu %s\n",
			       (long)(section - loaded.sections), i,
			       difference(mark[i]));
	}
	return nr;
}

static void compare(void)
{
	unsigned long instructions = 0, bytes = 0;
	unsigned int i, nr = 0;

	for (i = 0; i < loaded.nr_sections; i++) {
		const struct section *section = &loaded.sections[i];

		if (section->text < 0 || !section->size)
			continue;
		instructions += compare_section(section);
		bytes += section->size;
		nr++;
	}
	printf("module %lu %u %lu %s\n", instructions, nr, bytes, loaded.path);
}

int main(int argc, char **argv)
{
	int i, text;

	for (i = 1; i < argc; i++) {
		load(&loaded, argv[i]);
		if (loaded.is64 != EXPECTED_64BIT) {
			fprintf(stderr, "%s: is for other processors\n",
				argv[i]);
			return 3;
		}
		search_module();
		read_objdump();
		compare();
		for (text = 0; text < KEDR_NR_AREAS; text++)
			free(marks[text]);
		unload(&loaded);
	}
	free(line);
	return 0;
}
