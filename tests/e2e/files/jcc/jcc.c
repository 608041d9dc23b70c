// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/slab.h>

/* void jcc_free(const void *p) { if (p) kfree(p); }, as clang -Os makes it */
asmlinkage void jcc_free(const void *p);

asm(".pushsection .text\n"
    ".type jcc_free, @function\n"
    "jcc_free:\n"
    "	testq %rdi, %rdi\n"
    "	jne kfree\n"
    "	ret\n"
    "	int3\n"
    ".size jcc_free, . - jcc_free\n"
    ".popsection\n");

static int __init jcc_init(void)
{
	int i;

	for (i = 0; i < 3; i++)
		jcc_free(kmalloc(8, GFP_KERNEL));
	jcc_free(NULL);
	return 0;
}

static void __exit jcc_exit(void)
{
}

module_init(jcc_init);
module_exit(jcc_exit);
MODULE_DESCRIPTION("Ends a function with a jump to kfree under a condition");
MODULE_LICENSE("GPL");
