/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_MM_H
#define STUB_COMMON_LINUX_MM_H

#include <linux/types.h>

struct page;
typedef struct { unsigned long pgprot; } pgprot_t;

#define PAGE_SIZE 4096UL
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define PAGE_KERNEL ((pgprot_t) { 0x163 })

struct page *vmalloc_to_page(const void *addr);

#endif
