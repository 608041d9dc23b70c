/* SPDX-License-Identifier: GPL-2.0-only */
/* Before 2.6.35: no error at all becomes an order to stop. */
#ifndef STUB_2_6_31_LINUX_NOTIFIER_H
#define STUB_2_6_31_LINUX_NOTIFIER_H

#include_next <linux/notifier.h>

static inline int notifier_from_errno(int err)
{
	return NOTIFY_STOP_MASK | (NOTIFY_OK - err);
}

#endif
