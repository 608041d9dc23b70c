/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_COMPILER_H
#define STUB_COMMON_LINUX_COMPILER_H

#define __user
#define __force
#define __must_check __attribute__((warn_unused_result))
#define __used __attribute__((used))
#define __maybe_unused __attribute__((unused))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() asm volatile("" : : : "memory")

#endif
