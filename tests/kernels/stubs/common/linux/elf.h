/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_ELF_H
#define STUB_COMMON_LINUX_ELF_H

#include <linux/types.h>

#define SHN_UNDEF 0
#define STB_WEAK 2
#define STT_FUNC 2
#define STT_SECTION 3

typedef struct elf32_sym {
	u32 st_name;
	u32 st_value;
	u32 st_size;
	unsigned char st_info;
	unsigned char st_other;
	u16 st_shndx;
} Elf32_Sym;

typedef struct elf64_sym {
	u32 st_name;
	unsigned char st_info;
	unsigned char st_other;
	u16 st_shndx;
	u64 st_value;
	u64 st_size;
} Elf64_Sym;

#endif
