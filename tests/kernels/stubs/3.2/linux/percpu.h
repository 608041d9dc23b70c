/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_3_2_LINUX_PERCPU_H
#define STUB_3_2_LINUX_PERCPU_H

#include_next <linux/percpu.h>

#define __percpu
#define this_cpu_inc(counter) ((void)(counter)++)

#endif
