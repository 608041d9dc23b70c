// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does an error of a module notifier end the load of the module? The kernel
 * heeds such an error since it has this function, which tells those who were
 * asked before; until then it loads the module whatever they answer.
 */
#include <linux/module.h>
#include <linux/notifier.h>

int kedr_probe(struct blocking_notifier_head *head, struct module *mod);

int kedr_probe(struct blocking_notifier_head *head, struct module *mod)
{
	return blocking_notifier_call_chain_robust(head, MODULE_STATE_COMING,
						   MODULE_STATE_GOING, mod);
}

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
