/* SPDX-License-Identifier: GPL-2.0-only */
/* Before 2.6.35: binary attributes are read without a struct file. */
#ifndef STUB_2_6_31_LINUX_SYSFS_H
#define STUB_2_6_31_LINUX_SYSFS_H

#include <linux/types.h>

struct kobject;
struct module;

struct attribute {
	const char *name;
	struct module *owner;
	mode_t mode;
};

struct bin_attribute {
	struct attribute attr;
	size_t size;
	void *private;
	ssize_t (*read)(struct kobject *, struct bin_attribute *,
			char *, loff_t, size_t);
	ssize_t (*write)(struct kobject *, struct bin_attribute *,
			 char *, loff_t, size_t);
};

int __must_check sysfs_create_bin_file(struct kobject *kobj,
				       struct bin_attribute *attr);
void sysfs_remove_bin_file(struct kobject *kobj, struct bin_attribute *attr);

#endif
