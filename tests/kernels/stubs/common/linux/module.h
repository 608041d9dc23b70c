/* SPDX-License-Identifier: GPL-2.0-only */
/* Before 4.5: text in module_core and module_init, symbols in the module itself. */
#ifndef STUB_COMMON_LINUX_MODULE_H
#define STUB_COMMON_LINUX_MODULE_H

#include <stub/module.h>

struct module {
	enum module_state state;
	struct list_head list;
	char name[MODULE_NAME_LEN];
	struct module_kobject mkobj;
	struct kernel_param *kp;
	unsigned int num_kp;
	int (*init)(void);
	void *module_init;
	void *module_core;
	unsigned int init_size, core_size;
	unsigned int init_text_size, core_text_size;
#ifdef CONFIG_KALLSYMS
	Elf_Sym *symtab;
	unsigned int num_symtab;
	char *strtab;
#endif
};

#endif
