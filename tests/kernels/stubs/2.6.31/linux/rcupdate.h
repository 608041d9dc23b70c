/* SPDX-License-Identifier: GPL-2.0-only */
/* No rcu_dereference_raw() before 2.6.34. */
#ifndef STUB_2_6_31_LINUX_RCUPDATE_H
#define STUB_2_6_31_LINUX_RCUPDATE_H

#define rcu_dereference(p) (*(volatile typeof(p) *)&(p))

void synchronize_rcu(void);

#endif
