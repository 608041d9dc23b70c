// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two threads, each bound to a CPU of its own, hand one semaphore over and over
 * to each other: who has it lets it go when the other one waits for it.
 *
 * Locking: "left" is changed by who holds the semaphore; outside it is only
 * read.  The list of who waits is only looked at, to see whether it is empty.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/semaphore.h>

static int rounds = 150;
module_param(rounds, int, 0444);
MODULE_PARM_DESC(rounds, "How often each thread takes the semaphore");

static int left = 2;
module_param(left, int, 0444);
MODULE_PARM_DESC(left, "Threads that still run");

static struct semaphore baton;
static struct task_struct *runners[2];

static int run(void *unused)
{
	int round;

	for (round = 1; round <= rounds && !kthread_should_stop(); round++) {
		down(&baton);
		while (list_empty(&baton.wait_list) && left == 2 &&
		       !kthread_should_stop())
			usleep_range(50, 100);
		if (round == rounds)
			left--;
		up(&baton);
	}
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static void stop(int count)
{
	while (count--)
		kthread_stop(runners[count]);
}

static int __init handover_init(void)
{
	int i;

	sema_init(&baton, 1);
	for (i = 0; i < 2; i++) {
		runners[i] = kthread_create(run, NULL, "runner%d", i);
		if (IS_ERR(runners[i])) {
			int error = PTR_ERR(runners[i]);

			stop(i);
			return error;
		}
		kthread_bind(runners[i], i);
	}
	for (i = 0; i < 2; i++)
		wake_up_process(runners[i]);
	return 0;
}

static void __exit handover_exit(void)
{
	stop(2);
}

module_init(handover_init);
module_exit(handover_exit);
MODULE_DESCRIPTION("Hands a semaphore over between two CPUs");
MODULE_LICENSE("GPL");
