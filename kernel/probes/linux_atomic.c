// SPDX-License-Identifier: GPL-2.0-only
/* Do atomic counters come with linux/atomic.h? */
#include <linux/module.h>
#include <linux/atomic.h>

int kedr_probe(atomic_t *counter);

int kedr_probe(atomic_t *counter)
{
	atomic_inc(counter);
	return atomic_read(counter);
}

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
