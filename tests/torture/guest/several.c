// SPDX-License-Identifier: GPL-2.0-only
/* Several targets at once, and those who look at and change what the controller and the tracer show. */
#include "torture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ALL TARGET ",zram,loop,dummy"

static const char *const targets[] = { TARGET, "zram", "loop", "dummy" };

#define NR_TARGETS (sizeof(targets) / sizeof(targets[0]))

static long wanted;

/* Makes a target work a little; what it answers does not matter here. */
static void touch(unsigned int index)
{
	static const char *const places[] = {
		"/dev/cfake0", "/sys/block/zram0/disksize", "/sys/block/loop0/size", "/sys/class/net/dummy0/address",
	};
	char text[64];

	if (index == 1)
		write_text(places[index], "1048576");
	read_text(places[index], text, sizeof(text));
}

/* Loads and unloads one target; its sites must be the same each time, whatever the others do. */
static void come_and_go(unsigned int index)
{
	const char *name = targets[index];
	int first = 0, sites, err;
	long i;

	for (i = 0; i < wanted && !shared->errors; i++) {
		err = load(name, "");
		if (err) {
			bad("%s was not loaded: %s", name, strerror(-err));
			break;
		}
		sites = sites_of(name);
		if (!i)
			first = sites;
		if (sites < 0 || sites != first)
			bad("%s: %d sites, the first time %d", name, sites, first);
		touch(index);
		while ((err = unload(name)) == -EAGAIN)
			sleep_us(500);
		if (err)
			bad("%s was not unloaded: %s", name, strerror(-err));
		shared->count[index]++;
	}
	shared->sites[index] = first;
}

/* Sets the names all the time: refused while a target is loaded, else without effect. */
static void rename_often(unsigned int index)
{
	while (!shared->stop) {
		int err = set_targets(ALL);

		if (err && err != -EBUSY)
			bad("the names cannot be set: %s", strerror(-err));
		shared->count[index] += err == -EBUSY;
		sleep_us(random_below(3000));
	}
}

void several(long rounds)
{
	unsigned int i;
	char label[64];

	wanted = rounds;
	load_all(ALL);
	for (i = 0; i < NR_TARGETS; i++)
		start_worker(come_and_go, i, i % 2);
	start_worker(rename_often, NR_TARGETS, 1);
	for (i = 0; i < NR_TARGETS; i++)
		while (*(volatile long *)&shared->count[i] < rounds && !shared->errors)
			sleep_us(10000);
	stop_workers();
	for (i = 0; i < NR_TARGETS; i++) {
		snprintf(label, sizeof(label), "%s_loads", targets[i]);
		figure(label, shared->count[i]);
		snprintf(label, sizeof(label), "%s_sites", targets[i]);
		figure(label, shared->sites[i]);
		if (is_loaded(targets[i]))
			bad("%s is still loaded", targets[i]);
	}
	figure("rename_refused", shared->count[NR_TARGETS]);
	unload_all();
}

/* ---- readers ---- */

#define REPORT "/sys/kernel/kedr/report"
#define PARAMETER "/sys/module/" CONTROLLER "/parameters/target_name"

/*
 * Reads the report in pieces of many sizes. What comes from its start is the
 * start of a report, and all of it is text. The controller may go meanwhile.
 */
static void read_report(unsigned int index)
{
	char piece[4096];
	ssize_t got;
	size_t i;

	while (!shared->stop) {
		int file = open(REPORT, O_RDONLY | O_CLOEXEC);
		off_t at = 0;

		if (file < 0) {
			sleep_us(500);
			continue;
		}
		while ((got = pread(file, piece, 32 + random_below(sizeof(piece) - 32), at)) > 0) {
			if (!at && memcmp(piece, "target ", 7))
				bad("the report begins with '%.20s'", piece);
			for (i = 0; i < (size_t)got; i++)
				if (piece[i] != '\n' && (piece[i] < ' ' || piece[i] > '~'))
					bad("the report holds byte 0x%x", (unsigned char)piece[i]);
			at += got;
		}
		if (got < 0 && errno != ENODEV)
			bad("the report cannot be read: %s", strerror(errno));
		close(file);
		shared->count[index] += at > 0;
		sleep_us(random_below(1000));
	}
}

/* Sets and reads the names, right ones and wrong ones. */
static void change_names(unsigned int index)
{
	static const char *const names[] = { TARGET, TARGET ",other", "other", "\n", "../evil" };
	char text[256];

	while (!shared->stop) {
		int err = set_targets(names[random_below(5)]);
		ssize_t got = read_text(PARAMETER, text, sizeof(text));

		if (err && err != -EBUSY && err != -EINVAL && err != -ENOENT && err != -ENODEV)
			bad("the names cannot be set: %s", strerror(-err));
		if (got > 0 && strcmp(text, TARGET "\n") && strcmp(text, TARGET ",other\n") && strcmp(text, "other\n") &&
		    strcmp(text, "\n"))
			bad("the names are '%s'", text);
		shared->count[index] += err == 0;
		sleep_us(random_below(3000));
	}
}

void readers(long rounds)
{
	long i, watched = 0;

	start_worker(read_report, 0, 0);
	start_worker(change_names, 1, 1);
	for (i = 0; i < rounds && !shared->errors; i++) {
		if (i % 4 == 0)
			load_all(TARGET);
		must_load(TARGET, "");
		check_state("read and renamed");
		watched += sites_of(TARGET) > 0;
		must_unload(TARGET);
		if (i % 4 == 3)
			unload_all();
	}
	if (i % 4)
		unload_all();
	stop_workers();
	figure("rounds", i);
	figure("watched", watched);
	figure("reports_read", shared->count[0]);
	figure("names_set", shared->count[1]);
}

/* ---- events go on and off, records are read, payloads go ---- */

#define INSTANCE "/sys/kernel/tracing/instances/torture-called_up"

static void toggle_events(unsigned int index)
{
	while (!shared->stop) {
		write_text(INSTANCE "/events/my_payload3/enable", shared->count[index] % 2 ? "0" : "1");
		shared->count[index]++;
		sleep_us(random_below(20000));
	}
}

static void read_records(unsigned int index)
{
	static char text[8192];

	while (!shared->stop) {
		ssize_t got = read_text(INSTANCE "/trace", text, sizeof(text));

		shared->count[index] += got > 0 && strstr(text, "called_") != NULL;
		sleep_us(random_below(20000));
	}
}

void toggles(long rounds)
{
	static const char *const events[] = { "called_up" };
	long i;

	load_all(TARGET);
	count_events(events, 1);
	start_worker(exerciser, 0, 0);
	start_worker(exerciser, 1, 1);
	start_worker(toggle_events, 2, 0);
	start_worker(read_records, 3, 1);
	for (i = 0; i < rounds && !shared->errors; i++) {
		must_load(TARGET, "");
		check_state("toggled");
		sleep_us(random_below(20000));
		unload_busy(2);
		must_unload(payloads[2]);
		must_load(payloads[2], "");
	}
	stop_workers();
	stop_counting();
	unload_all();
	figure("rounds", i);
	figure("opens", shared->count[0] + shared->count[1]);
	figure("toggles", shared->count[2]);
	figure("traces_with_records", shared->count[3]);
}
