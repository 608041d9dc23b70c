// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the text of a module is, and where functions start in it.
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
#include <linux/vmalloc.h>

#include <kedr/config.h>

#include "controller.h"

static void set_area(struct kedr_area *area, const char *name, void *base,
		     unsigned long size)
{
	area->name = name;
	area->base = size ? (unsigned long)base : 0;
	area->size = base ? size : 0;
	area->starts = NULL;
	area->nr_starts = 0;
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

/* The symbols of a module: a pointer to the first one and their number. */
#if !defined(CONFIG_KALLSYMS)

static unsigned int get_symbols(struct module *mod, const Elf_Sym **symbols)
{
	*symbols = NULL;
	return 0;
}

#elif defined(KEDR_HAVE_MODULE_KALLSYMS)

static unsigned int get_symbols(struct module *mod, const Elf_Sym **symbols)
{
	const struct mod_kallsyms *kallsyms;

	/* set before the module is announced and replaced after its init */
	kallsyms = rcu_dereference_raw(mod->kallsyms);
	*symbols = kallsyms ? kallsyms->symtab : NULL;
	return kallsyms ? kallsyms->num_symtab : 0;
}

#else

static unsigned int get_symbols(struct module *mod, const Elf_Sym **symbols)
{
	*symbols = mod->symtab;
	return mod->num_symtab;
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

static int collect_starts(struct kedr_area *area, struct module *mod)
{
	const Elf_Sym *symbols;
	unsigned int nr = get_symbols(mod, &symbols);
	unsigned int i, found = 0;

	for (i = 0; i < nr; i++)
		found += starts_in(&symbols[i], area);
	if (!found)
		return 0;
	area->starts = vmalloc(found * sizeof(*area->starts));
	if (!area->starts)
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		if (starts_in(&symbols[i], area))
			area->starts[area->nr_starts++] = symbols[i].st_value;
	sort(area->starts, found, sizeof(*area->starts), compare_starts, NULL);
	return 0;
}

int kedr_areas_init(struct kedr_area areas[KEDR_NR_AREAS], struct module *mod)
{
	int err, kind;

	find_text(areas, mod);
	for (kind = 0; kind < KEDR_NR_AREAS; kind++) {
		err = collect_starts(&areas[kind], mod);
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
