/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters of calls, one for each function that a payload replaces. They say
 * how often a replacement was entered, whether the call came back or not and
 * whatever became of the record, and are read from
 * /sys/module/<payload>/parameters/<event>
 *
 * A counter begins at 0 when the payload is loaded, counts every call while
 * the event is on or off, and has 64 bits on every machine.
 *
 * Included by one source of a payload, which has
 *
 *	KEDR_CALLS(event);		outside of functions, once for each event
 *	kedr_calls_count(event);	first in the replacement
 *	kedr_calls_init()		in the init function, before
 *					kedr_payload_register()
 *	kedr_calls_exit()		in the exit function, after
 *					kedr_payload_unregister(), and where
 *					the init function fails later
 *
 * Each counter is a number on each processor, so counting shares no memory
 * with other processors. They are allocated when the payload is loaded: the
 * kernel keeps only some KiB for such numbers that are part of modules.
 *
 * Locking: kedr_calls_lock guards the pointers to the counters against a
 * reader of a parameter, which can be there before the init function has run
 * and while the exit function runs. Those who count need no lock: they run
 * only between kedr_payload_register() and the end of
 * kedr_payload_unregister().
 */
#ifndef KEDR_CALLS_H
#define KEDR_CALLS_H

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/types.h>

#include <kedr/config.h>

/* Old kernels know no such mark; where there is one it is a macro. */
#ifndef __percpu
#define __percpu
#endif

#if defined(KEDR_HAVE_THIS_CPU_INC) && BITS_PER_LONG == 64

/**
 * struct kedr_calls - what one processor has counted
 * @low: the number
 */
struct kedr_calls {
	unsigned long low;
};

/* One instruction, so nothing can come between; for any context. */
static inline void kedr_calls_inc(struct kedr_calls __percpu *calls)
{
	this_cpu_inc(calls->low);
}

static inline u64 kedr_calls_of(const struct kedr_calls *calls)
{
	return calls->low;
}

#else

#include <linux/preempt.h>
#include <linux/smp.h>
#include <asm/local.h>

/**
 * struct kedr_calls - what one processor has counted
 * @low: the lower bits of the number, as many as fit
 * @halves: how often @low has run through half of its range
 *
 * The highest bit of @low and the lowest one of @halves are equal, but for the
 * moment between the changes of both. A reader that looks at @halves first may
 * find it one behind, and sees it by that.
 */
struct kedr_calls {
	local_t low;
	local_t halves;
};

/*
 * An interrupt or an NMI that counts as well cannot do harm: each change is
 * one instruction, and @halves is changed by the one that changed the highest
 * bit. Without preemption this is done on one processor.
 */
static inline void kedr_calls_inc(struct kedr_calls __percpu *calls)
{
	struct kedr_calls *mine;

	preempt_disable();
	mine = per_cpu_ptr(calls, smp_processor_id());
	if (!(local_inc_return(&mine->low) & LONG_MAX))
		local_inc(&mine->halves);
	preempt_enable();
}

static inline u64 kedr_calls_of(const struct kedr_calls *calls)
{
	unsigned long halves = local_read(&calls->halves);
	unsigned long low;

	/* The CPU that counts writes low first: halves may be one behind, never ahead. */
	smp_rmb();
	low = local_read(&calls->low);
	if ((low >> (BITS_PER_LONG - 1)) != (halves & 1))
		halves++;
	/* BITS_PER_LONG of them, in two steps: it may be the whole width */
	return ((u64)(halves >> 1) << (BITS_PER_LONG / 2) <<
		(BITS_PER_LONG / 2)) | low;
}

#endif

static DEFINE_MUTEX(kedr_calls_lock);

static int kedr_calls_print(char *buffer, const void *place)
{
	struct kedr_calls __percpu * const *calls = place;
	u64 sum = 0;
	int cpu;

	mutex_lock(&kedr_calls_lock);
	if (*calls)
		for_each_possible_cpu(cpu)
			sum += kedr_calls_of(per_cpu_ptr(*calls, cpu));
	mutex_unlock(&kedr_calls_lock);
	return sprintf(buffer, "%llu\n", (unsigned long long)sum);
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
	module_param_cb(event, &kedr_calls_ops, &kedr_calls_##event, 0400)

static bool kedr_calls_is_counter(const struct kernel_param *param)
{
	return param->ops == &kedr_calls_ops;
}

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
			  &kedr_calls_##event, 0400)

static bool kedr_calls_is_counter(const struct kernel_param *param)
{
	return param->get == kedr_calls_get;
}

#endif

/* Frees all counters. To be called when no replacement runs any more. */
static void kedr_calls_exit(void)
{
	unsigned int i;

	mutex_lock(&kedr_calls_lock);
	for (i = 0; i < THIS_MODULE->num_kp; i++) {
		const struct kernel_param *param = &THIS_MODULE->kp[i];
		struct kedr_calls __percpu **calls = param->arg;

		if (!kedr_calls_is_counter(param))
			continue;
		free_percpu(*calls);
		*calls = NULL;
	}
	mutex_unlock(&kedr_calls_lock);
}

/* Allocates all counters. Returns 0, or -ENOMEM with none of them allocated. */
static int kedr_calls_init(void)
{
	unsigned int i;
	int err = 0;

	mutex_lock(&kedr_calls_lock);
	for (i = 0; !err && i < THIS_MODULE->num_kp; i++) {
		const struct kernel_param *param = &THIS_MODULE->kp[i];
		struct kedr_calls __percpu **calls = param->arg;

		if (!kedr_calls_is_counter(param))
			continue;
		*calls = alloc_percpu(struct kedr_calls);
		if (!*calls)
			err = -ENOMEM;
	}
	mutex_unlock(&kedr_calls_lock);
	if (err)
		kedr_calls_exit();
	return err;
}

/* KEDR_CALLS(event) - the counter of an event, and the parameter to read it */
#define KEDR_CALLS(event)						\
	static struct kedr_calls __percpu *kedr_calls_##event;		\
	KEDR_CALLS_PARAM(event);					\
	MODULE_PARM_DESC(event, "Calls so far, to be read only")

/*
 * kedr_calls_count(event) - count a call; may be used in any context, between
 * kedr_payload_register() and the end of kedr_payload_unregister()
 */
#define kedr_calls_count(event) kedr_calls_inc(kedr_calls_##event)

#endif /* KEDR_CALLS_H */
