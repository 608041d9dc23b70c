// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory and messages of the kernel in user space, see stand_in.h.
 */
#include <stdarg.h>

#include "stand_in.h"

int held_allocations;
unsigned int failing_allocation;
bool kernel_is_quiet;

void kernel_says(const char *format, ...)
{
	va_list list;

	if (kernel_is_quiet)
		return;
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
}

void *vmalloc(unsigned long size)
{
	if (failing_allocation && !--failing_allocation)
		return NULL;
	held_allocations++;
	return malloc(size);
}

void *vzalloc(unsigned long size)
{
	void *memory = vmalloc(size);

	if (memory)
		memset(memory, 0, size);
	return memory;
}

void vfree(const void *memory)
{
	if (memory)
		held_allocations--;
	free((void *)memory);
}

void kfree(const void *memory)
{
	vfree(memory);
}
