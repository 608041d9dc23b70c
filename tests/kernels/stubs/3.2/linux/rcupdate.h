/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_3_2_LINUX_RCUPDATE_H
#define STUB_3_2_LINUX_RCUPDATE_H

#define rcu_dereference_raw(p) (*(volatile typeof(p) *)&(p))

void synchronize_rcu(void);

#endif
