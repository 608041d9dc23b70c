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
 * INT3, one byte, stands where execution never comes: behind an instruction
 * that does not go on to the next one, and as padding. Anywhere else, and
 * where a function starts, it is a breakpoint that somebody has put over the
 * first byte of an instruction, for example a kprobe. The rest of that
 * instruction would be misread, so the module is refused. Such a breakpoint
 * behind an unconditional branch cannot be told from the former.
 *
 * The JMP in the trampoline of a static call is no site: the kernel lets the
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

#define INT3 0xcc

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

static bool is_prefix(unsigned char byte)
{
	switch (byte) {
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
	case 0x66: case 0x67: case 0xf0: case 0xf2: case 0xf3:
		return true;
	default:
		return IS_64BIT && (byte & 0xf0) == 0x40;
	}
}

/* Does the instruction before this place never go on to this place? */
static bool is_unreached(const struct walk *walk)
{
	const unsigned char *insn = byte_at(walk, walk->before);
	const unsigned char *here = byte_at(walk, walk->at);
	s32 rel;

	while (insn < here && is_prefix(*insn))
		insn++;
	if (insn == here)
		return false;
	switch (*insn) {
	case 0xc2: case 0xc3: case 0xca: case 0xcb: case 0xcf:	/* RET, IRET */
	case 0xe9: case 0xea: case 0xeb:			/* JMP */
	case INT3:
		return true;
	case 0xe8:	/* CALL over it, as return stack buffers are filled */
		memcpy(&rel, insn + 1, sizeof(rel));
		return rel == 1;
	case 0xff:	/* JMP to what a register or memory says */
		return (insn[1] & 0x30) == 0x20;
	case 0x0f:	/* UD2, UD1, UD0 */
		return insn[1] == 0x0b || insn[1] == 0xb9 || insn[1] == 0xff;
	default:
		return false;
	}
}

/* Is there nothing but INT3 up to the next function or section? */
static bool is_padding(const struct walk *walk)
{
	unsigned long at = walk->at;

	while (at < walk->limit && *byte_at(walk, at) == INT3)
		at++;
	return at == walk->limit;
}

/* Called at an INT3. In a run of them only the first one looks at the rest. */
static bool is_breakpoint(const struct walk *walk)
{
	if (!is_start(walk) && is_unreached(walk))
		return false;
	return !is_padding(walk);
}

static int refuse_breakpoint(const struct walk *walk)
{
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
static int add_site(struct walk *walk, const struct kedr_insn *insn, s32 rel,
		    struct kedr_function *function)
{
	unsigned long next = walk->area->base + walk->at + insn->length;
	long distance = (long)(function->replacement - next);
	struct kedr_site *site;
	int err;

	if (distance != (s32)distance)
		return refuse_too_far(walk, function);
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
	site->kind = insn->kind;
	site->written = false;
	function->nr_sites[insn->kind]++;
	function->nr_noinstr += is_in(&walk->area->noinstr_text, walk->at);
	return 0;
}

static int look_at_branch(struct walk *walk, const struct kedr_insn *insn)
{
	struct kedr_function *function;
	s32 rel;

	memcpy(&rel, byte_at(walk, walk->at + insn->rel_at), sizeof(rel));
	function = kedr_lookup_find(walk->lookup, walk->area->base + walk->at +
						  insn->length + (long)rel);
	if (!function)
		return 0;
	if (is_in(&walk->area->trampolines, walk->at)) {
		function->nr_static_calls++;
		return 0;
	}
	return add_site(walk, insn, rel, function);
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
	if (first == INT3 && is_breakpoint(walk))
		return refuse_breakpoint(walk);
	if (!kedr_insn_decode(byte_at(walk, walk->at),
			      byte_at(walk, walk->limit), IS_64BIT, &insn))
		return cannot_decode(walk);
	if (insn.kind != KEDR_INSN_OTHER)
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
