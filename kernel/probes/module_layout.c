// SPDX-License-Identifier: GPL-2.0-only
/* Are the pieces of a module in core_layout and init_layout? */
#include <linux/module.h>

unsigned long kedr_probe(struct module *mod);

unsigned long kedr_probe(struct module *mod)
{
	return (unsigned long)mod->core_layout.base +
	       mod->init_layout.text_size;
}

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
