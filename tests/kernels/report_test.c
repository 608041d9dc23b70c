// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the report says of the sites: where the text leads, not where it was
 * meant to lead, by the names that the kernel has for addresses.
 */
#include "controller.h"
#include "scenarios.h"

#define NR_SITES	40
#define ELSEWHERE	0x300

static unsigned char text[5 * NR_SITES];
static struct kedr_area areas[KEDR_NR_AREAS];
static struct kedr_lookup lookup;
static struct kedr_sites sites;
static struct kedr_report report;

/* ---- what stands in for the kernel ---- */

static const char *module_text = " [payload]";
static unsigned int nr_asked;

/* Where functions begin that have names, each 0x100 bytes long. */
static unsigned long named_from(void)
{
	return (unsigned long)text + 0x10000;
}

int sprint_symbol(char *shown, unsigned long address)
{
	unsigned long at = address - named_from();

	nr_asked++;
	if (at >= 0x1000)
		return sprintf(shown, "0x%lx", address);
	return sprintf(shown, "name%lu.cold+%#lx/0x100%s", at / 0x100,
		       at % 0x100, module_text);
}

int watched_decode(const unsigned char *at, const unsigned char *end,
		   struct kedr_insn *insn);

int watched_decode(const unsigned char *at, const unsigned char *end,
		   struct kedr_insn *insn)
{
	return kedr_arch_decode(at, end, insn);
}

/* ---- a target ---- */

static void lead(unsigned int site, unsigned long address)
{
	s32 rel = (s32)(address - (areas[0].base + 5 * site + 5));

	memcpy(text + 5 * site + 1, &rel, sizeof(rel));
}

/* Calls of one function, all of them patched. */
static void make_target(unsigned int nr)
{
	struct kedr_function function = {
		.name = "function",
		.address = named_from() - 0x8000,
		.replacement = named_from() + 0x200,
	};
	unsigned int i;

	areas[0].name = "core";
	areas[0].base = (unsigned long)text;
	areas[0].size = 5 * nr;
	areas[1].name = "init";
	CHECK(!kedr_lookup_init(&lookup, 1));
	kedr_lookup_add(&lookup, &function);
	for (i = 0; i < nr; i++) {
		text[5 * i] = 0xe8;
		lead(i, function.address);
	}
	CHECK(!kedr_search("module", &areas[0], 0, &lookup, &sites));
	CHECK(sites.nr == nr);
	for (i = 0; i < nr; i++)
		lead(i, function.replacement);
}

static void write_report(void)
{
	CHECK(!kedr_report_reserve(&report, "module", &sites, &lookup));
	kedr_report_write(&report, "module", areas, &sites, &lookup, 7);
	CHECK(report.length < report.room);
	CHECK(report.length == strlen(report.text));
}

static void finish(void)
{
	kedr_report_destroy(&report);
	kedr_sites_destroy(&sites);
	kedr_lookup_destroy(&lookup);
}

static bool says(const char *line)
{
	return strstr(report.text, line) != NULL;
}

static unsigned int lines_with(const char *words)
{
	const char *at = report.text;
	unsigned int nr = 0;

	while ((at = strstr(at, words))) {
		at++;
		nr++;
	}
	return nr;
}

/* ---- scenarios ---- */

static void a_site_leads_to_the_replacement_by_name(void)
{
	make_target(2);
	write_report();
	CHECK(says("\nsite function call core 0x0 to name2.cold+0x0 payload\n"));
	CHECK(says("\nsite function call core 0x5 to name2.cold+0x0 payload\n"));
	CHECK(says("\nfunction function call 2 jmp 0\n"));
	CHECK(!says("static_call") && !says("noinstr") && !says("jcc"));
	finish();
}

static void a_site_that_was_not_changed_leads_to_the_function(void)
{
	make_target(2);
	lead(1, named_from() + 0x100);
	module_text = "";
	write_report();
	CHECK(says("\nsite function call core 0x5 to name1.cold+0x0 -\n"));
	finish();
}

static void a_site_that_leads_into_a_function_says_where(void)
{
	make_target(1);
	lead(0, named_from() + 0x21f);
	write_report();
	CHECK(says(" core 0x0 to name2.cold+0x1f payload\n"));
	finish();
}

static void a_build_id_behind_the_module_is_left_out(void)
{
	make_target(1);
	module_text = " [payload 0123456789abcdef]";
	write_report();
	CHECK(says(" to name2.cold+0x0 payload\n"));
	finish();
}

static void an_address_without_a_name_is_shown(void)
{
	char line[64];

	make_target(1);
	lead(0, named_from() + 0x2000);
	write_report();
	sprintf(line, " core 0x0 to 0x%lx -\n", named_from() + 0x2000);
	CHECK(says(line));
	finish();
}

static void the_kernel_is_asked_for_a_replacement_once(void)
{
	make_target(NR_SITES);
	write_report();
	CHECK(nr_asked == 1);
	CHECK(lines_with(" to name2.cold+0x0 payload\n") == NR_SITES);
	finish();
}

/* Names are longer than what was reserved; no line is lost for it. */
static void many_strange_sites_are_all_in_the_report(void)
{
	unsigned int i;

	make_target(NR_SITES);
	for (i = 0; i < NR_SITES; i++)
		lead(i, named_from() + ELSEWHERE);
	write_report();
	CHECK(lines_with("\nsite function call core 0x") == NR_SITES);
	CHECK(lines_with(" to name3.cold+0x0 payload\n") == 16);
	CHECK(lines_with(" -\n") == NR_SITES - 16);
	CHECK(says("\nfunction function call 40 jmp 0\n"));
	finish();
}

static void what_few_targets_have_is_told(void)
{
	make_target(1);
	lookup.functions[0].nr_sites[KEDR_INSN_JCC] = 3;
	lookup.functions[0].nr_static_calls = 4;
	lookup.functions[0].nr_noinstr = 5;
	write_report();
	CHECK(says("\nfunction function call 1 jmp 0 jcc 3\n"
		   "static_call function 4\nnoinstr function 5\n"));
	finish();
}

static void without_memory_there_is_no_report(void)
{
	unsigned int nr;

	for (nr = 1; nr <= 3; nr++) {
		make_target(1);
		failing_allocation = nr;
		CHECK(kedr_report_reserve(&report, "module", &sites,
					  &lookup) == -ENOMEM);
		CHECK(!report.text);
		finish();
	}
}

static const struct scenario scenarios[] = {
	SCENARIO(a_site_leads_to_the_replacement_by_name),
	SCENARIO(a_site_that_was_not_changed_leads_to_the_function),
	SCENARIO(a_site_that_leads_into_a_function_says_where),
	SCENARIO(a_build_id_behind_the_module_is_left_out),
	SCENARIO(an_address_without_a_name_is_shown),
	SCENARIO(the_kernel_is_asked_for_a_replacement_once),
	SCENARIO(many_strange_sites_are_all_in_the_report),
	SCENARIO(what_few_targets_have_is_told),
	SCENARIO(without_memory_there_is_no_report),
};

int main(int argc, char **argv)
{
	return run_scenario(scenarios, sizeof(scenarios) / sizeof(*scenarios),
			    argc > 1 ? argv[1] : NULL);
}
