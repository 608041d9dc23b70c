/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_SCHED_H
#define STUB_COMMON_LINUX_SCHED_H

int cond_resched(void);

#endif
