/* SPDX-License-Identifier: GPL-2.0-only */
/* Before 5.10: no blocking_notifier_call_chain_robust(), no error ends a load. */
#ifndef STUB_3_2_LINUX_NOTIFIER_H
#define STUB_3_2_LINUX_NOTIFIER_H

#include_next <linux/notifier.h>

static inline int notifier_from_errno(int err)
{
	if (err)
		return NOTIFY_STOP_MASK | (NOTIFY_OK - err);
	return NOTIFY_OK;
}

#endif
