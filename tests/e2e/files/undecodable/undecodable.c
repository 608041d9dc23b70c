// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/slab.h>

static noinline void jump_over_a_byte(void)
{
	/* 06 is no instruction in 64-bit code */
	asm volatile("jmp 1f; .byte 0x06; 1:");
}

static int __init undecodable_init(void)
{
	jump_over_a_byte();
	kfree(NULL);
	return 0;
}

static void __exit undecodable_exit(void)
{
}

module_init(undecodable_init);
module_exit(undecodable_exit);
MODULE_DESCRIPTION("Has a byte in its text that is no instruction, which no compiler does");
MODULE_LICENSE("GPL");
