// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel has under the name of a module.
 *
 * No function that finds a module by its name is exported by all kernels. But
 * every loaded module, and every built-in part with parameters, is an object
 * in one set, and the controller is in that set itself. So this knows nothing
 * before the kernel has put the controller there, which it does after reading
 * its parameters and before calling its init function, or earlier.
 *
 * Locking: the list of the set is walked under the set's own spinlock, and an
 * object leaves the list before it is freed. kedr_lock is not needed.
 */

#include <linux/kobject.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "controller.h"

static enum kedr_presence presence_of(const struct kobject *object)
{
	const struct module *mod =
		container_of(object, struct module_kobject, kobj)->mod;

	if (!mod)
		return KEDR_BUILT_IN;
	return mod->state == MODULE_STATE_GOING ? KEDR_ABSENT : KEDR_LOADED;
}

enum kedr_presence kedr_presence(const char *name)
{
	struct kset *all = THIS_MODULE->mkobj.kobj.kset;
	enum kedr_presence presence = KEDR_ABSENT;
	const struct kobject *object;

	if (!all)
		return KEDR_ABSENT;
	spin_lock(&all->list_lock);
	list_for_each_entry(object, &all->list, entry) {
		const char *its_name = kobject_name(object);

		if (its_name && !strcmp(its_name, name)) {
			presence = presence_of(object);
			break;
		}
	}
	spin_unlock(&all->list_lock);
	return presence;
}
