// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finding the direct calls and tail jumps to replaced functions.
 *
 * The text is decoded from its first byte to its last. Between two sections
 * there may be zero bytes, which are not instructions: a run of zero bytes is
 * such a gap if it ends exactly where the next function or section starts or
 * where the text ends. Anywhere else the bytes must be instructions, and no
 * instruction may reach over the start of a function. If that does not hold,
 * the decoder is lost and could miss a call, so the module is refused.
 *
 * Locking: the text belongs to a module that is being loaded; it is only read
 * here, and nothing else runs in it.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "controller.h"
#include "insn_length.h"

#ifdef CONFIG_X86_64
#define IS_64BIT 1
#else
#define IS_64BIT 0
#endif

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

static int refuse(const struct walk *walk, const struct kedr_function *function,
		  const char *why)
{
	pr_err("%s: refused: %s text, offset 0x%lx: branch to %s %s\n",
	       walk->module, walk->area->name, walk->at, function->name, why);
	return -ENOEXEC;
}

/* A branch to a replaced function was found: add it to the sites. */
static int add_site(struct walk *walk, const struct kedr_insn *insn, s32 rel,
		    struct kedr_function *function)
{
	unsigned long next = walk->area->base + walk->at + insn->length;
	long distance = (long)(function->replacement - next);
	struct kedr_site *site;
	int err;

	if (insn->kind == KEDR_INSN_JCC)
		return refuse(walk, function,
			      "is conditional, which is not supported");
	if (distance != (s32)distance)
		return refuse(walk, function,
			      "cannot reach the replacement, it is too far");
	err = make_room(walk->sites);
	if (err)
		return err;
	site = &walk->sites->site[walk->sites->nr++];
	site->function = function - walk->lookup->functions;
	site->insn_at = walk->at;
	site->rel_at = walk->at + insn->rel_at;
	site->old = rel;
	site->new = distance;
	site->area = walk->kind;
	site->jmp = insn->kind == KEDR_INSN_JMP;
	site->written = false;
	if (site->jmp)
		function->nr_jmps++;
	else
		function->nr_calls++;
	return 0;
}

static int look_at_branch(struct walk *walk, const struct kedr_insn *insn)
{
	struct kedr_function *function;
	s32 rel;

	memcpy(&rel, byte_at(walk, walk->at + insn->rel_at), sizeof(rel));
	function = kedr_lookup_find(walk->lookup, walk->area->base + walk->at +
						  insn->length + (long)rel);
	return function ? add_site(walk, insn, rel, function) : 0;
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
	struct kedr_insn insn;
	int err = 0;

	find_limit(walk);
	if (!*byte_at(walk, walk->at) && only_zeros_to_limit(walk)) {
		walk->at = walk->limit;
		return 0;
	}
	if (!kedr_insn_decode(byte_at(walk, walk->at),
			      byte_at(walk, walk->limit), IS_64BIT, &insn))
		return cannot_decode(walk);
	if (insn.kind != KEDR_INSN_OTHER)
		err = look_at_branch(walk, &insn);
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
