// SPDX-License-Identifier: GPL-2.0-only
/*
 * The registered payloads.
 *
 * Locking: the list is changed and read under kedr_lock, which the two
 * exported functions take themselves. leaving_lock lets one wait at a time for
 * threads to leave the replacements; kedr_lock is taken inside it, for moments
 * only, so that modules can come and go meanwhile.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/rcupdate.h>

#include <kedr/config.h>

#include "controller.h"

LIST_HEAD(kedr_payloads);

static DEFINE_MUTEX(leaving_lock);

/* As many targets had gone when a wait began that has ended. */
static unsigned long waited_for;

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

#ifdef KEDR_HAVE_RCU_TASKS
#define wait_for_tasks synchronize_rcu_tasks
#else
#define wait_for_tasks synchronize_rcu
#endif

/*
 * A thread may be in a replacement although the target is gone: where a
 * function of the target ends with a jump to the replaced function, the thread
 * has nothing of the target on its stack, so nothing keeps the target, and
 * with it the payload, from being unloaded.
 *
 * Waited for is every thread that runs in a replacement or was preempted
 * there, if the kernel has synchronize_rcu_tasks(). Without it a kernel that
 * does not preempt itself waits for as much; one that does may free the code
 * under a thread that was preempted in it.
 *
 * Not waited for is a thread that sleeps: it came to a replacement by a jump
 * of the target, and the function that the replacement has called sleeps
 * longer than the target and the payload are loaded. Nothing of the kernel
 * waits for such a thread, and it may never wake. Whoever unloads can tell:
 * the counter of the event is then higher than the number of its records.
 *
 * The wait may take a good part of a second. One is enough for payloads that
 * are unloaded after the same target, as no thread enters a replacement once
 * the targets are gone.
 */
static void wait_for_leaving(void)
{
	unsigned long departures;

	mutex_lock(&leaving_lock);
	mutex_lock(&kedr_lock);
	departures = kedr_target_departures();
	mutex_unlock(&kedr_lock);
	if (departures != waited_for) {
		wait_for_tasks();
		waited_for = departures;
	}
	mutex_unlock(&leaving_lock);
}

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
	wait_for_leaving();
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
