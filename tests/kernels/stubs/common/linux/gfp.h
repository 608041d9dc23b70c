/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_GFP_H
#define STUB_COMMON_LINUX_GFP_H

#include <linux/types.h>

#define GFP_KERNEL ((gfp_t)0xd0)

#endif
