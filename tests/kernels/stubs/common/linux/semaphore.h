/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_SEMAPHORE_H
#define STUB_COMMON_LINUX_SEMAPHORE_H

struct semaphore {
	unsigned int count;
};

void sema_init(struct semaphore *sem, int val);
void down(struct semaphore *sem);
int __attribute__((warn_unused_result)) down_interruptible(struct semaphore *sem);
int __attribute__((warn_unused_result)) down_killable(struct semaphore *sem);
int __attribute__((warn_unused_result)) down_trylock(struct semaphore *sem);
int __attribute__((warn_unused_result)) down_timeout(struct semaphore *sem, long jiffies);
void up(struct semaphore *sem);

#endif
