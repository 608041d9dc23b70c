/* SPDX-License-Identifier: GPL-2.0-only */
/* Before 2.6.36: a parameter has two functions and no struct kernel_param_ops. */
#ifndef STUB_2_6_31_LINUX_MODULEPARAM_H
#define STUB_2_6_31_LINUX_MODULEPARAM_H

#include <linux/init.h>
#include <linux/kernel.h>

struct kernel_param;
typedef int (*param_set_fn)(const char *val, struct kernel_param *kp);
typedef int (*param_get_fn)(char *buffer, struct kernel_param *kp);

struct kernel_param {
	const char *name;
	u16 perm;
	u16 flags;
	param_set_fn set;
	param_get_fn get;
	void *arg;
};

#define module_param_call(name, set, get, arg, perm)			\
	static struct kernel_param const __param_##name __used		\
	__attribute__((section("__param"))) =				\
		{ #name, perm, 0, set, get, arg }
#define module_param(name, type, perm)					\
	static inline type *__check_##name(void) { return &(name); }	\
	module_param_call(name, param_set_##type, param_get_##type, &name, perm)

int param_set_int(const char *val, struct kernel_param *kp);
int param_get_int(char *buffer, struct kernel_param *kp);

#endif
