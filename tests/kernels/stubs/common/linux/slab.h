/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_SLAB_H
#define STUB_COMMON_LINUX_SLAB_H

#include <linux/gfp.h>

struct kmem_cache;

void *__kmalloc(size_t size, gfp_t flags);
void *kzalloc(size_t size, gfp_t flags);
void *kcalloc(size_t n, size_t size, gfp_t flags);
void *kmalloc(size_t size, gfp_t flags);
char *kstrdup(const char *text, gfp_t flags);
void kfree(const void *p);
void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t flags);
void kmem_cache_free(struct kmem_cache *cache, void *p);

#endif
