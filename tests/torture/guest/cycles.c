// SPDX-License-Identifier: GPL-2.0-only
/* Loading and unloading under load, and loads that fail. */
#include "torture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const EVENTS[] = {
	"called___kmalloc", "called_kfree", "called_copy_from_user", "called_copy_to_user",
	"called_down_interruptible", "called_up",
};

#define NR_EVENTS (sizeof(EVENTS) / sizeof(EVENTS[0]))
#define EXERCISERS 2
#define DEVICES 2
#define ENOUGH 50		/* rounds after which growth of memory means something */

static void start_exercisers(void)
{
	unsigned int i;

	for (i = 0; i < EXERCISERS; i++)
		start_worker(exerciser, i, i);
}

static void check_held(int expected)
{
	unsigned int i;

	for (i = 0; i < NR_PAYLOADS; i++)
		if (references(payloads[i]) != expected)
			bad("%s is held %d times, expected %d", payloads[i], references(payloads[i]), expected);
}

/* Everything that the target does was recorded: requests, copies, and memory that it took and gave back. */
static void check_counts(long kmallocs, long kfrees)
{
	check_count("called_down_interruptible", shared->ops);
	check_count("called_up", shared->ops);
	check_count("called_copy_from_user", shared->from_user);
	check_count("called_copy_to_user", shared->to_user);
	check_count("called___kmalloc", kmallocs);
	check_count("called_kfree", kfrees);
}

static void check_gone(void)
{
	static const char *const ours[] = { TARGET, "my_payload1", "my_payload2", "my_payload3", CONTROLLER };
	unsigned int i;

	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (is_loaded(ours[i]))
			bad("%s is still loaded", ours[i]);
}

/* Both processors work with the target before it goes. */
static void wait_for_exercisers(void)
{
	long before[EXERCISERS] = { shared->count[0], shared->count[1] };
	long end = now_us() + 20000000;
	int i;

	for (i = 0; i < EXERCISERS; i++)
		while (*(volatile long *)&shared->count[i] == before[i]) {
			if (now_us() > end) {
				bad("exerciser %d does not come to work", i);
				return;
			}
			sleep_us(200);
		}
}

/* Opens both devices for sure, so that the number of buffers is known, and lets the exercisers work. */
static void use_target(void)
{
	char path[32], byte;
	int i;

	for (i = 0; i < DEVICES; i++) {
		snprintf(path, sizeof(path), "/dev/cfake%d", i);
		if (read_text(path, &byte, 1) < 0)
			bad("%s cannot be opened", path);
		/* the open, and the read of nothing */
		__atomic_fetch_add(&shared->ops, 2, __ATOMIC_SEQ_CST);
	}
	wait_for_exercisers();
	sleep_us(random_below(5000));
}

static long cycle(int sites)
{
	must_load(TARGET, "");
	use_target();
	check_held(1);
	if (sites_of(TARGET) != sites)
		bad("%d sites, the first time %d", sites_of(TARGET), sites);
	return unload_busy(EXERCISERS);
}

static void look_at_memory(void)
{
	hold_exercisers(EXERCISERS);
	remember_memory();
	release_exercisers();
}

static int first_sites(void)
{
	int sites;

	must_load(TARGET, "");
	sites = sites_of(TARGET);
	must_unload(TARGET);
	if (sites < 1)
		bad("the report names no site");
	figure("sites", sites);
	return sites;
}

void cycles(long nr)
{
	long i, busy = 0, part = nr / 2;
	int sites;

	load_all(TARGET);
	sites = first_sites();
	count_events(EVENTS, NR_EVENTS);
	start_exercisers();
	for (i = 0; i < nr && !shared->errors; i++) {
		if (i == nr - 2 * part || i == nr - part)
			look_at_memory();
		busy += cycle(sites);
		check_held(0);
	}
	stop_workers();
	figure("cycles", i);
	figure("busy", busy);
	figure("opens0", shared->count[0]);
	figure("opens1", shared->count[1]);
	check_counts(i * (1 + DEVICES), i * (1 + DEVICES));
	if (i == nr && part >= ENOUGH)
		check_memory(part);
	stop_counting();
	unload_all();
	check_gone();
}

/* ---- init that fails ---- */

#define STEPS (4 + DEVICES)

static void fail_at(int step)
{
	char parameter[32];
	int err;

	snprintf(parameter, sizeof(parameter), "cfake_fail_at=%d", step);
	err = load(TARGET, parameter);
	if (err != -ENOMEM)
		bad("step %d: loading gave %d, expected %d", step, err, -ENOMEM);
	if (is_loaded(TARGET))
		bad("step %d: the target is loaded", step);
	check_held(0);
}

/* Parameters that the target, and that the kernel refuses: after the controller has patched. */
static void fail_early(void)
{
	int err = load(TARGET, "cfake_block_size=0");

	if (err != -EINVAL)
		bad("a wrong value: loading gave %d, expected %d", err, -EINVAL);
	err = load(TARGET, "cfake_block_size=word");
	if (err != -EINVAL)
		bad("a wrong type: loading gave %d, expected %d", err, -EINVAL);
	check_held(0);
}

/*
 * Allocations of init: one array from step 2 on. Releases: the array, and the
 * empty pointer of each node that was made: none at steps 1 to 4, one at 5, ...
 */
void failing_init(long rounds)
{
	long i, kmallocs = 0, kfrees = 0;
	int step;

	load_all(TARGET);
	count_events(EVENTS, NR_EVENTS);
	start_exercisers();
	for (i = 0; i < rounds && !shared->errors; i++) {
		for (step = 1; step <= STEPS; step++) {
			fail_at(step);
			kmallocs += step > 1;
			kfrees += (step > 1) + (step > 4 ? step - 4 : 0);
		}
		fail_early();
	}
	stop_workers();
	must_load(TARGET, "");
	must_unload(TARGET);
	figure("rounds", i);
	figure("failures", i * (STEPS + 2));
	check_counts(kmallocs + 1, kfrees + 1 + DEVICES);
	stop_counting();
	unload_all();
	check_gone();
}

/* ---- allocations that fail ---- */

static const char *const FAULTY[] = { CONTROLLER, "my_payload1", "my_payload2", "my_payload3", TARGET };

#define NR_FAULTY (sizeof(FAULTY) / sizeof(FAULTY[0]))

/* Loads with the nth allocation of this process failing. Returns false if there are not so many. */
static bool load_with_fault(const char *name, const char *parameters, long nth, int *err)
{
	/* opened before: opening a file allocates too */
	int faults = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	int file = open_module(name);
	char text[32] = "";

	snprintf(text, sizeof(text), "%ld", nth);
	if (faults < 0 || pwrite(faults, text, strlen(text), 0) < 0)
		give_up("this kernel cannot let allocations fail");
	*err = load_file(file, parameters);
	memset(text, 0, sizeof(text));
	if (pread(faults, text, sizeof(text) - 1, 0) <= 0 || pwrite(faults, "0", 1, 0) < 0)
		bad("%s: allocation %ld: the kernel does not say whether it failed", name, nth);
	close(file);
	close(faults);
	return strtol(text, NULL, 10) == 0;
}

/* Each allocation of one module's loading fails in turn, until none is left. The module is loaded at the end. */
static void fault_each(const char *name, const char *parameters, long most)
{
	long nth, failed = 0;
	int err = 0;
	bool hit = true;
	char label[64];

	for (nth = 1; hit && nth <= most && !shared->errors; nth++) {
		hit = load_with_fault(name, parameters, nth, &err);
		if (err && is_loaded(name))
			bad("%s: allocation %ld: error %d, and it is loaded", name, nth, err);
		if (!err && !is_loaded(name))
			bad("%s: allocation %ld: no error, and it is not loaded", name, nth);
		check_state(name);
		failed += err != 0;
		if (hit && !err)
			must_unload(name);
	}
	if (hit)
		bad("%s: more than %ld allocations", name, most);
	snprintf(label, sizeof(label), "%s_allocations", name);
	figure(label, nth - 2);
	snprintf(label, sizeof(label), "%s_failed", name);
	figure(label, failed);
	if (!failed)
		bad("%s: no allocation failed", name);
}

void faults(long most)
{
	static const char *const kinds[] = { "failslab", "fail_page_alloc" };
	char path[128];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/ignore-gfp-wait", kinds[i]);
		if (write_text(path, "N"))
			give_up("%s: this kernel cannot let allocations fail", path);
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/verbose", kinds[i]);
		write_text(path, "0");
	}
	write_text("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	write_text("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	for (i = 0; i < NR_FAULTY; i++)
		fault_each(FAULTY[i], i ? "" : "target_name=" TARGET, most);
	must_unload(TARGET);
	unload_all();
	check_gone();
}
