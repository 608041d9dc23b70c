/* SPDX-License-Identifier: GPL-2.0-only */
/* From 2.6.36: struct kernel_param_ops, and constant parameters. */
#ifndef STUB_3_2_LINUX_MODULEPARAM_H
#define STUB_3_2_LINUX_MODULEPARAM_H

#include <linux/init.h>
#include <linux/kernel.h>

struct kernel_param;

struct kernel_param_ops {
	int (*set)(const char *val, const struct kernel_param *kp);
	int (*get)(char *buffer, const struct kernel_param *kp);
	void (*free)(void *arg);
};

struct kernel_param {
	const char *name;
	const struct kernel_param_ops *ops;
	u16 perm;
	void *arg;
};

#define module_param_cb(name, ops, arg, perm)				\
	static struct kernel_param const __param_##name __used		\
	__attribute__((section("__param"))) = { #name, ops, perm, arg }
#define module_param(name, type, perm)					\
	static inline type *__check_##name(void) { return &(name); }	\
	module_param_cb(name, &param_ops_##type, &name, perm)

extern struct kernel_param_ops param_ops_int;

#endif
