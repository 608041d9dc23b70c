/* SPDX-License-Identifier: GPL-2.0-only */
/* ktime_get() is not declared here before 3.17 or so. */
#ifndef STUB_COMMON_LINUX_KTIME_H
#define STUB_COMMON_LINUX_KTIME_H

#include <linux/types.h>

typedef union { s64 tv64; } ktime_t;

ktime_t ktime_sub(ktime_t left, ktime_t right);
s64 ktime_to_ns(ktime_t kt);

#endif
