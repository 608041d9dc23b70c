// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls kfree(NULL) over and over. Reading the parameter "nanoseconds" makes
 * "calls" calls "repeats" times and shows how long the fastest time took: a
 * short loop that is often repeated once gets the processor to itself, also
 * where others use it. Built twice, under two names: once as the module whose
 * calls are watched, once as somebody else's.
 *
 * Locking: none; one reader at a time is the business of who measures.
 */

#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/slab.h>

static unsigned int calls = 1000;
module_param(calls, uint, 0644);
MODULE_PARM_DESC(calls, "Number of calls in a row");

static unsigned int repeats = 100;
module_param(repeats, uint, 0644);
MODULE_PARM_DESC(repeats, "How often that many calls are made");

static s64 time_calls(unsigned int nr)
{
	ktime_t begun = ktime_get();
	unsigned int i;

	for (i = 0; i < nr; i++)
		kfree(NULL);
	return ktime_to_ns(ktime_sub(ktime_get(), begun));
}

static int nanoseconds_get(char *buffer, const struct kernel_param *param)
{
	s64 best = time_calls(calls);
	unsigned int i;

	for (i = 1; i < repeats; i++) {
		best = min(best, time_calls(calls));
		cond_resched();
	}
	return scnprintf(buffer, PAGE_SIZE, "%lld\n", (long long)best);
}

static const struct kernel_param_ops nanoseconds_ops = {
	.get = nanoseconds_get,
};

module_param_cb(nanoseconds, &nanoseconds_ops, NULL, 0444);
MODULE_PARM_DESC(nanoseconds, "How long the calls take at best");

MODULE_DESCRIPTION("Calls a kernel function in a loop");
MODULE_AUTHOR("The kedr.lab authors");
MODULE_LICENSE("GPL");
