/* SPDX-License-Identifier: GPL-2.0-only */
/* What all shapes of linux/module.h have in common. */
#ifndef STUB_COMMON_STUB_MODULE_H
#define STUB_COMMON_STUB_MODULE_H

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/moduleparam.h>
#include <linux/stringify.h>
#include <asm/module.h>

#define MODULE_NAME_LEN (64 - sizeof(unsigned long))

#define STUB_CAT_(a, b) a##b
#define STUB_CAT(a, b) STUB_CAT_(a, b)
#define STUB_INFO(tag, text) \
	static const char STUB_CAT(__mod_##tag, __LINE__)[] \
	__used __attribute__((section(".modinfo"))) = #tag "=" text
#define MODULE_LICENSE(text) STUB_INFO(license, text)
#define MODULE_AUTHOR(text) STUB_INFO(author, text)
#define MODULE_DESCRIPTION(text) STUB_INFO(description, text)
#define MODULE_PARM_DESC(name, text) STUB_INFO(parm, #name ":" text)
#define EXPORT_SYMBOL_GPL(symbol) \
	static const unsigned long STUB_CAT(__ksymtab_, symbol) \
	__used __attribute__((section("__ksymtab_gpl"))) = (unsigned long)&symbol

enum module_state {
	MODULE_STATE_LIVE,
	MODULE_STATE_COMING,
	MODULE_STATE_GOING,
};

struct module;
struct notifier_block;

struct module_kobject {
	struct kobject kobj;
	struct module *mod;
};

extern struct module __this_module;
#define THIS_MODULE (&__this_module)

int try_module_get(struct module *mod);
void module_put(struct module *mod);
int register_module_notifier(struct notifier_block *block);
int unregister_module_notifier(struct notifier_block *block);

#endif
