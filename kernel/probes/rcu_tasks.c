// SPDX-License-Identifier: GPL-2.0-only
/* Can one wait until every task has left the code that it was preempted in? */
#include <linux/module.h>
#include <linux/rcupdate.h>

void kedr_probe(void);

void kedr_probe(void)
{
	synchronize_rcu_tasks();
}

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
