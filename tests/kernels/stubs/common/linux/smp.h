/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_SMP_H
#define STUB_COMMON_LINUX_SMP_H

int on_each_cpu(void (*func)(void *info), void *info, int wait);

#endif
