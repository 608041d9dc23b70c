// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registered payloads.
 *
 * Locking: kedr_lock guards the list; the callers hold it, but those of
 * kedr_registry_check().
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "controller.h"

/* In the order of registration. */
static LIST_HEAD(payloads);

static const char *payload_name(const struct kedr_payload *payload)
{
	return payload->mod->name;
}

static bool is_registered(const struct kedr_payload *payload)
{
	const struct kedr_payload *other;

	list_for_each_entry(other, &payloads, list)
		if (other == payload)
			return true;
	return false;
}

/* Does @payload replace @target with its first @nr entries? */
static bool replaces(const struct kedr_payload *payload, unsigned int nr,
		     const void *target)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (payload->targets[i] == target)
			return true;
	return false;
}

int kedr_registry_check(const struct kedr_payload *payload)
{
	unsigned int i;

	if (!payload || !payload->mod) {
		pr_err("a payload without a module was not registered\n");
		return -EINVAL;
	}
	if (!payload->nr || !payload->targets || !payload->replacements ||
	    !payload->names) {
		pr_err("%s: not registered: it names no functions\n",
		       payload_name(payload));
		return -EINVAL;
	}
	for (i = 0; i < payload->nr; i++) {
		if (!payload->targets[i] || !payload->replacements[i] ||
		    !payload->names[i]) {
			pr_err("%s: not registered: entry %u is incomplete\n",
			       payload_name(payload), i);
			return -EINVAL;
		}
		if (replaces(payload, i, payload->targets[i])) {
			pr_err("%s: not registered: %s is in it twice\n",
			       payload_name(payload), payload->names[i]);
			return -EINVAL;
		}
	}
	return 0;
}

static int check_unique(const struct kedr_payload *payload)
{
	const struct kedr_payload *other;
	unsigned int i;

	if (is_registered(payload)) {
		pr_err("%s: is registered already\n", payload_name(payload));
		return -EEXIST;
	}
	list_for_each_entry(other, &payloads, list)
		for (i = 0; i < payload->nr; i++)
			if (replaces(other, other->nr, payload->targets[i])) {
				pr_err("%s: not registered: %s is replaced by %s already\n",
				       payload_name(payload), payload->names[i],
				       payload_name(other));
				return -EEXIST;
			}
	return 0;
}

int kedr_registry_add(struct kedr_payload *payload)
{
	int err = check_unique(payload);

	if (!err)
		list_add_tail(&payload->list, &payloads);
	return err;
}

void kedr_registry_remove(struct kedr_payload *payload)
{
	if (is_registered(payload))
		list_del(&payload->list);
}

static int hold_payload(struct kedr_held *held, const char *target,
			struct module *mod)
{
	if (mod->state == MODULE_STATE_COMING) {
		pr_err("%s: refused: payload %s is still being loaded\n",
		       target, mod->name);
		return -EBUSY;
	}
	if (!try_module_get(mod)) {
		pr_err("%s: refused: payload %s is being unloaded\n", target,
		       mod->name);
		return -EBUSY;
	}
	held->mods[held->nr++] = mod;
	return 0;
}

static unsigned int count_payloads(void)
{
	const struct kedr_payload *payload;
	unsigned int nr = 0;

	list_for_each_entry(payload, &payloads, list)
		nr++;
	return nr;
}

int kedr_registry_hold(struct kedr_held *held, const char *target)
{
	const struct kedr_payload *payload;
	int err;

	held->mods = kcalloc(count_payloads() + 1, sizeof(*held->mods),
			     GFP_KERNEL);
	if (!held->mods)
		return -ENOMEM;
	list_for_each_entry(payload, &payloads, list) {
		err = hold_payload(held, target, payload->mod);
		if (err) {
			kedr_registry_release(held);
			return err;
		}
	}
	return 0;
}

void kedr_registry_release(struct kedr_held *held)
{
	while (held->nr)
		module_put(held->mods[--held->nr]);
	kfree(held->mods);
	held->mods = NULL;
}

static void add_functions(struct kedr_lookup *lookup,
			  const struct kedr_payload *payload)
{
	unsigned int i;

	for (i = 0; i < payload->nr; i++) {
		struct kedr_function function = {
			.name = payload->names[i],
			.address = (unsigned long)payload->targets[i],
			.replacement = (unsigned long)payload->replacements[i],
		};

		kedr_lookup_add(lookup, &function);
	}
}

int kedr_registry_functions(struct kedr_lookup *lookup)
{
	const struct kedr_payload *payload;
	unsigned int nr = 0;
	int err;

	list_for_each_entry(payload, &payloads, list)
		nr += payload->nr;
	err = kedr_lookup_init(lookup, nr);
	if (err)
		return err;
	list_for_each_entry(payload, &payloads, list)
		add_functions(lookup, payload);
	return 0;
}
