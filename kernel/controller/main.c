// SPDX-License-Identifier: GPL-2.0-only
/*
 * cp_controller: makes chosen modules call replacement functions.
 *
 * Payload modules register functions and their replacements. When a module
 * named in target_name is loaded, every direct call of such a function in it
 * is redirected before the first instruction of the module runs.
 *
 * Locking: see controller.h. kedr_lock is taken here for the notifier and for
 * the parameter.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/moduleparam.h>
#include <linux/notifier.h>

#include "controller.h"

/* Guards the payloads, the targets and their reports. */
DEFINE_MUTEX(kedr_lock);

static int target_name_set(const char *value, const struct kernel_param *param)
{
	int err;

	mutex_lock(&kedr_lock);
	err = kedr_target_set_names(value);
	mutex_unlock(&kedr_lock);
	return err;
}

static int target_name_get(char *buffer, const struct kernel_param *param)
{
	int length;

	mutex_lock(&kedr_lock);
	length = kedr_target_get_names(buffer, PAGE_SIZE);
	mutex_unlock(&kedr_lock);
	return length;
}

static const struct kernel_param_ops target_name_ops = {
	.set = target_name_set,
	.get = target_name_get,
};

module_param_cb(target_name, &target_name_ops, NULL, 0644);
MODULE_PARM_DESC(target_name,
		 "Names of the modules to watch, separated by commas; none by default");

static int on_module_event(struct notifier_block *block, unsigned long event,
			   void *data)
{
	struct module *mod = data;
	int err = 0;

	mutex_lock(&kedr_lock);
	switch (event) {
	case MODULE_STATE_COMING:
		err = kedr_target_coming(mod);
		break;
	case MODULE_STATE_LIVE:
		kedr_target_live(mod);
		break;
	case MODULE_STATE_GOING:
		kedr_target_going(mod);
		break;
	default:
		break;
	}
	mutex_unlock(&kedr_lock);
	return notifier_from_errno(err);
}

/*
 * Before all others: the kernel's own notifiers turn calls of static call
 * trampolines into calls of functions. Those sites belong to the kernel, which
 * changes them again at any time, so they must not look like ours.
 */
static struct notifier_block module_notifier = {
	.notifier_call = on_module_event,
	.priority = INT_MAX,
};

static int __init controller_init(void)
{
	int err = kedr_report_init();

	if (err)
		return err;
	err = register_module_notifier(&module_notifier);
	if (err)
		kedr_report_exit();
	return err;
}

/* No payload is left by now: each of them uses a symbol of this module. */
static void __exit controller_exit(void)
{
	unregister_module_notifier(&module_notifier);
	kedr_report_exit();
	mutex_lock(&kedr_lock);
	kedr_target_exit();
	mutex_unlock(&kedr_lock);
}

module_init(controller_init);
module_exit(controller_exit);

MODULE_DESCRIPTION("Redirects calls of chosen modules to payload modules");
MODULE_AUTHOR("The kedr.lab authors");
MODULE_LICENSE("GPL");
