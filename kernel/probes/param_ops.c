// SPDX-License-Identifier: GPL-2.0-only
/* Are the functions of a parameter in a struct kernel_param_ops? */
#include <linux/module.h>
#include <linux/moduleparam.h>

static int probe_set(const char *value, const struct kernel_param *param)
{
	return 0;
}

static int probe_get(char *buffer, const struct kernel_param *param)
{
	return 0;
}

static const struct kernel_param_ops probe_ops = {
	.set = probe_set,
	.get = probe_get,
};

module_param_cb(probe, &probe_ops, NULL, 0644);
MODULE_PARM_DESC(probe, "A parameter");

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
