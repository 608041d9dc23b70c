// SPDX-License-Identifier: GPL-2.0-only
/* Are the pieces of a module in an array named mem? */
#include <linux/module.h>

unsigned long kedr_probe(struct module *mod);

unsigned long kedr_probe(struct module *mod)
{
	return (unsigned long)mod->mem[MOD_TEXT].base +
	       mod->mem[MOD_INIT_TEXT].size;
}

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
