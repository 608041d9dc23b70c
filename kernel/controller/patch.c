// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing the new values of the branches' fields.
 *
 * The text of a module is read-only when the module is announced. Its pages
 * are mapped a second time, writable and not executable, for as long as the
 * writing takes; the first mapping is never touched. Each field is read back
 * through the address at which it will be executed.
 *
 * Locking: no processor runs in the text yet, so the bytes of an instruction
 * need not change at once. When all is written, no processor may use older bytes
 * that it has fetched ahead.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "controller.h"

/**
 * struct alias - a writable mapping of an area
 * @mapping: start of the mapping, at a page's border; NULL if there is none
 * @shift: what to add to an offset in the area to get one in the mapping
 */
struct alias {
	void *mapping;
	unsigned long shift;
};

static bool has_sites(const struct kedr_sites *sites, int kind)
{
	unsigned int i;

	for (i = 0; i < sites->nr; i++)
		if (sites->site[i].area == kind)
			return true;
	return false;
}

static int map_area(struct alias *alias, const struct kedr_area *area)
{
	unsigned long first = area->base & PAGE_MASK;
	unsigned long nr, i;
	struct page **pages;

	alias->shift = area->base - first;
	nr = DIV_ROUND_UP(alias->shift + area->size, PAGE_SIZE);
	pages = vmalloc(nr * sizeof(*pages));
	if (!pages)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		pages[i] = vmalloc_to_page((void *)(first + i * PAGE_SIZE));
		if (!pages[i]) {
			vfree(pages);
			return -EFAULT;
		}
	}
	alias->mapping = vmap(pages, nr, VM_MAP, PAGE_KERNEL);
	vfree(pages);
	return alias->mapping ? 0 : -ENOMEM;
}

static void unmap_areas(struct alias aliases[KEDR_NR_AREAS],
			const struct kedr_area areas[KEDR_NR_AREAS])
{
	int kind;

	for (kind = 0; kind < KEDR_NR_AREAS; kind++) {
		if (!aliases[kind].mapping)
			continue;
		vunmap(aliases[kind].mapping);
		aliases[kind].mapping = NULL;
		kedr_arch_written(areas[kind].base, areas[kind].size);
	}
}

static int map_areas(struct alias aliases[KEDR_NR_AREAS],
		     const struct kedr_area areas[KEDR_NR_AREAS],
		     const struct kedr_sites *sites)
{
	int err, kind;

	for (kind = 0; kind < KEDR_NR_AREAS; kind++) {
		if (!has_sites(sites, kind))
			continue;
		err = map_area(&aliases[kind], &areas[kind]);
		if (err) {
			unmap_areas(aliases, areas);
			return err;
		}
	}
	return 0;
}

/* Writes and reads back. True if the text now holds @field. */
static bool write_field(const struct alias *alias, const struct kedr_area *area,
			const struct kedr_site *site, u32 field)
{
	const void *text = (const void *)(area->base + site->field_at);

	memcpy(alias->mapping + alias->shift + site->field_at, &field,
	       sizeof(field));
	/* what is compared is memory, not what the compiler remembers */
	barrier();
	return !memcmp(text, &field, sizeof(field));
}

/* Puts back the old values. False if one of them could not be. */
static bool undo(struct alias aliases[KEDR_NR_AREAS],
		 const struct kedr_area areas[KEDR_NR_AREAS],
		 struct kedr_sites *sites)
{
	bool good = true;
	unsigned int i;

	for (i = 0; i < sites->nr; i++) {
		struct kedr_site *site = &sites->site[i];

		if (!site->written)
			continue;
		if (!write_field(&aliases[site->area], &areas[site->area], site,
				 site->old))
			good = false;
		site->written = false;
	}
	return good;
}

static int write_sites(const char *module, struct alias aliases[KEDR_NR_AREAS],
		       const struct kedr_area areas[KEDR_NR_AREAS],
		       struct kedr_sites *sites)
{
	unsigned int i;

	for (i = 0; i < sites->nr; i++) {
		struct kedr_site *site = &sites->site[i];
		const struct kedr_area *area = &areas[site->area];

		/* set first: a write that failed half-way is undone as well */
		site->written = true;
		if (!write_field(&aliases[site->area], area, site, site->new)) {
			pr_err("%s: refused: %s text, offset 0x%x: what was written is not what is read back\n",
			       module, area->name, site->field_at);
			return -EIO;
		}
	}
	return 0;
}

int kedr_patch(const char *module, struct kedr_area areas[KEDR_NR_AREAS],
	       struct kedr_sites *sites)
{
	struct alias aliases[KEDR_NR_AREAS] = { };
	int err;

	if (!sites->nr)
		return 0;
	err = map_areas(aliases, areas, sites);
	if (err) {
		pr_err("%s: refused: its text cannot be mapped (error %d)\n",
		       module, err);
		return err;
	}
	err = write_sites(module, aliases, areas, sites);
	if (err && !undo(aliases, areas, sites))
		pr_err("%s: the text could not be restored\n", module);
	unmap_areas(aliases, areas);
	return err;
}
