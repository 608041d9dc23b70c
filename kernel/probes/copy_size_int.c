// SPDX-License-Identifier: GPL-2.0-only
/* Does _copy_from_user() take an unsigned int as size? */
#include <linux/module.h>
#include <linux/uaccess.h>

typedef unsigned long kedr_copy(void *to, const void __user *from,
				unsigned int size);

extern kedr_copy *kedr_probe;

kedr_copy *kedr_probe = _copy_from_user;

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
