// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the search finds, refuses and leaves alone, one small text at a time.
 */
#include "controller.h"
#include "insn_length.h"
#include "scenarios.h"

#define FUNCTION	0x10000000UL	/* distance of a function from the text */
#define REPLACEMENT	0x20000000UL
#define FAR		0x100000000UL	/* out of the reach of 32 bits */

static unsigned char text[256];
static unsigned long starts[8];
static struct kedr_area area;
static struct kedr_lookup lookup;
static struct kedr_sites sites;

int watched_decode(const unsigned char *at, const unsigned char *end,
		   int is64, struct kedr_insn *insn);

int watched_decode(const unsigned char *at, const unsigned char *end,
		   int is64, struct kedr_insn *insn)
{
	return kedr_insn_decode(at, end, is64, insn);
}

static void set_text(const void *bytes, unsigned long size)
{
	memcpy(text, bytes, size);
	area.name = "core";
	area.base = (unsigned long)text;
	area.size = size;
	area.starts = starts;
}

static void add_start(unsigned long at)
{
	starts[area.nr_starts++] = area.base + at;
}

static void add_function(unsigned long address, unsigned long replacement)
{
	struct kedr_function function = {
		"function", address, replacement, 0, 0,
	};

	if (!lookup.slots)
		CHECK(!kedr_lookup_init(&lookup, 8));
	kedr_lookup_add(&lookup, &function);
}

/* Lets the branch whose displacement is at @at lead to @address. */
static void lead(unsigned long at, unsigned long address)
{
	s32 rel = (s32)(address - (area.base + at + 4));

	memcpy(text + at, &rel, sizeof(rel));
}

static unsigned long replacement_of(const struct kedr_site *site)
{
	return area.base + site->rel_at + 4 + site->new;
}

static int search(void)
{
	return kedr_search("module", &area, KEDR_AREA_CORE, &lookup, &sites);
}

static void finish(void)
{
	kedr_sites_destroy(&sites);
	kedr_lookup_destroy(&lookup);
}

/* nop; call FUNCTION; jmp FUNCTION */
static void set_call_and_jmp(void)
{
	set_text("\x90\xe8____\xe9____", 11);
	lead(2, area.base + FUNCTION);
	lead(7, area.base + FUNCTION);
}

static void calls_and_tail_calls_are_found(void)
{
	set_call_and_jmp();
	add_function(area.base + FUNCTION, area.base + REPLACEMENT);
	CHECK(!search());
	CHECK(sites.nr == 2);
	CHECK(sites.site[0].insn_at == 1 && sites.site[0].rel_at == 2);
	CHECK(!sites.site[0].jmp && sites.site[1].jmp);
	CHECK(replacement_of(&sites.site[0]) == area.base + REPLACEMENT);
	CHECK(replacement_of(&sites.site[1]) == area.base + REPLACEMENT);
	CHECK(area.scanned == 11);
	finish();
}

static void a_replacement_out_of_reach_is_refused(void)
{
	set_call_and_jmp();
	add_function(area.base + FUNCTION, area.base + FAR);
	CHECK(search() == -ENOEXEC);
	CHECK(!sites.nr);
	finish();
}

static void the_last_address_in_reach_is_reached(void)
{
	unsigned long next;

	set_call_and_jmp();
	next = area.base + 6;
	add_function(area.base + FUNCTION, next + 0x7fffffff);
	/* the JMP is nearer to it */
	CHECK(!search());
	CHECK(sites.nr == 2 && sites.site[0].new == 0x7fffffff);
	finish();
}

static void the_first_address_out_of_reach_is_refused(void)
{
	set_call_and_jmp();
	add_function(area.base + FUNCTION, area.base + 6 + 0x80000000UL);
	CHECK(search() == -ENOEXEC);
	finish();
}

static void a_replacement_too_far_below_is_refused(void)
{
	set_call_and_jmp();
	add_function(area.base + FUNCTION, area.base + 6 - 0x80000001UL);
	CHECK(search() == -ENOEXEC);
	finish();
}

static void a_conditional_branch_to_a_function_is_refused(void)
{
	set_text("\x0f\x84____", 6);
	lead(2, area.base + FUNCTION);
	add_function(area.base + FUNCTION, area.base + REPLACEMENT);
	CHECK(search() == -ENOEXEC);
	finish();
}

static void a_conditional_branch_elsewhere_is_left_alone(void)
{
	set_text("\x0f\x84____", 6);
	lead(2, area.base + FUNCTION + 1);
	add_function(area.base + FUNCTION, area.base + REPLACEMENT);
	CHECK(!search());
	CHECK(!sites.nr);
	finish();
}

static void a_byte_that_is_no_instruction_is_refused(void)
{
#ifdef CONFIG_X86_64
	set_text("\x90\x06\x90", 3);
#else
	set_text("\x90\x0f\x04", 3);
#endif
	CHECK(!kedr_lookup_init(&lookup, 0));
	CHECK(search() == -ENOEXEC);
	finish();
}

static void an_instruction_that_is_cut_off_is_refused(void)
{
	set_text("\x90\xe8\x01\x02", 4);
	CHECK(!kedr_lookup_init(&lookup, 0));
	CHECK(search() == -ENOEXEC);
	finish();
}

static void an_instruction_over_the_start_of_a_function_is_refused(void)
{
	set_text("\x90\xe8____\x90", 7);
	add_start(0);
	add_start(3);
	CHECK(!kedr_lookup_init(&lookup, 0));
	CHECK(search() == -ENOEXEC);
	finish();
}

static void zeros_before_a_function_are_a_gap(void)
{
	set_text("\x90\0\0\0\xc3\0\0", 7);
	add_start(4);
	CHECK(!kedr_lookup_init(&lookup, 0));
	CHECK(!search());
	CHECK(area.scanned == 2);
	finish();
}

static void zeros_elsewhere_are_instructions(void)
{
	/* add %al,(%eax) or (%rax) */
	set_text("\x90\0\0\xc3", 4);
	CHECK(!kedr_lookup_init(&lookup, 0));
	CHECK(!search());
	CHECK(area.scanned == 4);
	finish();
}

/* Looking at all of them again at each of them would take days. */
static void a_long_run_of_zeros_is_looked_at_once(void)
{
	unsigned long size = 64UL << 20;
	unsigned char *zeros = calloc(size, 1);

	CHECK(zeros);
	set_text("", 0);
	zeros[size - 1] = 0xc3;
	zeros[size - 2] = 0x90;
	area.base = (unsigned long)zeros;
	area.size = size;
	CHECK(!kedr_lookup_init(&lookup, 0));
	CHECK(!search());
	CHECK(area.scanned == size);
	finish();
	free(zeros);
}

static void a_call_without_memory_for_its_site_is_an_error(void)
{
	set_call_and_jmp();
	add_function(area.base + FUNCTION, area.base + REPLACEMENT);
	failing_allocation = 1;
	CHECK(search() == -ENOMEM);
	CHECK(!sites.nr);
	finish();
}

static void more_sites_than_there_was_room_for_are_kept(void)
{
	unsigned char *calls = malloc(5 * 1000);
	unsigned int i;

	CHECK(calls);
	set_text("", 0);
	area.base = (unsigned long)calls;
	area.size = 5 * 1000;
	add_function(area.base + FUNCTION, area.base + REPLACEMENT);
	for (i = 0; i < 1000; i++) {
		s32 rel = (s32)(FUNCTION - 5 * i - 5);

		calls[5 * i] = 0xe8;
		memcpy(calls + 5 * i + 1, &rel, sizeof(rel));
	}
	CHECK(!search());
	CHECK(sites.nr == 1000 && lookup.functions[0].nr_calls == 1000);
	for (i = 0; i < 1000; i++)
		CHECK(sites.site[i].insn_at == 5 * i);
	finish();
	free(calls);
}

static void a_text_without_bytes_has_no_sites(void)
{
	set_text("", 0);
	CHECK(!kedr_lookup_init(&lookup, 0));
	CHECK(!search());
	finish();
}

static void a_call_into_padding_is_one_of_its_function_with_call_thunks(void)
{
	unsigned int found = 0, early;

	for (early = 1; early <= 20; early++) {
		set_call_and_jmp();
		area.scanned = 0;
		lead(2, area.base + FUNCTION - early);
		add_function(area.base + FUNCTION, area.base + REPLACEMENT);
		CHECK(!search());
		found += sites.nr == 2;
		finish();
	}
#ifdef CONFIG_CALL_THUNKS
	CHECK(found == CONFIG_FUNCTION_PADDING_BYTES);
#else
	CHECK(!found);
#endif
}

/* Functions that follow each other at once, in both orders of registration. */
static void a_start_of_a_function_is_never_padding(void)
{
	int turned;

	for (turned = 0; turned < 2; turned++) {
		set_call_and_jmp();
		lead(2, area.base + FUNCTION - 8);
		add_function(area.base + FUNCTION - (turned ? 8 : 0),
			     area.base + REPLACEMENT + (turned ? 8 : 0));
		add_function(area.base + FUNCTION - (turned ? 0 : 8),
			     area.base + REPLACEMENT + (turned ? 0 : 8));
		CHECK(!search());
		CHECK(sites.nr == 2);
		CHECK(replacement_of(&sites.site[0]) ==
		      area.base + REPLACEMENT + 8);
		CHECK(replacement_of(&sites.site[1]) ==
		      area.base + REPLACEMENT);
		finish();
	}
}

/* The same, when the padding of the second one reaches over the first one. */
static void padding_belongs_to_the_next_function(void)
{
#ifdef CONFIG_CALL_THUNKS
	int turned;

	for (turned = 0; turned < 2; turned++) {
		set_call_and_jmp();
		lead(2, area.base + FUNCTION - 12);
		add_function(area.base + FUNCTION - (turned ? 8 : 0),
			     area.base + REPLACEMENT + (turned ? 8 : 0));
		add_function(area.base + FUNCTION - (turned ? 0 : 8),
			     area.base + REPLACEMENT + (turned ? 0 : 8));
		CHECK(!search());
		CHECK(sites.nr == 2);
		CHECK(replacement_of(&sites.site[0]) ==
		      area.base + REPLACEMENT + 8);
		finish();
	}
#endif
}

static const struct scenario scenarios[] = {
	SCENARIO(calls_and_tail_calls_are_found),
	SCENARIO(a_replacement_out_of_reach_is_refused),
	SCENARIO(the_last_address_in_reach_is_reached),
	SCENARIO(the_first_address_out_of_reach_is_refused),
	SCENARIO(a_replacement_too_far_below_is_refused),
	SCENARIO(a_conditional_branch_to_a_function_is_refused),
	SCENARIO(a_conditional_branch_elsewhere_is_left_alone),
	SCENARIO(a_byte_that_is_no_instruction_is_refused),
	SCENARIO(an_instruction_that_is_cut_off_is_refused),
	SCENARIO(an_instruction_over_the_start_of_a_function_is_refused),
	SCENARIO(zeros_before_a_function_are_a_gap),
	SCENARIO(zeros_elsewhere_are_instructions),
	SCENARIO(a_long_run_of_zeros_is_looked_at_once),
	SCENARIO(a_call_without_memory_for_its_site_is_an_error),
	SCENARIO(more_sites_than_there_was_room_for_are_kept),
	SCENARIO(a_text_without_bytes_has_no_sites),
	SCENARIO(a_call_into_padding_is_one_of_its_function_with_call_thunks),
	SCENARIO(a_start_of_a_function_is_never_padding),
	SCENARIO(padding_belongs_to_the_next_function),
};

int main(int argc, char **argv)
{
	return run_scenario(scenarios, sizeof(scenarios) / sizeof(*scenarios),
			    argc > 1 ? argv[1] : NULL);
}
