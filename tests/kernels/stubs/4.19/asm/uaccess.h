/* SPDX-License-Identifier: GPL-2.0-only */
/* From 4.12: the size is an unsigned long everywhere. */
#ifndef STUB_4_19_ASM_UACCESS_H
#define STUB_4_19_ASM_UACCESS_H

#include <stub/uaccess.h>

unsigned long _copy_to_user(void __user *to, const void *from, unsigned long n);
unsigned long _copy_from_user(void *to, const void __user *from,
			      unsigned long n);

static inline unsigned long __must_check
copy_to_user(void __user *to, const void *from, unsigned long n)
{
	return _copy_to_user(to, from, n);
}

static inline unsigned long __must_check
copy_from_user(void *to, const void __user *from, unsigned long n)
{
	return _copy_from_user(to, from, n);
}

#endif
