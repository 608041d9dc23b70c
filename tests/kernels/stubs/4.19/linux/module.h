/* SPDX-License-Identifier: GPL-2.0-only */
/* From 4.5 to 6.3: text in core_layout and init_layout, symbols behind kallsyms. */
#ifndef STUB_4_19_LINUX_MODULE_H
#define STUB_4_19_LINUX_MODULE_H

#include <stub/module.h>

struct module_layout {
	void *base;
	unsigned int size;
	unsigned int text_size;
	unsigned int ro_size;
	unsigned int ro_after_init_size;
};

struct mod_kallsyms {
	Elf_Sym *symtab;
	unsigned int num_symtab;
	char *strtab;
};

struct module {
	enum module_state state;
	struct list_head list;
	char name[MODULE_NAME_LEN];
	struct module_kobject mkobj;
	struct kernel_param *kp;
	unsigned int num_kp;
	int (*init)(void);
	struct module_layout core_layout;
	struct module_layout init_layout;
#ifdef CONFIG_KALLSYMS
	struct mod_kallsyms *kallsyms;
	struct mod_kallsyms core_kallsyms;
#endif
};

#endif
