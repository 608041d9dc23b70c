// SPDX-License-Identifier: GPL-2.0-only
/* Does class_create() take the name alone? */
#include <linux/device.h>
#include <linux/module.h>

struct class *kedr_probe(void);

struct class *kedr_probe(void)
{
	return class_create("probe");
}

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
