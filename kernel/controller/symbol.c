// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel calls an address.
 *
 * Kernels print the same in different forms (conversions of printk came late,
 * build IDs were added to some), so what the oldest of their functions prints
 * is taken apart and put together again: "NAME+0xOFFSET/0xSIZE [MODULE]".
 *
 * Locking: kedr_lock guards the buffer for what the kernel prints.
 */

#include <linux/kallsyms.h>
#include <linux/string.h>

#include "controller.h"

static char printed[KSYM_SYMBOL_LEN];

/* Cuts the name of the module out of what follows the offset. */
static const char *module_in(char *text)
{
	char *name = strchr(text, '[');

	if (!name)
		return "-";
	name++;
	name[strcspn(name, "] ")] = '\0';
	return name;
}

size_t kedr_symbol_print(char *text, size_t room, unsigned long address)
{
	char *plus;

	sprint_symbol(printed, address);
	plus = strchr(printed, '+');
	if (!plus)
		return scnprintf(text, room, "0x%lx -", address);
	*plus = '\0';
	return scnprintf(text, room, "%s+0x%lx %s", printed,
			 simple_strtoul(plus + 1, NULL, 16),
			 module_in(plus + 1));
}
