// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counters of a payload: what is counted is what is read, on machines of
 * 64 bits and on those of 32, where a number has two parts. The latter are
 * imitated: a local_t has 32 bits here.
 */
#include <limits.h>

#include "scenarios.h"

#define NR_CPUS 3

/* ---- what stands in for the kernel ---- */

#define __percpu
#define for_each_possible_cpu(cpu) for ((cpu) = 0; (cpu) < NR_CPUS; (cpu)++)
#define per_cpu_ptr(pointer, cpu) (&(pointer)[cpu])
#define smp_processor_id() this_cpu
#define this_cpu_inc(counter) ((&(counter))[this_cpu * sizeof(struct kedr_calls) / sizeof(counter)]++)
#define preempt_disable() do { } while (0)
#define preempt_enable() do { } while (0)
#define smp_rmb() meanwhile()
#define alloc_percpu(type) ((type *)vzalloc(NR_CPUS * sizeof(type)))
#define free_percpu vfree
#define THIS_MODULE (&module)
#define MODULE_PARM_DESC(name, text) extern int unused_##name
#define module_param_cb(name, ops, place, mode)				\
	static struct kernel_param param_##name = { ops, place }

#if BITS_PER_LONG == 32
#undef LONG_MAX
#define LONG_MAX 0x7fffffff
#endif

struct kernel_param;

struct kernel_param_ops {
	int (*set)(const char *value, const struct kernel_param *param);
	int (*get)(char *buffer, const struct kernel_param *param);
};

struct kernel_param {
	const struct kernel_param_ops *ops;
	void *arg;
};

struct payload_module {
	struct kernel_param kp[4];
	unsigned int num_kp;
};

static struct payload_module module;
static unsigned int this_cpu;

typedef struct { unsigned int counter; } local_t;

static inline unsigned int local_read(const local_t *local)
{
	return local->counter;
}

static inline void local_inc(local_t *local)
{
	local->counter++;
}

static inline unsigned int local_inc_return(local_t *local)
{
	return ++local->counter;
}

static void (*interruption)(void);
static unsigned int reads_until_interruption;

/* What happens between two reads of a counter. */
static inline void meanwhile(void)
{
	if (reads_until_interruption && !--reads_until_interruption)
		interruption();
}

#include <kedr/calls.h>

KEDR_CALLS(first);
KEDR_CALLS(second);

static int other_set(const char *value, const struct kernel_param *param)
{
	(void)value;
	(void)param;
	return 0;
}

static const struct kernel_param_ops other_ops = { other_set, NULL };

/* Two counters, and a parameter that is none. */
static void load_payload(void)
{
	static int other = 5;

	module.kp[0] = param_first;
	module.kp[1].ops = &other_ops;
	module.kp[1].arg = &other;
	module.kp[2] = param_second;
	module.num_kp = 3;
	CHECK(!kedr_calls_init());
	CHECK(other == 5);
}

static unsigned long long read_param(const struct kernel_param *param)
{
	char text[64];

	CHECK(param->ops->get(text, param) == (int)strlen(text));
	CHECK(!kedr_calls_lock.held);
	return strtoull(text, NULL, 10);
}

static void count_on(unsigned int cpu, unsigned int nr)
{
	for (this_cpu = cpu; nr; nr--)
		kedr_calls_count(first);
}

/* ---- scenarios ---- */

static void all_processors_are_summed_for_each_event(void)
{
	load_payload();
	count_on(0, 3);
	count_on(1, 20);
	count_on(2, 100);
	kedr_calls_count(second);
	CHECK(read_param(&param_first) == 123);
	CHECK(read_param(&param_second) == 1);
	kedr_calls_exit();
}

static void before_and_after_its_time_a_counter_is_0(void)
{
	CHECK(read_param(&param_first) == 0);
	load_payload();
	count_on(1, 7);
	kedr_calls_exit();
	CHECK(read_param(&param_first) == 0);
}

static void a_counter_cannot_be_set(void)
{
	CHECK(param_first.ops->set("1", &param_first) == -EPERM);
}

static void without_memory_for_one_none_is_kept(void)
{
	unsigned int nr;

	for (nr = 1; nr <= 2; nr++) {
		module.kp[0] = param_first;
		module.kp[1] = param_second;
		module.num_kp = 2;
		failing_allocation = nr;
		CHECK(kedr_calls_init() == -ENOMEM);
		CHECK(!kedr_calls_first && !kedr_calls_second);
		CHECK(!held_allocations && !kedr_calls_lock.held);
	}
}

/* Sets what processor 1 has counted so far. */
static void set_count(unsigned long long count)
{
#if BITS_PER_LONG == 64
	kedr_calls_first[1].low = count;
#else
	kedr_calls_first[1].low.counter = (unsigned int)count;
	kedr_calls_first[1].halves.counter = (unsigned int)(count >> 31);
#endif
}

static void a_counter_goes_on_where_32_bits_end(void)
{
	static const unsigned long long ends[] = {
		0x7fffffff, 0xffffffff, 0x17fffffff, 0x1ffffffff,
		0x123456ffffffffULL,
	};
	size_t i;

	for (i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		load_payload();
		set_count(ends[i] - 1);
		count_on(0, 5);
		CHECK(read_param(&param_first) == ends[i] + 4);
		count_on(1, 1);
		CHECK(read_param(&param_first) == ends[i] + 5);
		count_on(1, 1);
		CHECK(read_param(&param_first) == ends[i] + 6);
		count_on(1, 1);
		CHECK(read_param(&param_first) == ends[i] + 7);
		kedr_calls_exit();
	}
}

static void count_once(void)
{
	count_on(1, 1);
}

/* The one before or the one after, but never anything else. */
static void a_reader_that_is_overtaken_sees_a_number_that_there_was(void)
{
	static const unsigned long long ends[] = { 0x7fffffff, 0xffffffff };
	unsigned int i, reads;

	for (i = 0; i < 2; i++)
		for (reads = 1; reads <= NR_CPUS; reads++) {
			unsigned long long seen;

			load_payload();
			set_count(ends[i]);
			interruption = count_once;
			reads_until_interruption = reads;
			seen = read_param(&param_first);
			CHECK(seen == ends[i] || seen == ends[i] + 1);
			reads_until_interruption = 0;
			kedr_calls_exit();
		}
}

/* The lower part has run over and the other one was not changed yet. */
static void a_reader_between_both_parts_sees_the_sum(void)
{
#if BITS_PER_LONG == 32
	static const unsigned long long ends[] = { 0x7fffffff, 0xffffffff };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		load_payload();
		set_count(ends[i]);
		kedr_calls_first[1].low.counter++;
		CHECK(read_param(&param_first) == ends[i] + 1);
		kedr_calls_first[1].low.counter++;
		CHECK(read_param(&param_first) == ends[i] + 2);
		kedr_calls_exit();
	}
#endif
}

static const struct scenario scenarios[] = {
	SCENARIO(all_processors_are_summed_for_each_event),
	SCENARIO(before_and_after_its_time_a_counter_is_0),
	SCENARIO(a_counter_cannot_be_set),
	SCENARIO(without_memory_for_one_none_is_kept),
	SCENARIO(a_counter_goes_on_where_32_bits_end),
	SCENARIO(a_reader_that_is_overtaken_sees_a_number_that_there_was),
	SCENARIO(a_reader_between_both_parts_sees_the_sum),
};

int main(int argc, char **argv)
{
	return run_scenario(scenarios, sizeof(scenarios) / sizeof(*scenarios),
			    argc > 1 ? argv[1] : NULL);
}
