/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_PREEMPT_H
#define STUB_COMMON_LINUX_PREEMPT_H

#define preempt_disable() __asm__ __volatile__("" : : : "memory")
#define preempt_enable() __asm__ __volatile__("" : : : "memory")

#endif
