// SPDX-License-Identifier: GPL-2.0-only
#include <linux/completion.h>
#include <linux/module.h>
#include <linux/workqueue.h>

static DECLARE_COMPLETION(leaver_done);

/* A jump to complete(): from then on the worker has nothing of this module. */
static void leaver_work(struct work_struct *work)
{
	complete(&leaver_done);
}

static DECLARE_WORK(leaver_item, leaver_work);

static int __init leaver_init(void)
{
	return 0;
}

static void __exit leaver_exit(void)
{
	schedule_work(&leaver_item);
	wait_for_completion(&leaver_done);
	pr_info("leaver: gone\n");
}

module_init(leaver_init);
module_exit(leaver_exit);
MODULE_DESCRIPTION("Is unloaded while a worker is in the last function that it called");
MODULE_LICENSE("GPL");
