/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_HRTIMER_H
#define STUB_COMMON_LINUX_HRTIMER_H

#include <linux/ktime.h>

ktime_t ktime_get(void);

#endif
