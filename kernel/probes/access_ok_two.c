// SPDX-License-Identifier: GPL-2.0-only
/* Does access_ok() take an address and a size alone? */
#include <linux/module.h>
#include <linux/uaccess.h>

int kedr_probe(const void __user *from);

int kedr_probe(const void __user *from)
{
	return access_ok(from, 1);
}

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
