/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A module file in memory as the kernel has it when it announces the module:
 * sections laid out in core and init text, relocations applied.
 */
#ifndef KEDR_LOADED_H
#define KEDR_LOADED_H

#include "stand_in.h"

#define KEDR_NR_TEXTS 2		/* core and init, as MOD_TEXT, MOD_INIT_TEXT */

/**
 * struct section - a section of the file
 * @name: its name
 * @type: SHT_...
 * @flags: SHF_...
 * @bytes: what the file has of it
 * @size: its size in bytes
 * @link: index of another section, see ELF
 * @info: the same
 * @align: wanted alignment in bytes
 * @text: which text it lies in, or -1
 * @at: its offset there
 * @address: its address, or that of something else where it has no text
 */
struct section {
	const char *name;
	unsigned int type;
	unsigned long flags;
	const unsigned char *bytes;
	unsigned long size;
	unsigned int link;
	unsigned int info;
	unsigned long align;
	int text;
	unsigned long at;
	unsigned long address;
};

/**
 * struct loaded - a loaded module
 * @path: its file
 * @file: the file's bytes
 * @file_size: their number
 * @is64: 64-bit code
 * @call_sites: call depth tracking would change its calls
 * @sections: the sections of the file
 * @nr_sections: their number
 * @symbols: the symbols with their addresses
 * @names: the names of the symbols
 * @nr_symbols: their number
 * @kallsyms: what @mod knows of @symbols
 * @mod: what the controller sees
 */
struct loaded {
	const char *path;
	unsigned char *file;
	unsigned long file_size;
	bool is64;
	bool call_sites;
	struct section *sections;
	unsigned int nr_sections;
	Elf_Sym *symbols;
	const char *names;
	unsigned int nr_symbols;
	struct mod_kallsyms kallsyms;
	struct module mod;
};

/* Reads and loads a file; ends the program with a message if it cannot. */
void load(struct loaded *loaded, const char *path);
void unload(struct loaded *loaded);

/* Is it a symbol that another module or the kernel exports? */
bool is_imported(const struct loaded *loaded, unsigned int symbol);

/* The section that has this byte of a text; ends the program with 4 if none has. */
const struct section *section_at(const struct loaded *loaded, int text,
				 unsigned long at);

/*
 * Does to the CALL instructions what call depth tracking does: lets those that
 * the relocations of imported symbols name enter their destination some bytes
 * before its start, 1 to @padding. Returns their number.
 */
unsigned long enter_early(struct loaded *loaded, unsigned int padding);

#endif /* KEDR_LOADED_H */
