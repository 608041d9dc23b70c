/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_CAPABILITY_H
#define STUB_COMMON_LINUX_CAPABILITY_H

#include <linux/types.h>

#define CAP_SYS_ADMIN 21
int capable(int cap);

#endif
