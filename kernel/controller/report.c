// SPDX-License-Identifier: GPL-2.0-only
/*
 * The report on a target, as text:
 *
 *	target NAME
 *	text core 0xSIZE scanned BYTES
 *	text init 0xSIZE scanned BYTES
 *	nanoseconds N
 *	site SYMBOL call|jmp|jcc core|init 0xOFFSET to NAME+0xOFFSET MODULE
 *					(one for each site)
 *	function SYMBOL call N jmp N [jcc N]
 *					(one for each function)
 *	static_call SYMBOL N		(the target has N trampolines that lead
 *					to it; calls through these are not seen)
 *	noinstr SYMBOL N		(N of the sites are in code that must
 *					not be instrumented)
 *
 * Where a site leads is read from the text as it will be executed, after
 * everything was written, and named by the kernel. What has no name is shown
 * as "0xADDRESS -".
 *
 * The text is made once, when the target is loaded; sysfs.c shows it.
 *
 * Locking: the caller owns the report; nothing here is shared.
 */

#include <linux/kallsyms.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "controller.h"

/* Lengths of the lines without names, with every number at its longest. */
#define HEAD_ROOM 256
#define LINE_ROOM 96

/* So many sites that lead elsewhere are named, the others with an address. */
#define MAX_STRANGE 16

/* How many lines about a function there may be, besides those of its sites. */
#define LINES_PER_FUNCTION 3

static size_t room_needed(const char *module, const struct kedr_sites *sites,
			  const struct kedr_lookup *lookup)
{
	size_t room = HEAD_ROOM + strlen(module);
	unsigned int i;

	for (i = 0; i < sites->nr; i++) {
		const struct kedr_function *function =
			&lookup->functions[sites->site[i].function];

		room += LINE_ROOM + strlen(function->name) +
			strlen(function->to);
	}
	for (i = 0; i < lookup->nr; i++)
		room += LINES_PER_FUNCTION *
			(LINE_ROOM + strlen(lookup->functions[i].name));
	return room + MAX_STRANGE * KSYM_SYMBOL_LEN;
}

/* Asked once for each function that is called: the kernel looks for it long. */
static int name_replacements(const struct kedr_sites *sites,
			     struct kedr_lookup *lookup)
{
	char *text = kmalloc(KSYM_SYMBOL_LEN, GFP_KERNEL);
	unsigned int i;
	int err = text ? 0 : -ENOMEM;

	for (i = 0; !err && i < sites->nr; i++) {
		struct kedr_function *function =
			&lookup->functions[sites->site[i].function];

		if (function->to)
			continue;
		kedr_symbol_print(text, KSYM_SYMBOL_LEN, function->replacement);
		function->to = kstrdup(text, GFP_KERNEL);
		if (!function->to)
			err = -ENOMEM;
	}
	kfree(text);
	return err;
}

static size_t put_head(char *text, size_t room, const char *module,
		       const struct kedr_area areas[KEDR_NR_AREAS],
		       u64 nanoseconds)
{
	size_t at = scnprintf(text, room, "target %s\n", module);
	int kind;

	for (kind = 0; kind < KEDR_NR_AREAS; kind++)
		at += scnprintf(text + at, room - at,
				"text %s 0x%lx scanned %lu\n",
				areas[kind].name, areas[kind].size,
				areas[kind].scanned);
	at += scnprintf(text + at, room - at, "nanoseconds %llu\n",
			(unsigned long long)nanoseconds);
	return at;
}

/* Where the branch leads now. */
static unsigned long destination(const struct kedr_area *area,
				 const struct kedr_site *site)
{
	unsigned long at = area->base + site->field_at;
	u32 field;

	memcpy(&field, (const void *)at, sizeof(field));
	return kedr_arch_destination(at, field);
}

static size_t put_destination(char *text, size_t room, unsigned long to,
			      const struct kedr_function *function,
			      unsigned int *strange)
{
	if (to == function->replacement)
		return scnprintf(text, room, "%s\n", function->to);
	if ((*strange)++ < MAX_STRANGE) {
		size_t at = kedr_symbol_print(text, room, to);

		return at + scnprintf(text + at, room - at, "\n");
	}
	return scnprintf(text, room, "0x%lx -\n", to);
}

static size_t put_sites(char *text, size_t room,
			const struct kedr_area areas[KEDR_NR_AREAS],
			const struct kedr_sites *sites,
			const struct kedr_lookup *lookup)
{
	unsigned int i, strange = 0;
	size_t at = 0;

	for (i = 0; i < sites->nr; i++) {
		const struct kedr_site *site = &sites->site[i];
		const struct kedr_area *area = &areas[site->area];
		const struct kedr_function *function =
			&lookup->functions[site->function];

		at += scnprintf(text + at, room - at, "site %s %s %s 0x%x to ",
				function->name, kedr_kind_name(site->kind),
				area->name, site->insn_at);
		at += put_destination(text + at, room - at,
				      destination(area, site), function,
				      &strange);
	}
	return at;
}

/* "function NAME call N jmp N", and the lines and numbers that few have. */
static size_t put_function(char *text, size_t room,
			   const struct kedr_function *function)
{
	const unsigned int *nr = function->nr_sites;
	size_t at = scnprintf(text, room, "function %s call %u jmp %u",
			      function->name, nr[KEDR_INSN_CALL],
			      nr[KEDR_INSN_JMP]);

	if (nr[KEDR_INSN_JCC])
		at += scnprintf(text + at, room - at, " jcc %u",
				nr[KEDR_INSN_JCC]);
	at += scnprintf(text + at, room - at, "\n");
	if (function->nr_static_calls)
		at += scnprintf(text + at, room - at, "static_call %s %u\n",
				function->name, function->nr_static_calls);
	if (function->nr_noinstr)
		at += scnprintf(text + at, room - at, "noinstr %s %u\n",
				function->name, function->nr_noinstr);
	return at;
}

static size_t put_functions(char *text, size_t room,
			    const struct kedr_lookup *lookup)
{
	size_t at = 0;
	unsigned int i;

	for (i = 0; i < lookup->nr; i++)
		at += put_function(text + at, room - at, &lookup->functions[i]);
	return at;
}

int kedr_report_reserve(struct kedr_report *report, const char *module,
			const struct kedr_sites *sites,
			struct kedr_lookup *lookup)
{
	int err = name_replacements(sites, lookup);

	if (err)
		return err;
	report->length = 0;
	report->room = room_needed(module, sites, lookup);
	report->text = vmalloc(report->room);
	return report->text ? 0 : -ENOMEM;
}

void kedr_report_write(struct kedr_report *report, const char *module,
		       const struct kedr_area areas[KEDR_NR_AREAS],
		       const struct kedr_sites *sites,
		       const struct kedr_lookup *lookup, u64 nanoseconds)
{
	size_t room = report->room;
	char *text = report->text;
	size_t at;

	at = put_head(text, room, module, areas, nanoseconds);
	at += put_sites(text + at, room - at, areas, sites, lookup);
	at += put_functions(text + at, room - at, lookup);
	report->length = at;
}

void kedr_report_destroy(struct kedr_report *report)
{
	vfree(report->text);
	report->text = NULL;
	report->length = 0;
}
