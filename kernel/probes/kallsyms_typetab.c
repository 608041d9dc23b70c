// SPDX-License-Identifier: GPL-2.0-only
/* Do the letters that kallsyms shows have a table of their own? */
#include <linux/module.h>

char kedr_probe(struct mod_kallsyms *kallsyms);

char kedr_probe(struct mod_kallsyms *kallsyms)
{
	return kallsyms->typetab[0];
}

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
