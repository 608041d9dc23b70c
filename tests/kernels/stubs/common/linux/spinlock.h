/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_SPINLOCK_H
#define STUB_COMMON_LINUX_SPINLOCK_H

typedef struct { int raw; } spinlock_t;

void spin_lock(spinlock_t *lock);
void spin_unlock(spinlock_t *lock);

#endif
