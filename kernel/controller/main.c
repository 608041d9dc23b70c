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
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/notifier.h>

#include <kedr/config.h>

#include "controller.h"

static int set_names(const char *text)
{
	int err;

	mutex_lock(&kedr_lock);
	err = kedr_target_set_names(text);
	mutex_unlock(&kedr_lock);
	return err;
}

static int get_names(char *buffer)
{
	int length;

	mutex_lock(&kedr_lock);
	length = kedr_target_get_names(buffer, PAGE_SIZE);
	mutex_unlock(&kedr_lock);
	return length;
}

#ifdef KEDR_HAVE_PARAM_OPS

static int target_name_set(const char *value, const struct kernel_param *param)
{
	return set_names(value);
}

static int target_name_get(char *buffer, const struct kernel_param *param)
{
	return get_names(buffer);
}

static const struct kernel_param_ops target_name_ops = {
	.set = target_name_set,
	.get = target_name_get,
};

module_param_cb(target_name, &target_name_ops, NULL, 0644);

#else

static int target_name_set(const char *value, struct kernel_param *param)
{
	return set_names(value);
}

static int target_name_get(char *buffer, struct kernel_param *param)
{
	return get_names(buffer);
}

module_param_call(target_name, target_name_set, target_name_get, NULL, 0644);

#endif

MODULE_PARM_DESC(target_name,
		 "Names of the modules to watch, separated by commas; none by default");

#ifdef KEDR_HAVE_NOTIFIER_VETO

static int answer(int err)
{
	return err ? notifier_from_errno(err) : NOTIFY_OK;
}

#else

/* The kernel would not heed an error; it would only keep it from the others. */
static int answer(int err)
{
	return NOTIFY_OK;
}

#endif

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
	return answer(err);
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

/* What is loaded now will not be announced any more. */
static int __init check_targets(void)
{
	int err;

	mutex_lock(&kedr_lock);
	err = kedr_target_check_absent();
	mutex_unlock(&kedr_lock);
	return err;
}

static int __init controller_init(void)
{
	int err = kedr_sysfs_init();

	if (err)
		return err;
	err = register_module_notifier(&module_notifier);
	if (err)
		goto out_sysfs;
	err = check_targets();
	if (err)
		goto out_notifier;
	return 0;

out_notifier:
	unregister_module_notifier(&module_notifier);
	mutex_lock(&kedr_lock);
	kedr_target_exit();
	mutex_unlock(&kedr_lock);
out_sysfs:
	kedr_sysfs_exit();
	return err;
}

/* No payload is left by now: each of them uses a symbol of this module. */
static void __exit controller_exit(void)
{
	unregister_module_notifier(&module_notifier);
	kedr_sysfs_exit();
	mutex_lock(&kedr_lock);
	kedr_target_exit();
	mutex_unlock(&kedr_lock);
}

module_init(controller_init);
module_exit(controller_exit);

MODULE_DESCRIPTION("Redirects calls of chosen modules to payload modules");
MODULE_AUTHOR("The kedr.lab authors");
MODULE_LICENSE("GPL");
