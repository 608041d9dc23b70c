// SPDX-License-Identifier: GPL-2.0-only
/* Does the kernel know the part of a module that must not be instrumented? */
#include <linux/module.h>

unsigned long kedr_probe(struct module *mod);

unsigned long kedr_probe(struct module *mod)
{
	return (unsigned long)mod->noinstr_text_start + mod->noinstr_text_size;
}

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
