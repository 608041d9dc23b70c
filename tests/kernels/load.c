// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads a module file as the kernel does up to the announcement: executable
 * sections are laid out in file order, those whose name begins with .init
 * apart from the others; each text fills whole pages; relocations of x86-64
 * (with addends) and i386 (addends in place) are applied.
 *
 * What the kernel does in between and this does not: alternatives, return
 * thunks, retpolines, static calls, calls to the function tracer.
 *
 * Where imported symbols and data would be is made up: numbers that the 32-bit
 * displacements of the texts reach. Nothing is there.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "loaded.h"

#define IMPORTED_DISTANCE	0x40000000UL	/* before the text */
#define IMPORTED_STEP		64UL
#define DATA_DISTANCE		0x20000000UL	/* after the text */
#define CODE (SHF_ALLOC | SHF_EXECINSTR)

static void give_up(const struct loaded *loaded, const char *why)
{
	fprintf(stderr, "%s: %s\n", loaded->path, why);
	exit(3);
}

static void *checked(void *memory)
{
	if (!memory) {
		fprintf(stderr, "out of memory\n");
		exit(3);
	}
	return memory;
}

static unsigned long align_up(unsigned long value, unsigned long to)
{
	return to > 1 ? (value + to - 1) / to * to : value;
}

/* ---- the file ---- */

static void read_file(struct loaded *loaded)
{
	FILE *file = fopen(loaded->path, "rb");
	long size;

	if (!file || fseek(file, 0, SEEK_END))
		give_up(loaded, strerror(errno));
	size = ftell(file);
	rewind(file);
	loaded->file_size = size;
	loaded->file = checked(malloc(size + 1));
	if (size < 0 || fread(loaded->file, 1, size, file) != (size_t)size)
		give_up(loaded, "cannot be read to its end");
	fclose(file);
}

/* Returns a piece of the file that is there as a whole. */
static const void *piece(const struct loaded *loaded, unsigned long offset,
			 unsigned long size)
{
	if (offset > loaded->file_size || size > loaded->file_size - offset)
		give_up(loaded, "is cut off");
	return loaded->file + offset;
}

static void take_section_64(struct section *section, const Elf64_Shdr *header)
{
	section->type = header->sh_type;
	section->flags = header->sh_flags;
	section->size = header->sh_size;
	section->link = header->sh_link;
	section->info = header->sh_info;
	section->align = header->sh_addralign;
}

static void take_section_32(struct section *section, const Elf32_Shdr *header)
{
	section->type = header->sh_type;
	section->flags = header->sh_flags;
	section->size = header->sh_size;
	section->link = header->sh_link;
	section->info = header->sh_info;
	section->align = header->sh_addralign;
}

/* Fills one section; returns the offset of its name. */
static unsigned int take_section(struct loaded *loaded, unsigned int index,
				 unsigned long table)
{
	struct section *section = &loaded->sections[index];
	const Elf64_Shdr *wide;
	const Elf32_Shdr *narrow;
	unsigned long offset;
	unsigned int name;

	if (loaded->is64) {
		wide = piece(loaded, table + index * sizeof(*wide),
			     sizeof(*wide));
		take_section_64(section, wide);
		offset = wide->sh_offset;
		name = wide->sh_name;
	} else {
		narrow = piece(loaded, table + index * sizeof(*narrow),
			       sizeof(*narrow));
		take_section_32(section, narrow);
		offset = narrow->sh_offset;
		name = narrow->sh_name;
	}
	if (section->type != SHT_NOBITS)
		section->bytes = piece(loaded, offset, section->size);
	section->text = -1;
	return name;
}

static void read_sections(struct loaded *loaded)
{
	const Elf64_Ehdr *wide = piece(loaded, 0, sizeof(*wide));
	const Elf32_Ehdr *narrow = (const Elf32_Ehdr *)wide;
	unsigned long table = loaded->is64 ? wide->e_shoff : narrow->e_shoff;
	unsigned int names = loaded->is64 ? wide->e_shstrndx :
					    narrow->e_shstrndx;
	unsigned int *name, i;

	loaded->nr_sections = loaded->is64 ? wide->e_shnum : narrow->e_shnum;
	if (names >= loaded->nr_sections)
		give_up(loaded, "has no names of sections");
	loaded->sections = checked(calloc(loaded->nr_sections,
					  sizeof(*loaded->sections)));
	name = checked(calloc(loaded->nr_sections, sizeof(*name)));
	for (i = 0; i < loaded->nr_sections; i++)
		name[i] = take_section(loaded, i, table);
	for (i = 0; i < loaded->nr_sections; i++) {
		if (name[i] >= loaded->sections[names].size)
			give_up(loaded, "has a section without a name");
		loaded->sections[i].name =
			(const char *)loaded->sections[names].bytes + name[i];
		if (!strcmp(loaded->sections[i].name, ".call_sites"))
			loaded->call_sites = true;
	}
	free(name);
}

static void check_header(struct loaded *loaded)
{
	const Elf64_Ehdr *header = piece(loaded, 0, sizeof(*header));

	if (memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    header->e_type != ET_REL ||
	    (header->e_machine != EM_X86_64 && header->e_machine != EM_386))
		give_up(loaded, "is not a relocatable x86 file");
	loaded->is64 = header->e_ident[EI_CLASS] == ELFCLASS64;
}

/* ---- the layout ---- */

static void place_section(struct section *section, unsigned long sizes[])
{
	int text = strncmp(section->name, ".init", 5) ? MOD_TEXT :
							MOD_INIT_TEXT;

	section->text = text;
	section->at = align_up(sizes[text], section->align);
	sizes[text] = section->at + section->size;
}

static void allocate_text(struct loaded *loaded, int text, unsigned long size)
{
	struct module_memory *memory = &loaded->mod.mem[text];

	memory->size = align_up(size, PAGE_SIZE);
	memory->base = NULL;
	if (!size)
		return;
	memory->base = mmap(NULL, memory->size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory->base == MAP_FAILED)
		checked(NULL);
}

static unsigned long anchor(const struct loaded *loaded)
{
	const struct module_memory *memory = loaded->mod.mem;

	return (unsigned long)(memory[MOD_TEXT].base ?
			       memory[MOD_TEXT].base :
			       memory[MOD_INIT_TEXT].base);
}

static void lay_out(struct loaded *loaded)
{
	unsigned long sizes[KEDR_NR_TEXTS] = { 0, 0 };
	unsigned long data;
	unsigned int i;

	for (i = 0; i < loaded->nr_sections; i++)
		if ((loaded->sections[i].flags & CODE) == CODE)
			place_section(&loaded->sections[i], sizes);
	allocate_text(loaded, MOD_TEXT, sizes[MOD_TEXT]);
	allocate_text(loaded, MOD_INIT_TEXT, sizes[MOD_INIT_TEXT]);
	data = align_up(anchor(loaded) + DATA_DISTANCE, PAGE_SIZE);
	for (i = 0; i < loaded->nr_sections; i++) {
		struct section *section = &loaded->sections[i];

		if (section->text < 0) {
			section->address = data;
			data += align_up(section->size, PAGE_SIZE);
			continue;
		}
		section->address = section->at +
			(unsigned long)loaded->mod.mem[section->text].base;
		if (section->size)
			memcpy((void *)section->address, section->bytes,
			       section->size);
		if (!strcmp(section->name, ".noinstr.text")) {
			loaded->mod.noinstr_text_start =
				(void *)section->address;
			loaded->mod.noinstr_text_size = section->size;
		}
	}
}

/* ---- symbols ---- */

static void take_symbol_32(Elf_Sym *symbol, const Elf32_Sym *narrow)
{
	symbol->st_name = narrow->st_name;
	symbol->st_info = narrow->st_info;
	symbol->st_other = narrow->st_other;
	symbol->st_shndx = narrow->st_shndx;
	symbol->st_value = narrow->st_value;
	symbol->st_size = narrow->st_size;
}

static void take_symbols(struct loaded *loaded, const struct section *table)
{
	unsigned int size = loaded->is64 ? sizeof(Elf64_Sym) :
					   sizeof(Elf32_Sym);
	unsigned int i;

	if (table->link >= loaded->nr_sections)
		give_up(loaded, "has symbols without names");
	loaded->names = (const char *)loaded->sections[table->link].bytes;
	loaded->nr_symbols = table->size / size;
	loaded->symbols = checked(calloc(loaded->nr_symbols,
					 sizeof(*loaded->symbols)));
	for (i = 0; i < loaded->nr_symbols; i++) {
		const unsigned char *bytes = table->bytes + (size_t)i * size;

		if (loaded->is64)
			memcpy(&loaded->symbols[i], bytes, size);
		else
			take_symbol_32(&loaded->symbols[i],
				       (const Elf32_Sym *)bytes);
	}
}

bool is_imported(const struct loaded *loaded, unsigned int symbol)
{
	return loaded->symbols[symbol].st_shndx == SHN_UNDEF &&
	       loaded->symbols[symbol].st_name;
}

static void resolve_symbols(struct loaded *loaded)
{
	unsigned long imported = anchor(loaded) - IMPORTED_DISTANCE;
	unsigned int i;

	for (i = 0; i < loaded->nr_symbols; i++) {
		Elf_Sym *symbol = &loaded->symbols[i];

		if (is_imported(loaded, i))
			symbol->st_value = imported + i * IMPORTED_STEP;
		else if (symbol->st_shndx < loaded->nr_sections)
			symbol->st_value +=
				loaded->sections[symbol->st_shndx].address;
	}
	loaded->kallsyms.symtab = loaded->symbols;
	loaded->kallsyms.num_symtab = loaded->nr_symbols;
	loaded->kallsyms.strtab = loaded->names;
	loaded->mod.kallsyms = &loaded->kallsyms;
}

static void read_symbols(struct loaded *loaded)
{
	unsigned int i;

	for (i = 0; i < loaded->nr_sections; i++)
		if (loaded->sections[i].type == SHT_SYMTAB)
			take_symbols(loaded, &loaded->sections[i]);
	resolve_symbols(loaded);
}

/* ---- relocations ---- */

/* One relocation: where, which type, the symbol, what to add. */
struct relocation {
	unsigned char *at;
	unsigned int type;
	unsigned int symbol;
	long addend;
};

static bool is_relative(const struct loaded *loaded,
			const struct relocation *relocation)
{
	return loaded->is64 ? relocation->type == R_X86_64_PC32 ||
				      relocation->type == R_X86_64_PLT32 :
			      relocation->type == R_386_PC32 ||
				      relocation->type == R_386_PLT32;
}

static void apply(struct loaded *loaded, const struct relocation *relocation)
{
	unsigned long value = loaded->symbols[relocation->symbol].st_value +
			      relocation->addend;
	unsigned int size = 4;

	if (is_relative(loaded, relocation))
		value -= (unsigned long)relocation->at;
	else if (loaded->is64 && relocation->type == R_X86_64_64)
		size = 8;
	else if (loaded->is64 && relocation->type == R_X86_64_NONE)
		size = 0;
	else if (loaded->is64 ? relocation->type != R_X86_64_32 &&
				relocation->type != R_X86_64_32S :
				relocation->type != R_386_32)
		give_up(loaded, "has a relocation of unknown type in its code");
	memcpy(relocation->at, &value, size);
}

typedef void (*relocate)(struct loaded *loaded,
			 const struct relocation *relocation, void *argument);

static void apply_one(struct loaded *loaded,
		      const struct relocation *relocation, void *unused)
{
	(void)unused;
	apply(loaded, relocation);
}

static void take_relocation(const struct loaded *loaded,
			    const unsigned char *entry,
			    const struct section *to, struct relocation *taken)
{
	unsigned long offset;

	if (loaded->is64) {
		const Elf64_Rela *rela = (const Elf64_Rela *)entry;

		offset = rela->r_offset;
		taken->type = ELF64_R_TYPE(rela->r_info);
		taken->symbol = ELF64_R_SYM(rela->r_info);
		taken->addend = rela->r_addend;
	} else {
		const Elf32_Rel *rel = (const Elf32_Rel *)entry;

		offset = rel->r_offset;
		taken->type = ELF32_R_TYPE(rel->r_info);
		taken->symbol = ELF32_R_SYM(rel->r_info);
		taken->addend = 0;
	}
	if (offset + 4 > to->size || taken->symbol >= loaded->nr_symbols)
		give_up(loaded, "has a relocation that leads out of it");
	taken->at = (unsigned char *)to->address + offset;
	if (!loaded->is64) {
		s32 addend;

		memcpy(&addend, to->bytes + offset, sizeof(addend));
		taken->addend = addend;
	}
}

/* Calls @each for every relocation of the texts. */
static void for_relocations(struct loaded *loaded, relocate each,
			    void *argument)
{
	unsigned int type = loaded->is64 ? SHT_RELA : SHT_REL;
	unsigned long step = loaded->is64 ? sizeof(Elf64_Rela) :
					    sizeof(Elf32_Rel);
	unsigned int i;

	for (i = 0; i < loaded->nr_sections; i++) {
		const struct section *from = &loaded->sections[i];
		const struct section *to;
		unsigned long at;

		if (from->type != type || from->info >= loaded->nr_sections)
			continue;
		to = &loaded->sections[from->info];
		for (at = 0; to->text >= 0 && at + step <= from->size;
		     at += step) {
			struct relocation taken;

			take_relocation(loaded, from->bytes + at, to, &taken);
			each(loaded, &taken, argument);
		}
	}
}

struct early {
	unsigned int padding;
	unsigned long nr;
};

static void enter_one_early(struct loaded *loaded,
			    const struct relocation *relocation, void *argument)
{
	struct early *early = argument;
	s32 rel;

	if (!is_imported(loaded, relocation->symbol) ||
	    !is_relative(loaded, relocation) || relocation->at[-1] != 0xe8 ||
	    relocation->addend != -4)
		return;
	memcpy(&rel, relocation->at, sizeof(rel));
	rel -= 1 + relocation->symbol % early->padding;
	memcpy(relocation->at, &rel, sizeof(rel));
	early->nr++;
}

unsigned long enter_early(struct loaded *loaded, unsigned int padding)
{
	struct early early = { padding, 0 };

	for_relocations(loaded, enter_one_early, &early);
	return early.nr;
}

/* ---- all of it ---- */

void load(struct loaded *loaded, const char *path)
{
	memset(loaded, 0, sizeof(*loaded));
	loaded->path = path;
	read_file(loaded);
	check_header(loaded);
	read_sections(loaded);
	lay_out(loaded);
	read_symbols(loaded);
	for_relocations(loaded, apply_one, NULL);
}

void unload(struct loaded *loaded)
{
	int text;

	for (text = 0; text < KEDR_NR_TEXTS; text++)
		if (loaded->mod.mem[text].base)
			munmap(loaded->mod.mem[text].base,
			       loaded->mod.mem[text].size);
	free(loaded->symbols);
	free(loaded->sections);
	free(loaded->file);
}

const struct section *section_at(const struct loaded *loaded, int text,
				 unsigned long at)
{
	unsigned int i;

	for (i = 0; i < loaded->nr_sections; i++) {
		const struct section *section = &loaded->sections[i];

		if (section->text == text && at >= section->at &&
		    at - section->at < section->size)
			return section;
	}
	fprintf(stderr, "%s: a site outside of all sections, at 0x%lx\n",
		loaded->path, at);
	exit(4);
}
