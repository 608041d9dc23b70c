/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_3_2_LINUX_VMALLOC_H
#define STUB_3_2_LINUX_VMALLOC_H

#include_next <linux/vmalloc.h>

void *vzalloc(unsigned long size);

#endif
