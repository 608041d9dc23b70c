/* SPDX-License-Identifier: GPL-2.0-only */
/* From 2.6.33: copy_from_user() is inline, the size of what it calls is short. */
#ifndef STUB_3_2_ASM_UACCESS_H
#define STUB_3_2_ASM_UACCESS_H

#include <stub/uaccess.h>

#ifdef CONFIG_X86_32
unsigned long __must_check copy_to_user(void __user *to, const void *from,
					unsigned long n);
unsigned long __must_check _copy_from_user(void *to, const void __user *from,
					   unsigned long n);
#else
unsigned long __must_check _copy_to_user(void __user *to, const void *from,
					 unsigned len);
unsigned long __must_check _copy_from_user(void *to, const void __user *from,
					   unsigned len);

static inline unsigned long __must_check
copy_to_user(void __user *to, const void *from, unsigned long n)
{
	return _copy_to_user(to, from, n);
}
#endif

static inline unsigned long __must_check
copy_from_user(void *to, const void __user *from, unsigned long n)
{
	return _copy_from_user(to, from, n);
}

#endif
