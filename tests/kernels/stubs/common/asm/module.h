/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_ASM_MODULE_H
#define STUB_COMMON_ASM_MODULE_H

#include <linux/elf.h>

#ifdef CONFIG_X86_32
#define Elf_Sym Elf32_Sym
#else
#define Elf_Sym Elf64_Sym
#endif

#endif
