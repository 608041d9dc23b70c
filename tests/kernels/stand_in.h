/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the searching and writing parts of the controller want of the kernel,
 * for user space. Each <linux/...> that they include leads here; see userspace.py.
 *
 * Memory comes from the C library and is counted, messages go to stderr, and
 * addresses are those of this process.
 */
#ifndef KEDR_STAND_IN_H
#define KEDR_STAND_IN_H

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

typedef int32_t s32;
typedef uint32_t u32;
typedef uint64_t u64;

#define KBUILD_MODNAME "cp_controller"
#ifndef pr_fmt
#define pr_fmt(fmt) fmt
#endif
#define pr_err(fmt, ...) kernel_says(pr_fmt(fmt), ##__VA_ARGS__)
#define pr_info(fmt, ...) kernel_says(pr_fmt(fmt), ##__VA_ARGS__)
/* Like printf, to stderr, unless it is to be quiet. */
void kernel_says(const char *format, ...);
extern bool kernel_is_quiet;

#define min(a, b) ((a) < (b) ? (a) : (b))
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define barrier() after_write()
#define cond_resched() do { } while (0)
#define rcu_dereference_raw(pointer) (pointer)

struct list_head {
	struct list_head *next, *prev;
};

struct mutex {
	int held;
};

#define DEFINE_MUTEX(name) struct mutex name

static inline void mutex_lock(struct mutex *lock)
{
	lock->held++;
}

static inline void mutex_unlock(struct mutex *lock)
{
	lock->held--;
}

/* ---- memory ---- */

/* Allocations that are still held. */
extern int held_allocations;
/* The allocation, counted from 1, that fails; 0: none does. */
extern unsigned int failing_allocation;

#define PAGE_SIZE 4096UL
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define VM_MAP 0
#define PAGE_KERNEL 0

struct page;

void *vmalloc(unsigned long size);
void *vzalloc(unsigned long size);
void vfree(const void *memory);
#define GFP_KERNEL 0
void *kmalloc(size_t size, int flags);
char *kstrdup(const char *text, int flags);
void kfree(const void *memory);
/* What only patch.c asks for is defined in patch_test.c. */
void after_write(void);
struct page *vmalloc_to_page(const void *address);
void *vmap(struct page **pages, unsigned int nr, unsigned long flags, int prot);
void vunmap(const void *mapping);

static inline int on_each_cpu(void (*call)(void *), void *argument, int wait)
{
	(void)wait;
	call(argument);
	return 0;
}

/* ---- arithmetic ---- */

static inline int order_base_2(unsigned long n)
{
	int order = 0;

	while ((1UL << order) < n)
		order++;
	return order;
}

static inline unsigned long hash_long(unsigned long value, unsigned int bits)
{
	return (value * 0x9e3779b97f4a7c15UL) >> (64 - bits);
}

static inline void sort(void *base, size_t nr, size_t size,
			int (*compare)(const void *, const void *),
			void (*swap)(void *, void *, int))
{
	(void)swap;
	qsort(base, nr, size, compare);
}

/* ---- text ---- */

#define KSYM_SYMBOL_LEN 256
#define scnprintf kernel_prints
#define simple_strtoul strtoul

/* Like snprintf, but returns what was written. */
int kernel_prints(char *text, size_t room, const char *format, ...);
/* What only symbol.c asks for is defined in report_test.c. */
int sprint_symbol(char *text, unsigned long address);

/* ---- modules, in the shape of kernels that have struct module's mem[] ---- */

#define CONFIG_KALLSYMS 1
#define MODULE_NAME_LEN 56

typedef Elf64_Sym Elf_Sym;

enum mod_mem_type {
	MOD_TEXT,
	MOD_INIT_TEXT,
	MOD_MEM_NUM_TYPES,
};

struct module_memory {
	void *base;
	unsigned int size;
};

struct mod_kallsyms {
	Elf_Sym *symtab;
	unsigned int num_symtab;
	const char *strtab;
};

struct module {
	struct module_memory mem[MOD_MEM_NUM_TYPES];
	struct mod_kallsyms *kallsyms;
	void *noinstr_text_start;
	unsigned int noinstr_text_size;
};

#endif /* KEDR_STAND_IN_H */
