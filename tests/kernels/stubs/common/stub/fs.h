/* SPDX-License-Identifier: GPL-2.0-only */
/* What all shapes of linux/fs.h have in common. */
#ifndef STUB_COMMON_STUB_FS_H
#define STUB_COMMON_STUB_FS_H

#include <linux/kdev_t.h>
#include <linux/kernel.h>
#include <linux/list.h>

#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2

struct cdev;
struct module;

struct inode {
	struct cdev *i_cdev;
};

struct file {
	loff_t f_pos;
	void *private_data;
};

unsigned int iminor(const struct inode *inode);
unsigned int imajor(const struct inode *inode);
int alloc_chrdev_region(dev_t *dev, unsigned int first, unsigned int count,
			const char *name);
int register_chrdev_region(dev_t first, unsigned int count, const char *name);
void unregister_chrdev_region(dev_t first, unsigned int count);

#endif
