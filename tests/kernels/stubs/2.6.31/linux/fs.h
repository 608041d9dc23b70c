/* SPDX-License-Identifier: GPL-2.0-only */
/* Before 2.6.36: there is an ioctl that holds the big kernel lock. */
#ifndef STUB_2_6_31_LINUX_FS_H
#define STUB_2_6_31_LINUX_FS_H

#include <stub/fs.h>

struct file_operations {
	struct module *owner;
	loff_t (*llseek)(struct file *, loff_t, int);
	ssize_t (*read)(struct file *, char __user *, size_t, loff_t *);
	ssize_t (*write)(struct file *, const char __user *, size_t, loff_t *);
	int (*ioctl)(struct inode *, struct file *, unsigned int, unsigned long);
	long (*unlocked_ioctl)(struct file *, unsigned int, unsigned long);
	long (*compat_ioctl)(struct file *, unsigned int, unsigned long);
	int (*open)(struct inode *, struct file *);
	int (*release)(struct inode *, struct file *);
};

#endif
