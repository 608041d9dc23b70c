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

void *kmalloc(size_t size, int flags)
{
	(void)flags;
	return vmalloc(size);
}

char *kstrdup(const char *text, int flags)
{
	char *copy = kmalloc(strlen(text) + 1, flags);

	return copy ? strcpy(copy, text) : NULL;
}

void kfree(const void *memory)
{
	vfree(memory);
}

int kernel_prints(char *text, size_t room, const char *format, ...)
{
	va_list list;
	int length;

	va_start(list, format);
	length = vsnprintf(text, room, format, list);
	va_end(list);
	if (!room)
		return 0;
	return (size_t)length < room ? length : (int)room - 1;
}
