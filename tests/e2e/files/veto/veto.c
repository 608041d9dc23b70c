// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/slab.h>

static int __init veto_init(void)
{
	asm volatile("xorl %%eax, %%eax; jnz kfree" : : : "rax", "cc");
	kfree(NULL);
	return 0;
}

static void __exit veto_exit(void)
{
}

module_init(veto_init);
module_exit(veto_exit);
MODULE_DESCRIPTION("Branches to kfree under a condition, which no compiler does");
MODULE_LICENSE("GPL");
