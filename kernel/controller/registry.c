// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registered payloads.
 *
 * Locking: the list is changed and read under kedr_lock, which the two
 * exported functions take themselves.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "controller.h"

LIST_HEAD(kedr_payloads);

static const char *payload_name(const struct kedr_payload *payload)
{
	return payload->mod->name;
}

static bool is_registered(const struct kedr_payload *payload)
{
	const struct kedr_payload *other;

	list_for_each_entry(other, &kedr_payloads, list)
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

static int check_complete(const struct kedr_payload *payload)
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
	list_for_each_entry(other, &kedr_payloads, list)
		for (i = 0; i < payload->nr; i++)
			if (replaces(other, other->nr, payload->targets[i])) {
				pr_err("%s: not registered: %s is replaced by %s already\n",
				       payload_name(payload), payload->names[i],
				       payload_name(other));
				return -EEXIST;
			}
	return 0;
}

static int add_payload(struct kedr_payload *payload)
{
	int err;

	if (kedr_target_loaded()) {
		pr_err("%s: not registered: a target module is loaded; unload it first\n",
		       payload_name(payload));
		return -EBUSY;
	}
	err = check_unique(payload);
	if (!err)
		list_add_tail(&payload->list, &kedr_payloads);
	return err;
}

int kedr_payload_register(struct kedr_payload *payload)
{
	int err = check_complete(payload);

	if (err)
		return err;
	mutex_lock(&kedr_lock);
	err = add_payload(payload);
	mutex_unlock(&kedr_lock);
	return err;
}
EXPORT_SYMBOL_GPL(kedr_payload_register);

/*
 * While a target is loaded it holds the payload modules themselves, so the
 * replacements stay even if a payload unregisters at a wrong moment.
 */
void kedr_payload_unregister(struct kedr_payload *payload)
{
	mutex_lock(&kedr_lock);
	if (is_registered(payload))
		list_del(&payload->list);
	mutex_unlock(&kedr_lock);
}
EXPORT_SYMBOL_GPL(kedr_payload_unregister);

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

	list_for_each_entry(payload, &kedr_payloads, list)
		nr += payload->nr;
	err = kedr_lookup_init(lookup, nr);
	if (err)
		return err;
	list_for_each_entry(payload, &kedr_payloads, list)
		add_functions(lookup, payload);
	return 0;
}
