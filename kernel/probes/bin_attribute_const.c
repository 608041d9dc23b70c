// SPDX-License-Identifier: GPL-2.0-only
/* Does a binary attribute's read function take a constant attribute? */
#include <linux/module.h>
#include <linux/sysfs.h>

static ssize_t probe_read(struct file *file, struct kobject *kobj,
			  const struct bin_attribute *attr, char *buffer,
			  loff_t offset, size_t count)
{
	return 0;
}

extern struct bin_attribute kedr_probe;

struct bin_attribute kedr_probe = {
	.read = probe_read,
};

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
