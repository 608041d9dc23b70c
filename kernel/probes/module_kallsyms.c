// SPDX-License-Identifier: GPL-2.0-only
/* Are the symbols of a module behind its member kallsyms? */
#include <linux/elf.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

const Elf_Sym *kedr_probe(struct module *mod);

const Elf_Sym *kedr_probe(struct module *mod)
{
	const struct mod_kallsyms *kallsyms;

	kallsyms = rcu_dereference_raw(mod->kallsyms);
	return kallsyms->symtab + kallsyms->num_symtab;
}

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
