/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_TYPES_H
#define STUB_COMMON_LINUX_TYPES_H

#include <linux/compiler.h>

#ifdef CONFIG_X86_64
#define BITS_PER_LONG 64
#else
#define BITS_PER_LONG 32
#endif

typedef unsigned char __u8, u8;
typedef unsigned short __u16, u16;
typedef unsigned int __u32, u32;
typedef unsigned long long __u64, u64;
typedef signed int __s32, s32;
typedef signed long long __s64, s64;
typedef __SIZE_TYPE__ size_t;
typedef long ssize_t;
typedef long long loff_t;
typedef unsigned int gfp_t;
typedef u32 dev_t;
typedef unsigned short mode_t;
typedef _Bool bool;
typedef struct { int counter; } atomic_t;

#define NULL ((void *)0)
enum { false, true };

#endif
