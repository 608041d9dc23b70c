// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing the sites, and taking back what was written when it fails.
 *
 * A text is a piece of a file in memory that is mapped where it is executed
 * (here: where it can be read only, so that a write through this mapping ends
 * the program) and a second time by what stands in for vmap().
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "controller.h"
#include "scenarios.h"

#define PAGES	3
#define SIZE	(PAGES * PAGE_SIZE)

/**
 * struct text - a text of the target
 * @file: its memory
 * @executed: where it is executed
 */
struct text {
	int file;
	unsigned char *executed;
};

static struct text texts[KEDR_NR_AREAS];
static struct kedr_area areas[KEDR_NR_AREAS];
static struct kedr_site room[8];
static struct kedr_sites sites = { room, 0, 8 };
static unsigned char before[KEDR_NR_AREAS][SIZE];

static int nr_mappings;
static unsigned int maps_until_failure;		/* 0: none fails */
static unsigned int pages_until_failure;
static int stray_page = -1;		/* what is written there is lost */
static unsigned int writes_until_loss;	/* later ones are lost: 0: none */
static void *last_mapping;

/* ---- what stands in for the kernel ---- */

struct page *vmalloc_to_page(const void *address)
{
	if (pages_until_failure && !--pages_until_failure)
		return NULL;
	CHECK(!((unsigned long)address & ~PAGE_MASK));
	return (struct page *)address;
}

static const struct text *text_of(const struct page *page)
{
	int kind;

	for (kind = 0; kind < KEDR_NR_AREAS; kind++) {
		unsigned long at = (unsigned char *)page -
				   texts[kind].executed;

		if (at < SIZE)
			return &texts[kind];
	}
	CHECK(!"a page of a text");
	return NULL;
}

/* Puts memory of its own over pages, with the same content. */
static void detach(unsigned char *at, unsigned long size)
{
	void *copy = malloc(size);

	CHECK(copy);
	memcpy(copy, at, size);
	CHECK(mmap(at, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
	memcpy(at, copy, size);
	free(copy);
}

void *vmap(struct page **pages, unsigned int nr, unsigned long flags, int prot)
{
	const struct text *text = text_of(pages[0]);
	unsigned long from = (unsigned char *)pages[0] - text->executed;
	unsigned char *mapping;
	unsigned int i;

	(void)flags;
	(void)prot;
	for (i = 1; i < nr; i++)
		CHECK((unsigned char *)pages[i] ==
		      (unsigned char *)pages[0] + i * PAGE_SIZE);
	CHECK(from + nr * PAGE_SIZE <= SIZE);
	if (maps_until_failure && !--maps_until_failure)
		return NULL;
	mapping = mmap(NULL, nr * PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED, text->file, from);
	CHECK(mapping != MAP_FAILED);
	if (stray_page >= 0 && (unsigned int)stray_page < nr)
		detach(mapping + stray_page * PAGE_SIZE, PAGE_SIZE);
	nr_mappings++;
	last_mapping = mapping;
	return mapping;
}

void vunmap(const void *mapping)
{
	CHECK(mapping && !((unsigned long)mapping & ~PAGE_MASK));
	nr_mappings--;
}

/* Called between writing a displacement and reading it back. */
void after_write(void)
{
	if (writes_until_loss && !--writes_until_loss)
		detach(last_mapping, SIZE);
}

/* ---- texts and sites ---- */

static void make_texts(void)
{
	int kind, i;

	for (kind = 0; kind < KEDR_NR_AREAS; kind++) {
		struct text *text = &texts[kind];

		text->file = memfd_create("text", 0);
		CHECK(text->file >= 0 && !ftruncate(text->file, SIZE));
		for (i = 0; i < (int)SIZE; i++)
			before[kind][i] = (unsigned char)(i * 7 + kind);
		CHECK(pwrite(text->file, before[kind], SIZE, 0) == SIZE);
		text->executed = mmap(NULL, SIZE, PROT_READ, MAP_SHARED,
				      text->file, 0);
		CHECK(text->executed != MAP_FAILED);
		areas[kind].name = kind ? "init" : "core";
		/* not at the border of a page, as on old kernels */
		areas[kind].base = (unsigned long)text->executed + 16;
		areas[kind].size = SIZE - 16;
	}
}

static void add_site(int kind, unsigned int field_at)
{
	struct kedr_site *site = &room[sites.nr++];

	memset(site, 0, sizeof(*site));
	site->area = kind;
	site->field_at = field_at;
	memcpy(&site->old, before[kind] + 16 + field_at, sizeof(site->old));
	site->new = (s32)(0x51515151 + sites.nr);
}

/* Two in the first text, one of them over the border of pages; one in init. */
static void make_sites(void)
{
	make_texts();
	add_site(KEDR_AREA_CORE, 100);
	add_site(KEDR_AREA_CORE, PAGE_SIZE - 16 - 2);
	add_site(KEDR_AREA_INIT, 2 * PAGE_SIZE + 7);
}

static int patch(void)
{
	int err = kedr_patch("module", areas, &sites);

	CHECK(!nr_mappings);
	return err;
}

static bool is_unchanged(void)
{
	return !memcmp(texts[0].executed, before[0], SIZE) &&
	       !memcmp(texts[1].executed, before[1], SIZE);
}

static bool nothing_counts_as_written(void)
{
	unsigned int i;

	for (i = 0; i < sites.nr; i++)
		if (sites.site[i].written)
			return false;
	return true;
}

/* ---- scenarios ---- */

static void all_sites_are_written_and_nothing_else(void)
{
	unsigned int i;

	make_sites();
	CHECK(!patch());
	for (i = 0; i < sites.nr; i++) {
		const struct kedr_site *site = &sites.site[i];

		CHECK(site->written);
		memcpy(before[site->area] + 16 + site->field_at, &site->new,
		       sizeof(site->new));
	}
	CHECK(is_unchanged());
}

static void without_sites_nothing_is_mapped(void)
{
	make_texts();
	maps_until_failure = 1;
	CHECK(!patch());
	CHECK(maps_until_failure == 1);
}

static void a_text_without_sites_is_not_mapped(void)
{
	make_texts();
	add_site(KEDR_AREA_INIT, 0);
	maps_until_failure = 2;
	CHECK(!patch());
	CHECK(maps_until_failure == 1);
}

static void the_first_mapping_fails(void)
{
	make_sites();
	maps_until_failure = 1;
	CHECK(patch() == -ENOMEM);
	CHECK(is_unchanged() && nothing_counts_as_written());
}

static void the_second_mapping_fails_and_the_first_is_taken_back(void)
{
	make_sites();
	maps_until_failure = 2;
	CHECK(patch() == -ENOMEM);
	CHECK(is_unchanged() && nothing_counts_as_written());
}

static void there_is_no_memory_for_the_list_of_pages(void)
{
	make_sites();
	failing_allocation = 1;
	CHECK(patch() == -ENOMEM);
	CHECK(is_unchanged() && nothing_counts_as_written());
}

static void a_page_of_the_text_is_not_known(void)
{
	make_sites();
	pages_until_failure = 2;
	CHECK(patch() == -EFAULT);
	CHECK(is_unchanged() && nothing_counts_as_written());
}

static void a_page_of_the_second_text_is_not_known(void)
{
	make_sites();
	pages_until_failure = PAGES + 1;
	CHECK(patch() == -EFAULT);
	CHECK(is_unchanged() && nothing_counts_as_written());
}

/* The second site lies over the border: half of it arrives. */
static void a_site_that_is_half_written_is_taken_back_with_those_before(void)
{
	make_sites();
	stray_page = 1;
	CHECK(patch() == -EIO);
	CHECK(is_unchanged() && nothing_counts_as_written());
}

static void a_failure_in_the_second_text_takes_the_first_back(void)
{
	make_sites();
	stray_page = 2;
	CHECK(patch() == -EIO);
	CHECK(is_unchanged() && nothing_counts_as_written());
}

/* The load is refused all the same, and it is said. */
static void what_cannot_be_taken_back_is_an_error_too(void)
{
	make_texts();
	add_site(KEDR_AREA_CORE, 100);
	add_site(KEDR_AREA_CORE, 200);
	writes_until_loss = 1;
	CHECK(patch() == -EIO);
	CHECK(!is_unchanged());
}

static const struct scenario scenarios[] = {
	SCENARIO(all_sites_are_written_and_nothing_else),
	SCENARIO(without_sites_nothing_is_mapped),
	SCENARIO(a_text_without_sites_is_not_mapped),
	SCENARIO(the_first_mapping_fails),
	SCENARIO(the_second_mapping_fails_and_the_first_is_taken_back),
	SCENARIO(there_is_no_memory_for_the_list_of_pages),
	SCENARIO(a_page_of_the_text_is_not_known),
	SCENARIO(a_page_of_the_second_text_is_not_known),
	SCENARIO(a_site_that_is_half_written_is_taken_back_with_those_before),
	SCENARIO(a_failure_in_the_second_text_takes_the_first_back),
	SCENARIO(what_cannot_be_taken_back_is_an_error_too),
};

int main(int argc, char **argv)
{
	return run_scenario(scenarios, sizeof(scenarios) / sizeof(*scenarios),
			    argc > 1 ? argv[1] : NULL);
}
