/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_NOTIFIER_H
#define STUB_COMMON_LINUX_NOTIFIER_H

#include <linux/errno.h>

struct notifier_block {
	int (*notifier_call)(struct notifier_block *, unsigned long, void *);
	struct notifier_block *next;
	int priority;
};

struct blocking_notifier_head {
	struct notifier_block *head;
};

#define NOTIFY_DONE 0x0000
#define NOTIFY_OK 0x0001
#define NOTIFY_STOP_MASK 0x8000

int blocking_notifier_call_chain(struct blocking_notifier_head *nh,
				 unsigned long val, void *v);

#endif
