// SPDX-License-Identifier: GPL-2.0-only
/*
 * What payload modules call: registering, and unregistering, which waits until
 * no thread runs in their replacements.
 *
 * Locking: the two exported functions take kedr_lock themselves. leaving_lock
 * lets one wait at a time for threads to leave the replacements; kedr_lock is
 * taken inside it, for moments only, so that modules can come and go meanwhile.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/rcupdate.h>

#include <kedr/config.h>

#include "controller.h"

static DEFINE_MUTEX(leaving_lock);

/* As many targets had gone when a wait began that has ended. */
static unsigned long waited_for;

static int add_payload(struct kedr_payload *payload)
{
	if (kedr_target_loaded()) {
		pr_err("%s: not registered: a target module is loaded; unload it first\n",
		       payload->mod->name);
		return -EBUSY;
	}
	return kedr_registry_add(payload);
}

int kedr_payload_register(struct kedr_payload *payload)
{
	int err = kedr_registry_check(payload);

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
	kedr_registry_remove(payload);
	mutex_unlock(&kedr_lock);
	wait_for_leaving();
}
EXPORT_SYMBOL_GPL(kedr_payload_unregister);
