/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters of calls, one for each function that a payload replaces. They say
 * how many records the events of the payload were asked for, whatever became
 * of the records, and are read from
 * /sys/module/<payload>/parameters/<event>
 *
 * A counter begins at 0 when the payload is loaded, counts every call while
 * the event is on or off, and has 64 bits on every machine.
 *
 * Included by one source of a payload. Locking: the counters are atomic.
 */
#ifndef KEDR_CALLS_H
#define KEDR_CALLS_H

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/types.h>

#include <kedr/config.h>

#ifdef KEDR_HAVE_LINUX_ATOMIC
#include <linux/atomic.h>
#else
#include <asm/atomic.h>
#endif

static inline int kedr_calls_print(char *buffer, void *calls)
{
	return sprintf(buffer, "%llu\n",
		       (unsigned long long)atomic64_read((atomic64_t *)calls));
}

#ifdef KEDR_HAVE_PARAM_OPS

static int kedr_calls_set(const char *value, const struct kernel_param *param)
{
	return -EPERM;
}

static int kedr_calls_get(char *buffer, const struct kernel_param *param)
{
	return kedr_calls_print(buffer, param->arg);
}

static const struct kernel_param_ops kedr_calls_ops = {
	.set = kedr_calls_set,
	.get = kedr_calls_get,
};

#define KEDR_CALLS_PARAM(event)						\
	module_param_cb(event, &kedr_calls_ops, &kedr_calls_##event, 0444)

#else

static int kedr_calls_set(const char *value, struct kernel_param *param)
{
	return -EPERM;
}

static int kedr_calls_get(char *buffer, struct kernel_param *param)
{
	return kedr_calls_print(buffer, param->arg);
}

#define KEDR_CALLS_PARAM(event)						\
	module_param_call(event, kedr_calls_set, kedr_calls_get,	\
			  &kedr_calls_##event, 0444)

#endif

/* KEDR_CALLS(event) - the counter of an event, and the parameter to read it */
#define KEDR_CALLS(event)						\
	static atomic64_t kedr_calls_##event = ATOMIC64_INIT(0);	\
	KEDR_CALLS_PARAM(event);					\
	MODULE_PARM_DESC(event, "Calls so far, to be read only")

/* kedr_calls_count(event) - count a call; may be used in any context */
#define kedr_calls_count(event) atomic64_inc(&kedr_calls_##event)

#endif /* KEDR_CALLS_H */
