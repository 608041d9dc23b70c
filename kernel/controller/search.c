// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finding the direct calls and tail jumps to replaced functions. A tail jump
 * may be a conditional one: "jne kfree" where a function ends with a call that
 * is made under a condition.
 *
 * The text is decoded from its first byte to its last. Between two sections
 * there may be zero bytes, which are not instructions: a run of zero bytes is
 * such a gap if it ends exactly where the next function or section starts or
 * where the text ends. Anywhere else the bytes must be instructions, and no
 * instruction may reach over the start of a function. If that does not hold,
 * the decoder is lost and could miss a call, so the module is refused.
 *
 * A breakpoint that somebody has put over the first byte of an instruction, for
 * example a kprobe, would have the rest of that instruction misread, so such a
 * module is refused too.
 *
 * The JMP in the trampoline of a static call is not a site: the kernel lets the
 * callers call the function directly, at any time after this, so they would
 * not come to the replacement.
 *
 * Locking: the text belongs to a module that is being loaded; it is only read
 * here, and nothing else runs in it.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "controller.h"

/* After so many instructions others get a chance to run. */
#define BREATH 65536

/* So many bytes are shown where the decoder is lost. */
#define SHOWN_BYTES 16UL

/**
 * struct walk - the state of a walk through one area
 * @module: name of the module, for messages
 * @area: the area
 * @kind: which one it is
 * @lookup: the functions to look for
 * @sites: where to add what is found
 * @at: offset of the next instruction
 * @before: offset of the instruction before it; @at if there is none
 * @limit: offset that the next instruction must not reach over
 * @next_start: index of the first start after @at
 * @zeros_end: all bytes from @at up to this offset are zero
 */
struct walk {
	const char *module;
	struct kedr_area *area;
	enum kedr_area_kind kind;
	const struct kedr_lookup *lookup;
	struct kedr_sites *sites;
	unsigned long at;
	unsigned long before;
	unsigned long limit;
	unsigned int next_start;
	unsigned long zeros_end;
};

static const unsigned char *byte_at(const struct walk *walk, unsigned long at)
{
	return (const unsigned char *)walk->area->base + at;
}

/* Moves @limit to the first start after @at, or to the end of the area. */
static void find_limit(struct walk *walk)
{
	const struct kedr_area *area = walk->area;

	while (walk->next_start < area->nr_starts &&
	       area->starts[walk->next_start] - area->base <= walk->at)
		walk->next_start++;
	if (walk->next_start < area->nr_starts)
		walk->limit = area->starts[walk->next_start] - area->base;
	else
		walk->limit = area->size;
}

/* No byte is looked at twice, however often this is asked on the way. */
static bool only_zeros_to_limit(struct walk *walk)
{
	if (walk->zeros_end < walk->at)
		walk->zeros_end = walk->at;
	while (walk->zeros_end < walk->limit &&
	       !*byte_at(walk, walk->zeros_end))
		walk->zeros_end++;
	return walk->zeros_end == walk->limit;
}

const char *kedr_kind_name(unsigned int kind)
{
	static const char * const names[KEDR_NR_INSN_KINDS] = {
		[KEDR_INSN_CALL] = "call",
		[KEDR_INSN_JMP] = "jmp",
		[KEDR_INSN_JCC] = "jcc",
	};

	return names[kind];
}

/* ---- breakpoints ---- */

static bool is_start(const struct walk *walk)
{
	const struct kedr_area *area = walk->area;

	return walk->next_start &&
	       area->starts[walk->next_start - 1] - area->base == walk->at;
}

static int look_at_trap(const struct walk *walk)
{
	if (!kedr_arch_is_breakpoint(byte_at(walk, walk->before),
				     byte_at(walk, walk->at),
				     byte_at(walk, walk->limit),
				     is_start(walk)))
		return 0;
	pr_err("%s: refused: %s text, a breakpoint at offset 0x%lx: was a kprobe set on it? Remove that, then load the module\n",
	       walk->module, walk->area->name, walk->at);
	return -ENOEXEC;
}

/* ---- sites ---- */

static int make_room(struct kedr_sites *sites)
{
	unsigned int room = sites->room ? 2 * sites->room : 256;
	struct kedr_site *bigger;

	if (sites->nr < sites->room)
		return 0;
	bigger = vmalloc(room * sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	if (sites->nr)
		memcpy(bigger, sites->site, sites->nr * sizeof(*bigger));
	vfree(sites->site);
	sites->site = bigger;
	sites->room = room;
	return 0;
}

static int refuse_too_far(const struct walk *walk,
			  const struct kedr_function *function)
{
	pr_err("%s: refused: %s text, offset 0x%lx: branch to %s cannot reach the replacement, it is too far\n",
	       walk->module, walk->area->name, walk->at, function->name);
	return -ENOEXEC;
}

static bool is_in(const struct kedr_range *range, unsigned long at)
{
	return at >= range->from && at < range->to;
}

/* A branch to a replaced function was found: add it to the sites. */
static int add_site(struct walk *walk, const struct kedr_insn *insn, u32 old,
		    struct kedr_function *function)
{
	unsigned long at = walk->area->base + walk->at + insn->field_at;
	struct kedr_site *site;
	u32 new = old;
	int err;

	if (kedr_arch_lead(at, function->replacement, &new))
		return refuse_too_far(walk, function);
	err = make_room(walk->sites);
	if (err)
		return err;
	site = &walk->sites->site[walk->sites->nr++];
	site->function = function - walk->lookup->functions;
	site->insn_at = walk->at;
	site->field_at = walk->at + insn->field_at;
	site->old = old;
	site->new = new;
	site->area = walk->kind;
	site->kind = insn->kind;
	site->written = false;
	function->nr_sites[insn->kind]++;
	function->nr_noinstr += is_in(&walk->area->noinstr_text, walk->at);
	return 0;
}

static int look_at_branch(struct walk *walk, const struct kedr_insn *insn)
{
	struct kedr_function *function;
	unsigned long at = walk->area->base + walk->at + insn->field_at;
	u32 field;

	memcpy(&field, (const void *)at, sizeof(field));
	function = kedr_lookup_find(walk->lookup,
				    kedr_arch_destination(at, field));
	if (!function)
		return 0;
	if (is_in(&walk->area->trampolines, walk->at)) {
		function->nr_static_calls++;
		return 0;
	}
	return add_site(walk, insn, field, function);
}

static int cannot_decode(const struct walk *walk)
{
	unsigned long nr = min(walk->area->size - walk->at, SHOWN_BYTES);
	char bytes[3 * SHOWN_BYTES + 1] = "";
	unsigned long i;

	for (i = 0; i < nr; i++)
		snprintf(bytes + 3 * i, 4, " %02x", *byte_at(walk, walk->at + i));
	pr_err("%s: refused: %s text, offset 0x%lx is not an instruction; bytes%s\n",
	       walk->module, walk->area->name, walk->at, bytes);
	return -ENOEXEC;
}

/* Goes over one instruction or one gap. */
static int step(struct walk *walk)
{
	unsigned char first = *byte_at(walk, walk->at);
	struct kedr_insn insn;
	int err = 0;

	find_limit(walk);
	if (!first && only_zeros_to_limit(walk)) {
		walk->at = walk->limit;
		walk->before = walk->at;
		return 0;
	}
	if (!kedr_arch_decode(byte_at(walk, walk->at),
			      byte_at(walk, walk->limit), &insn))
		return cannot_decode(walk);
	if (insn.kind == KEDR_INSN_TRAP)
		err = look_at_trap(walk);
	else if (insn.kind != KEDR_INSN_OTHER)
		err = look_at_branch(walk, &insn);
	walk->before = walk->at;
	walk->at += insn.length;
	walk->area->scanned += insn.length;
	return err;
}

int kedr_search(const char *module, struct kedr_area *area,
		enum kedr_area_kind kind, const struct kedr_lookup *lookup,
		struct kedr_sites *sites)
{
	struct walk walk = {
		.module = module,
		.area = area,
		.kind = kind,
		.lookup = lookup,
		.sites = sites,
	};
	unsigned int steps = 0;
	int err = 0;

	while (!err && walk.at < area->size) {
		err = step(&walk);
		if (!(++steps % BREATH))
			cond_resched();
	}
	return err;
}

void kedr_sites_destroy(struct kedr_sites *sites)
{
	vfree(sites->site);
	sites->site = NULL;
	sites->nr = 0;
	sites->room = 0;
}
