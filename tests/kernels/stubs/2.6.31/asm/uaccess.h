/* SPDX-License-Identifier: GPL-2.0-only */
/* Before 2.6.33: copy_from_user() is exported itself. */
#ifndef STUB_2_6_31_ASM_UACCESS_H
#define STUB_2_6_31_ASM_UACCESS_H

#include <stub/uaccess.h>

#ifdef CONFIG_X86_32
unsigned long __must_check copy_to_user(void __user *to, const void *from,
					unsigned long n);
unsigned long __must_check copy_from_user(void *to, const void __user *from,
					  unsigned long n);
#else
unsigned long __must_check copy_to_user(void __user *to, const void *from,
					unsigned len);
unsigned long __must_check copy_from_user(void *to, const void __user *from,
					  unsigned len);
#endif

#endif
