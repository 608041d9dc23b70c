// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two things at the same moment, on two processors.
 *
 * One of the sides, by chance, starts a random time after the other one, at
 * most as long as some loads take. What may come out is said by check_state(): whoever
 * was first, nothing is held that is not used, and nothing is loaded without
 * having been patched.
 */
#include "torture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WATCHED TARGET
#define OTHERS "other_one,other_two"

enum action { LOAD_TARGET, UNLOAD_TARGET, LOAD_PAYLOAD, UNLOAD_PAYLOAD, LOAD_CONTROLLER, UNLOAD_CONTROLLER, RENAME };

/* A race: what is loaded before it, and its two sides. */
struct race {
	const char *name;
	bool controller, payload, target;
	enum action first, second;
};

static const struct race RACES[] = {
	{ "register_load", true, false, false, LOAD_PAYLOAD, LOAD_TARGET },
	{ "register_unload", true, false, true, LOAD_PAYLOAD, UNLOAD_TARGET },
	{ "unregister_load", true, true, false, UNLOAD_PAYLOAD, LOAD_TARGET },
	{ "unregister_unload", true, true, true, UNLOAD_PAYLOAD, UNLOAD_TARGET },
	{ "rename_load", true, true, false, RENAME, LOAD_TARGET },
	{ "rename_unload", true, true, true, RENAME, UNLOAD_TARGET },
	{ "start_load", false, false, false, LOAD_CONTROLLER, LOAD_TARGET },
	{ "start_unload", false, false, true, LOAD_CONTROLLER, UNLOAD_TARGET },
	{ "end_load", true, false, false, UNLOAD_CONTROLLER, LOAD_TARGET },
	{ "end_unload", true, false, true, UNLOAD_CONTROLLER, UNLOAD_TARGET },
	{ "end_register", true, false, false, UNLOAD_CONTROLLER, LOAD_PAYLOAD },
};

#define NR_RACES (sizeof(RACES) / sizeof(RACES[0]))

static const struct race *race;
static unsigned int window;	/* how far apart the sides may start, in microseconds */

static int act(enum action what)
{
	switch (what) {
	case LOAD_TARGET:
		return load(TARGET, "");
	case UNLOAD_TARGET:
		return unload(TARGET);
	case LOAD_PAYLOAD:
		return load(payloads[2], "");
	case UNLOAD_PAYLOAD:
		return unload(payloads[2]);
	case LOAD_CONTROLLER:
		return load(CONTROLLER, "target_name=" WATCHED);
	case UNLOAD_CONTROLLER:
		return unload(CONTROLLER);
	case RENAME:
		return set_targets(OTHERS);
	}
	return -EINVAL;
}

/* The second side: sleeps until a round is near, then spins until it starts, and a random time. */
static void second_side(unsigned int index)
{
	int round = 0;

	while (!shared->stop) {
		if (shared->near == round) {
			sleep_us(100);
			continue;
		}
		round = shared->near;
		shared->armed = round;
		while (shared->go != round)
			continue;
		spin_us(shared->delay[1]);
		shared->result[index] = act(race->second);
		shared->ready = round;
	}
}

static void run_sides(int round)
{
	shared->delay[0] = shared->delay[1] = 0;
	shared->delay[random_below(2)] = random_below(window);
	shared->near = round;
	while (shared->armed != round)
		sleep_us(50);
	shared->go = round;
	spin_us(shared->delay[0]);
	shared->result[0] = act(race->first);
	while (shared->ready != round)
		sleep_us(50);
}

static void prepare(void)
{
	if (race->controller)
		must_load(CONTROLLER, "target_name=" WATCHED);
	if (race->payload)
		must_load(payloads[2], "");
	if (race->target)
		must_load(TARGET, "");
}

static void clean_up(void)
{
	if (is_loaded(TARGET))
		must_unload(TARGET);
	if (is_loaded(payloads[2])) {
		if (references(payloads[2]))
			bad("%s: the payload is still held", race->name);
		must_unload(payloads[2]);
	}
	if (is_loaded(CONTROLLER))
		must_unload(CONTROLLER);
}

/* The ways to lose a race: refused because the other one is at it (busy, not there). */
static bool may_be(int result)
{
	return !result || result == -EBUSY || result == -EAGAIN || result == -ENOENT;
}

static void run_race(const struct race *which, long rounds)
{
	long won[2] = { 0, 0 }, both = 0;
	char name[64];
	long i;

	race = which;
	shared->near = shared->armed = shared->go = shared->ready = 0;
	start_worker(second_side, 1, 1);
	for (i = 1; i <= rounds && !shared->errors; i++) {
		prepare();
		run_sides(i);
		if (!may_be(shared->result[0]) || !may_be(shared->result[1]))
			bad("%s: results %d and %d", race->name, shared->result[0], shared->result[1]);
		check_state(race->name);
		clean_up();
		won[0] += !shared->result[0];
		won[1] += !shared->result[1];
		both += !shared->result[0] && !shared->result[1];
	}
	stop_workers();
	snprintf(name, sizeof(name), "%s_first", race->name);
	figure(name, won[0]);
	snprintf(name, sizeof(name), "%s_second", race->name);
	figure(name, won[1]);
	snprintf(name, sizeof(name), "%s_both", race->name);
	figure(name, both);
}

/* How long a load takes, with everything there. */
static unsigned int measure_load(void)
{
	long started;

	load_all(WATCHED);
	started = now_us();
	must_load(TARGET, "");
	started = now_us() - started;
	must_unload(TARGET);
	unload_all();
	return 3 * started;
}

void races(long rounds)
{
	unsigned int i;

	on_cpu(0);
	window = measure_load();
	figure("window_us", window);
	figure("rounds", rounds);
	for (i = 0; i < NR_RACES; i++)
		run_race(&RACES[i], rounds);
}
