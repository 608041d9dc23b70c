// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the text of a module is, where functions start in it, and which of it
 * is not like the rest.
 *
 * The layout of struct module differs between kernels; the KEDR_HAVE_ macros
 * come from kernel/probes.
 *
 * Locking: called for a module that is being loaded, before anything else can
 * run in it or look at it; nothing of the module changes meanwhile.
 */

#include <linux/elf.h>
#include <linux/rcupdate.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <kedr/config.h>

#include "controller.h"

#ifndef CONFIG_KALLSYMS
#error "this kernel was built without CONFIG_KALLSYMS: use one that has the symbols of modules"
#endif

/* The trampoline of a static call is named after the call, behind this. */
#define TRAMPOLINE "__SCT__"

static void set_area(struct kedr_area *area, const char *name, void *base,
		     unsigned long size)
{
	area->name = name;
	area->base = size ? (unsigned long)base : 0;
	area->size = base ? size : 0;
	area->starts = NULL;
	area->nr_starts = 0;
	area->trampolines.from = 0;
	area->trampolines.to = 0;
	area->noinstr_text.from = 0;
	area->noinstr_text.to = 0;
	area->scanned = 0;
}

#if defined(KEDR_HAVE_MODULE_MEM)

static void find_text(struct kedr_area areas[KEDR_NR_AREAS], struct module *mod)
{
	set_area(&areas[KEDR_AREA_CORE], "core", mod->mem[MOD_TEXT].base,
		 mod->mem[MOD_TEXT].size);
	set_area(&areas[KEDR_AREA_INIT], "init", mod->mem[MOD_INIT_TEXT].base,
		 mod->mem[MOD_INIT_TEXT].size);
}

#elif defined(KEDR_HAVE_MODULE_LAYOUT)

static void find_text(struct kedr_area areas[KEDR_NR_AREAS], struct module *mod)
{
	set_area(&areas[KEDR_AREA_CORE], "core", mod->core_layout.base,
		 mod->core_layout.text_size);
	set_area(&areas[KEDR_AREA_INIT], "init", mod->init_layout.base,
		 mod->init_layout.text_size);
}

#else

static void find_text(struct kedr_area areas[KEDR_NR_AREAS], struct module *mod)
{
	set_area(&areas[KEDR_AREA_CORE], "core", mod->module_core,
		 mod->core_text_size);
	set_area(&areas[KEDR_AREA_INIT], "init", mod->module_init,
		 mod->init_text_size);
}

#endif

#ifdef KEDR_HAVE_MODULE_NOINSTR

static void find_noinstr(struct kedr_area *area, const struct module *mod)
{
	unsigned long at = (unsigned long)mod->noinstr_text_start - area->base;

	if (!mod->noinstr_text_size || at >= area->size)
		return;
	area->noinstr_text.from = at;
	area->noinstr_text.to = at + mod->noinstr_text_size;
}

#else

/* Kernels of that time have no such code. */
static void find_noinstr(struct kedr_area *area, const struct module *mod)
{
}

#endif

/**
 * struct symbols - the symbols of a module
 * @symbol: the first one
 * @nr: their number
 * @names: where their names are
 */
struct symbols {
	const Elf_Sym *symbol;
	unsigned int nr;
	const char *names;
};

#if defined(KEDR_HAVE_MODULE_KALLSYMS)

static void get_symbols(struct symbols *symbols, struct module *mod)
{
	const struct mod_kallsyms *kallsyms;

	/* set before the module is announced and replaced after its init */
	kallsyms = rcu_dereference_raw(mod->kallsyms);
	symbols->symbol = kallsyms ? kallsyms->symtab : NULL;
	symbols->nr = kallsyms ? kallsyms->num_symtab : 0;
	symbols->names = kallsyms ? kallsyms->strtab : NULL;
}

#else

static void get_symbols(struct symbols *symbols, struct module *mod)
{
	symbols->symbol = mod->symtab;
	symbols->nr = mod->num_symtab;
	symbols->names = mod->strtab;
}

#endif

/*
 * Is it the start of a function or of a section? Kernels that have no room of
 * their own for the letters that kallsyms shows put them into st_info. Taken
 * as binding and type, a letter has a binding that no symbol has, so both
 * meanings can be told apart.
 */
static bool is_start(const Elf_Sym *symbol)
{
	unsigned char binding = symbol->st_info >> 4;
	unsigned char type = symbol->st_info & 0xf;

	if (binding <= STB_WEAK)
		return type == STT_FUNC || type == STT_SECTION;
	return symbol->st_info == 't' || symbol->st_info == 'T' ||
	       symbol->st_info == 'w' || symbol->st_info == 'W';
}

static bool starts_in(const Elf_Sym *symbol, const struct kedr_area *area)
{
	return symbol->st_shndx != SHN_UNDEF && is_start(symbol) &&
	       symbol->st_value >= area->base &&
	       symbol->st_value - area->base < area->size;
}

static int compare_starts(const void *a, const void *b)
{
	unsigned long left = *(const unsigned long *)a;
	unsigned long right = *(const unsigned long *)b;

	return left < right ? -1 : left > right;
}

static int collect_starts(struct kedr_area *area, const struct symbols *symbols)
{
	unsigned int i, found = 0;

	for (i = 0; i < symbols->nr; i++)
		found += starts_in(&symbols->symbol[i], area);
	if (!found)
		return 0;
	area->starts = vmalloc(found * sizeof(*area->starts));
	if (!area->starts)
		return -ENOMEM;
	for (i = 0; i < symbols->nr; i++)
		if (starts_in(&symbols->symbol[i], area))
			area->starts[area->nr_starts++] =
				symbols->symbol[i].st_value;
	sort(area->starts, found, sizeof(*area->starts), compare_starts, NULL);
	return 0;
}

/*
 * The trampolines are the only content of a section, so what lies between two
 * of them is one as well. Each begins with its JMP.
 */
static void find_trampolines(struct kedr_area *area,
			     const struct symbols *symbols)
{
	struct kedr_range *range = &area->trampolines;
	unsigned int i;

	for (i = 0; i < symbols->nr; i++) {
		const Elf_Sym *symbol = &symbols->symbol[i];
		unsigned long at = symbol->st_value - area->base;

		if (!starts_in(symbol, area) ||
		    strncmp(symbols->names + symbol->st_name, TRAMPOLINE,
			    strlen(TRAMPOLINE)))
			continue;
		if (!range->to || at < range->from)
			range->from = at;
		if (at >= range->to)
			range->to = at + 1;
	}
}

int kedr_areas_init(struct kedr_area areas[KEDR_NR_AREAS], struct module *mod)
{
	struct symbols symbols;
	int err, kind;

	find_text(areas, mod);
	get_symbols(&symbols, mod);
	for (kind = 0; kind < KEDR_NR_AREAS; kind++) {
		find_noinstr(&areas[kind], mod);
		find_trampolines(&areas[kind], &symbols);
		err = collect_starts(&areas[kind], &symbols);
		if (err) {
			kedr_areas_destroy(areas);
			return err;
		}
	}
	return 0;
}

void kedr_areas_destroy(struct kedr_area areas[KEDR_NR_AREAS])
{
	int kind;

	for (kind = 0; kind < KEDR_NR_AREAS; kind++) {
		vfree(areas[kind].starts);
		areas[kind].starts = NULL;
		areas[kind].nr_starts = 0;
	}
}
