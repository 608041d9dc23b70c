/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_SMP_H
#define STUB_COMMON_LINUX_SMP_H

#define smp_rmb() __asm__ __volatile__("" : : : "memory")

int smp_processor_id(void);
int on_each_cpu(void (*func)(void *info), void *info, int wait);

#endif
