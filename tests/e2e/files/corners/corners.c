// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/static_call.h>

DEFINE_STATIC_CALL(corners_free, kfree);

static noinline noinstr void corners_quiet(void)
{
	kfree(NULL);
	barrier();
}

static int __init corners_init(void)
{
	int i;

	for (i = 0; i < 5; i++)
		static_call(corners_free)(kmalloc(8, GFP_KERNEL));
	kfree(kmalloc(8, GFP_KERNEL));
	corners_quiet();
	return 0;
}

static void __exit corners_exit(void)
{
}

module_init(corners_init);
module_exit(corners_exit);
MODULE_DESCRIPTION("Calls kfree by a static call, and where nothing may be instrumented");
MODULE_LICENSE("GPL");
