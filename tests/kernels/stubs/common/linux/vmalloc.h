/* SPDX-License-Identifier: GPL-2.0-only */
/* vzalloc() is missing before 2.6.37. */
#ifndef STUB_COMMON_LINUX_VMALLOC_H
#define STUB_COMMON_LINUX_VMALLOC_H

#include <linux/mm.h>

#define VM_MAP 0x00000004

void *vmalloc(unsigned long size);
void vfree(const void *addr);
void *vmap(struct page **pages, unsigned int count, unsigned long flags,
	   pgprot_t prot);
void vunmap(const void *addr);

#endif
