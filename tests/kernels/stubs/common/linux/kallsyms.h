/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_KALLSYMS_H
#define STUB_COMMON_LINUX_KALLSYMS_H

#include <linux/kernel.h>

#define KSYM_NAME_LEN 128
#define KSYM_SYMBOL_LEN (sizeof("%s+%#lx/%#lx [%s]") + (KSYM_NAME_LEN - 1) + \
			 2 * (BITS_PER_LONG * 3 / 10) + 55 + 1)

int sprint_symbol(char *buffer, unsigned long address);

#endif
