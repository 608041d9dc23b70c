/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_KOBJECT_H
#define STUB_COMMON_LINUX_KOBJECT_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/sysfs.h>

struct kset;

struct kobject {
	const char *name;
	struct list_head entry;
	struct kset *kset;
};

struct kset {
	struct list_head list;
	spinlock_t list_lock;
	struct kobject kobj;
};

static inline const char *kobject_name(const struct kobject *kobj)
{
	return kobj->name;
}

extern struct kobject *kernel_kobj;
struct kobject *kobject_create_and_add(const char *name, struct kobject *parent);
void kobject_put(struct kobject *kobj);

#endif
