/* SPDX-License-Identifier: GPL-2.0-only */
/* From 3.18: synchronize_rcu_tasks(). */
#ifndef STUB_4_19_LINUX_RCUPDATE_H
#define STUB_4_19_LINUX_RCUPDATE_H

#include_next <linux/rcupdate.h>

void synchronize_rcu_tasks(void);

#endif
