// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the search finds, refuses and leaves alone, one small text at a time.
 */
#include "controller.h"
#include "scenarios.h"

#define FUNCTION	0x10000000UL	/* distance of a function from the text */
#define REPLACEMENT	0x20000000UL
#define FAR		0x100000000UL	/* out of the reach of 32 bits */
#define INT3		0xcc

static unsigned char text[256];
static unsigned long starts[8];
static struct kedr_area area;
static struct kedr_lookup lookup;
static struct kedr_sites sites;

int watched_decode(const unsigned char *at, const unsigned char *end,
		   struct kedr_insn *insn);

int watched_decode(const unsigned char *at, const unsigned char *end,
		   struct kedr_insn *insn)
{
	return kedr_arch_decode(at, end, insn);
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
		.name = "function",
		.address = address,
		.replacement = replacement,
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
	return area.base + site->field_at + 4 + (s32)site->new;
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
	CHECK(sites.site[0].insn_at == 1 && sites.site[0].field_at == 2);
	CHECK(sites.site[0].kind == KEDR_INSN_CALL);
	CHECK(sites.site[1].kind == KEDR_INSN_JMP);
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

/* jo to jg, as all of them may end a function */
static void conditional_tail_calls_are_found(void)
{
	unsigned int condition;

	for (condition = 0; condition < 16; condition++) {
		set_text("\x90\x0f_____", 7);
		text[2] = 0x80 + condition;
		lead(3, area.base + FUNCTION);
		add_function(area.base + FUNCTION, area.base + REPLACEMENT);
		CHECK(!search());
		CHECK(sites.nr == 1);
		CHECK(sites.site[0].kind == KEDR_INSN_JCC);
		CHECK(sites.site[0].insn_at == 1 && sites.site[0].field_at == 3);
		CHECK(replacement_of(&sites.site[0]) ==
		      area.base + REPLACEMENT);
		CHECK(lookup.functions[0].nr_sites[KEDR_INSN_JCC] == 1);
		finish();
	}
}

static void a_conditional_tail_call_that_cannot_reach_is_refused(void)
{
	set_text("\x0f\x84____", 6);
	lead(2, area.base + FUNCTION);
	add_function(area.base + FUNCTION, area.base + FAR);
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
	CHECK(sites.nr == 1000);
	CHECK(lookup.functions[0].nr_sites[KEDR_INSN_CALL] == 1000);
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

/* ---- static calls, code without instrumentation ---- */

/* jmp FUNCTION; ud1 %esp,%ecx; call FUNCTION */
static void the_jump_of_a_static_call_is_no_site(void)
{
	set_text("\xe9____\x0f\xb9\xcc\xe8____", 13);
	lead(1, area.base + FUNCTION);
	lead(9, area.base + FUNCTION);
	area.trampolines.from = 0;
	area.trampolines.to = 1;
	add_function(area.base + FUNCTION, area.base + REPLACEMENT);
	CHECK(!search());
	CHECK(sites.nr == 1 && sites.site[0].insn_at == 8);
	CHECK(lookup.functions[0].nr_static_calls == 1);
	finish();
}

static Elf_Sym symbols[8];
static unsigned int nr_symbols;

static void add_symbol(unsigned int name, unsigned long at)
{
	Elf_Sym *symbol = &symbols[nr_symbols++];

	symbol->st_name = name;
	symbol->st_info = STB_GLOBAL << 4 | STT_FUNC;
	symbol->st_shndx = 1;
	symbol->st_value = (unsigned long)text + at;
}

static struct mod_kallsyms kallsyms = { symbols, 0, "\0plain\0__SCT__it" };
static struct module module;
static struct kedr_area areas[KEDR_NR_AREAS];

static void find_areas(void)
{
	module.mem[MOD_TEXT].base = text;
	module.mem[MOD_TEXT].size = sizeof(text);
	module.kallsyms = &kallsyms;
	kallsyms.num_symtab = nr_symbols;
	CHECK(!kedr_areas_init(areas, &module));
}

static void trampolines_are_found_by_their_names(void)
{
	add_symbol(1, 0);
	add_symbol(7, 40);
	add_symbol(7, 32);
	add_symbol(7, 48);
	add_symbol(1, 64);
	find_areas();
	CHECK(areas[0].trampolines.from == 32);
	CHECK(areas[0].trampolines.to == 49);
	CHECK(areas[1].trampolines.from == areas[1].trampolines.to);
	CHECK(areas[0].nr_starts == 5);
	kedr_areas_destroy(areas);
}

static void a_module_without_static_calls_has_no_trampolines(void)
{
	add_symbol(1, 0);
	find_areas();
	CHECK(!areas[0].trampolines.to);
	CHECK(areas[0].noinstr_text.from == areas[0].noinstr_text.to);
	kedr_areas_destroy(areas);
}

static void code_without_instrumentation_is_found_in_its_text(void)
{
	module.noinstr_text_start = text + 16;
	module.noinstr_text_size = 32;
	find_areas();
	CHECK(areas[0].noinstr_text.from == 16);
	CHECK(areas[0].noinstr_text.to == 48);
	CHECK(!areas[1].noinstr_text.to);
	kedr_areas_destroy(areas);
}

static void sites_without_instrumentation_are_counted(void)
{
	set_call_and_jmp();
	area.noinstr_text.from = 6;
	area.noinstr_text.to = 11;
	add_function(area.base + FUNCTION, area.base + REPLACEMENT);
	CHECK(!search());
	CHECK(sites.nr == 2);
	CHECK(lookup.functions[0].nr_noinstr == 1);
	finish();
}

/* ---- breakpoints ---- */

/* Searches @bytes that begin a function, with another one at @next. */
static int search_function(const char *bytes, unsigned long size,
			   unsigned long next)
{
	int err;

	area.nr_starts = 0;
	set_text(bytes, size);
	add_start(0);
	if (next)
		add_start(next);
	CHECK(!kedr_lookup_init(&lookup, 0));
	err = search();
	finish();
	return err;
}

static void int3_where_nothing_comes_is_left_alone(void)
{
	CHECK(!search_function("\xc3\xcc\x90", 3, 0));		/* ret */
	CHECK(!search_function("\xf3\xc3\xcc\x90", 4, 0));	/* rep ret */
	CHECK(!search_function("\xc3\xcc\xcc\xcc\xcc\x90", 6, 0));
	CHECK(!search_function("\xeb\x01\xcc\x90", 4, 0));	/* jmp */
	CHECK(!search_function("\xe9\1\0\0\0\xcc\x90", 7, 0));
	CHECK(!search_function("\xff\xe0\xcc\x90", 4, 0));	/* jmp *eax */
	CHECK(!search_function("\x0f\x0b\xcc\x90", 4, 0));	/* ud2 */
	CHECK(!search_function("\xe8\1\0\0\0\xcc\x90", 7, 0));
#ifdef CONFIG_X86_64
	CHECK(!search_function("\x41\xff\xe3\xcc\x90", 5, 0)); /* jmp *r11 */
#endif
}

static void int3_up_to_the_next_function_is_padding(void)
{
	/* a call that does not come back, and one that ends the text */
	CHECK(!search_function("\xe8\0\0\0\0\xcc\xcc\xcc\x90", 9, 8));
	CHECK(!search_function("\xe8\0\0\0\0\xcc\xcc", 7, 0));
}

static void a_breakpoint_in_a_function_is_refused(void)
{
	CHECK(search_function("\x90\xcc\x90\xc3", 4, 0) == -ENOEXEC);
	CHECK(search_function("\x90\xcc\x90\xc3", 4, 3) == -ENOEXEC);
	/* a call that comes back; call *eax */
	CHECK(search_function("\xe8\2\0\0\0\xcc\x90", 7, 0) == -ENOEXEC);
	CHECK(search_function("\xff\xd0\xcc\x90", 4, 0) == -ENOEXEC);
	/* je */
	CHECK(search_function("\x74\x01\xcc\x90", 4, 0) == -ENOEXEC);
}

/* push %ebp; mov %esp,%ebp with a kprobe on it, behind a function's end */
static void a_breakpoint_where_a_function_starts_is_refused(void)
{
	CHECK(search_function("\xcc\x89\xe5\xc3", 4, 0) == -ENOEXEC);
	CHECK(search_function("\xc3\xcc\x89\xe5\xc3", 5, 1) == -ENOEXEC);
	CHECK(search_function("\xc3\0\0\xcc\x89\xe5", 6, 3) == -ENOEXEC);
}

static void a_long_run_of_int3_is_looked_at_once(void)
{
	unsigned long size = 64UL << 20;
	unsigned char *bytes = malloc(size);

	CHECK(bytes);
	memset(bytes, INT3, size);
	bytes[0] = 0xc3;
	bytes[size - 1] = 0x90;
	set_text("", 0);
	area.base = (unsigned long)bytes;
	area.size = size;
	CHECK(!kedr_lookup_init(&lookup, 0));
	CHECK(!search());
	CHECK(area.scanned == size);
	finish();
	free(bytes);
}

static const struct scenario scenarios[] = {
	SCENARIO(calls_and_tail_calls_are_found),
	SCENARIO(a_replacement_out_of_reach_is_refused),
	SCENARIO(the_last_address_in_reach_is_reached),
	SCENARIO(the_first_address_out_of_reach_is_refused),
	SCENARIO(a_replacement_too_far_below_is_refused),
	SCENARIO(conditional_tail_calls_are_found),
	SCENARIO(a_conditional_tail_call_that_cannot_reach_is_refused),
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
	SCENARIO(the_jump_of_a_static_call_is_no_site),
	SCENARIO(trampolines_are_found_by_their_names),
	SCENARIO(a_module_without_static_calls_has_no_trampolines),
	SCENARIO(code_without_instrumentation_is_found_in_its_text),
	SCENARIO(sites_without_instrumentation_are_counted),
	SCENARIO(int3_where_nothing_comes_is_left_alone),
	SCENARIO(int3_up_to_the_next_function_is_padding),
	SCENARIO(a_breakpoint_in_a_function_is_refused),
	SCENARIO(a_breakpoint_where_a_function_starts_is_refused),
	SCENARIO(a_long_run_of_int3_is_looked_at_once),
};

int main(int argc, char **argv)
{
	return run_scenario(scenarios, sizeof(scenarios) / sizeof(*scenarios),
			    argc > 1 ? argv[1] : NULL);
}
