/* SPDX-License-Identifier: GPL-2.0-only */
/* Before 6.4: a class has an owner. */
#ifndef STUB_COMMON_LINUX_DEVICE_H
#define STUB_COMMON_LINUX_DEVICE_H

#include <linux/kobject.h>

struct class;
struct device;
struct module;
struct lock_class_key { int dummy; };

struct class *__class_create(struct module *owner, const char *name,
			     struct lock_class_key *key) __must_check;
#define class_create(owner, name) ({			\
	static struct lock_class_key __key;		\
	__class_create(owner, name, &__key); })
void class_destroy(struct class *cls);
struct device *device_create(struct class *cls, struct device *parent,
			     dev_t devt, void *drvdata, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void device_destroy(struct class *cls, dev_t devt);

#endif
