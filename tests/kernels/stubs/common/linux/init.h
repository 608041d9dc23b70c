/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_INIT_H
#define STUB_COMMON_LINUX_INIT_H

#include <linux/compiler.h>

#define __init __attribute__((section(".init.text")))
#define __exit __attribute__((section(".exit.text"), used))
#define module_init(function) \
	int init_module(void) __attribute__((alias(#function)));
#define module_exit(function) \
	void cleanup_module(void) __attribute__((alias(#function)));

#endif
