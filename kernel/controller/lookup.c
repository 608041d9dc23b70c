// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the destination of a branch to the function that it reaches.
 *
 * A hash with open addressing: a power of two of slots, at most a quarter of
 * them used, so that most destinations are decided by one bit.
 *
 * With call depth tracking the kernel lets a CALL enter a function earlier, in
 * the padding before it, where it has put its accounting. No other code lives
 * in that padding, so a branch to any byte of it is a call of the function.
 * Each of these addresses gets a slot of its own. A replacement is called at
 * its start: such a call is not counted by the kernel, which errs on the safe
 * side (the return stack buffer is refilled earlier than needed).
 *
 * Locking: the caller owns the structure; nothing here is shared.
 */

#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "controller.h"

#if defined(CONFIG_CALL_THUNKS) && defined(CONFIG_FUNCTION_PADDING_BYTES)
#define PADDING_BYTES CONFIG_FUNCTION_PADDING_BYTES
#else
#define PADDING_BYTES 0
#endif

#define SLOTS_PER_FUNCTION (1 + PADDING_BYTES)

int kedr_lookup_init(struct kedr_lookup *lookup, unsigned int nr)
{
	lookup->nr = 0;
	lookup->bits = 2 + order_base_2(SLOTS_PER_FUNCTION * (nr + 2));
	lookup->functions = vmalloc((nr + 1) * sizeof(*lookup->functions));
	lookup->slots = vmalloc(sizeof(*lookup->slots) << lookup->bits);
	lookup->used = vmalloc(1UL << (lookup->bits - 3));
	if (!lookup->functions || !lookup->slots || !lookup->used) {
		kedr_lookup_destroy(lookup);
		return -ENOMEM;
	}
	memset(lookup->slots, 0, sizeof(*lookup->slots) << lookup->bits);
	memset(lookup->used, 0, 1UL << (lookup->bits - 3));
	return 0;
}

/* Returns the slot of @address, or the empty one where it belongs. */
static struct kedr_slot *slot_of(const struct kedr_lookup *lookup,
				 unsigned long address)
{
	unsigned long mask = (1UL << lookup->bits) - 1;
	unsigned long at = hash_long(address, lookup->bits);

	while (lookup->slots[at].address &&
	       lookup->slots[at].address != address)
		at = (at + 1) & mask;
	return &lookup->slots[at];
}

static void set_slot(struct kedr_lookup *lookup, struct kedr_slot *slot,
		     unsigned long address, unsigned int function)
{
	unsigned long at = slot - lookup->slots;

	slot->address = address;
	slot->function = function;
	lookup->used[at >> 3] |= 1 << (at & 7);
}

void kedr_lookup_add(struct kedr_lookup *lookup,
		     const struct kedr_function *function)
{
	unsigned int index = lookup->nr++;
	unsigned long before;

	lookup->functions[index] = *function;
	set_slot(lookup, slot_of(lookup, function->address), function->address,
		 index);
	for (before = 1; before <= PADDING_BYTES; before++) {
		unsigned long address = function->address - before;
		struct kedr_slot *slot = slot_of(lookup, address);

		/* padding is that of the next function, a start is its own */
		if (!slot->address ||
		    lookup->functions[slot->function].address > function->address)
			set_slot(lookup, slot, address, index);
	}
}

struct kedr_function *kedr_lookup_find(const struct kedr_lookup *lookup,
				       unsigned long address)
{
	unsigned long at = hash_long(address, lookup->bits);
	const struct kedr_slot *slot;

	/* what is there begins its search here, so here is something */
	if (!(lookup->used[at >> 3] & 1 << (at & 7)))
		return NULL;
	slot = slot_of(lookup, address);
	return slot->address ? &lookup->functions[slot->function] : NULL;
}

void kedr_lookup_destroy(struct kedr_lookup *lookup)
{
	unsigned int i;

	for (i = 0; i < lookup->nr; i++)
		kfree(lookup->functions[i].to);
	vfree(lookup->functions);
	vfree(lookup->slots);
	vfree(lookup->used);
	lookup->functions = NULL;
	lookup->slots = NULL;
	lookup->used = NULL;
	lookup->nr = 0;
}
