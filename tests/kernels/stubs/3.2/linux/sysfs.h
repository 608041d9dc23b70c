/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_3_2_LINUX_SYSFS_H
#define STUB_3_2_LINUX_SYSFS_H

#include <linux/types.h>

struct file;
struct kobject;

struct attribute {
	const char *name;
	mode_t mode;
};

struct bin_attribute {
	struct attribute attr;
	size_t size;
	void *private;
	ssize_t (*read)(struct file *, struct kobject *, struct bin_attribute *,
			char *, loff_t, size_t);
	ssize_t (*write)(struct file *, struct kobject *,
			 struct bin_attribute *, char *, loff_t, size_t);
};

int __must_check sysfs_create_bin_file(struct kobject *kobj,
				       const struct bin_attribute *attr);
void sysfs_remove_bin_file(struct kobject *kobj,
			   const struct bin_attribute *attr);

#endif
