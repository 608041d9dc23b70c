// SPDX-License-Identifier: GPL-2.0-only
/* Does a small module compile at all? */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>

static int __init probe_init(void)
{
	return 0;
}

static void __exit probe_exit(void)
{
}

module_init(probe_init);
module_exit(probe_exit);

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
