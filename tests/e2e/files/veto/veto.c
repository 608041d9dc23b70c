// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/slab.h>

static int __init veto_init(void)
{
	asm volatile("xorl %%eax, %%eax; jz 1f; int3; 1:" : : : "rax", "cc");
	kfree(NULL);
	return 0;
}

static void __exit veto_exit(void)
{
}

module_init(veto_init);
module_exit(veto_exit);
MODULE_DESCRIPTION("Has a breakpoint in its text, as a kprobe would set one");
MODULE_LICENSE("GPL");
