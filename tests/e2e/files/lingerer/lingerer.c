// SPDX-License-Identifier: GPL-2.0-only
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/sched.h>

#include <kedr/payload.h>

/* Others run meanwhile, but this never sleeps. */
static void lingerer_complete(struct completion *done)
{
	int i;

	complete(done);
	for (i = 0; i < 1500; i++) {
		mdelay(1);
		cond_resched();
	}
	pr_info("lingerer: left\n");
}

static void * const targets[] = { (void *)&complete };
static void * const replacements[] = { (void *)&lingerer_complete };
static const char * const names[] = { "complete" };

static struct kedr_payload payload = {
	.mod = THIS_MODULE,
	.nr = 1,
	.targets = targets,
	.replacements = replacements,
	.names = names,
};

static int __init lingerer_init(void)
{
	return kedr_payload_register(&payload);
}

static void __exit lingerer_exit(void)
{
	kedr_payload_unregister(&payload);
	pr_info("lingerer: gone\n");
}

module_init(lingerer_init);
module_exit(lingerer_exit);
MODULE_DESCRIPTION("A payload whose replacement takes long to come back");
MODULE_LICENSE("GPL");
