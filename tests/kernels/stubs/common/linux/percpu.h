/* SPDX-License-Identifier: GPL-2.0-only */
/* Before 2.6.33: no this_cpu_inc(), and pointers have no __percpu. */
#ifndef STUB_COMMON_LINUX_PERCPU_H
#define STUB_COMMON_LINUX_PERCPU_H

#include <linux/smp.h>

#define for_each_possible_cpu(cpu) for ((cpu) = 0; (cpu) < 4; (cpu)++)
#define per_cpu_ptr(pointer, cpu) \
	((typeof(pointer))((char *)(pointer) + 4096 * (cpu)))
#define alloc_percpu(type) \
	((type *)__alloc_percpu(sizeof(type), __alignof__(type)))

void *__alloc_percpu(size_t size, size_t align);
void free_percpu(void *pointer);

#endif
