// SPDX-License-Identifier: GPL-2.0-only
/*
 * What was recorded, and what was lost.
 *
 * Each event that is counted gets a trace instance of its own. Its buffer is
 * small and overwrites what is old: the kernel counts what it holds, what it
 * has overwritten and what it has dropped, and only these numbers are used.
 */
#include "torture.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRACEFS "/sys/kernel/tracing"
#define MAX_EVENTS 8
#define MAX_CACHES 1024

static const char *const *counted_events;
static unsigned int nr_counted;

/* The payload whose system an event belongs to. */
static int enable_event(const char *event)
{
	char path[256];
	unsigned int i;

	for (i = 0; i < NR_PAYLOADS; i++) {
		snprintf(path, sizeof(path), TRACEFS "/instances/torture-%s/events/%s/%s/enable", event,
			 payloads[i], event);
		if (!write_text(path, "1"))
			return 0;
	}
	return -ENOENT;
}

void count_events(const char *const *events, unsigned int nr)
{
	char path[256];
	unsigned int i;

	if (access(TRACEFS "/instances", F_OK) && mount("tracefs", TRACEFS, "tracefs", 0, NULL))
		give_up("tracefs cannot be mounted: %s", strerror(errno));
	counted_events = events;
	nr_counted = nr;
	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), TRACEFS "/instances/torture-%s", events[i]);
		if (mkdir(path, 0700) && errno != EEXIST)
			give_up("%s: %s", path, strerror(errno));
		snprintf(path, sizeof(path), TRACEFS "/instances/torture-%s/buffer_size_kb", events[i]);
		if (write_text(path, "8") || enable_event(events[i]))
			bad("event %s cannot be counted", events[i]);
	}
}

void stop_counting(void)
{
	char path[256];
	unsigned int i;

	for (i = 0; i < nr_counted; i++) {
		snprintf(path, sizeof(path), TRACEFS "/instances/torture-%s", counted_events[i]);
		if (rmdir(path))
			bad("%s cannot be removed: %s", path, strerror(errno));
	}
	nr_counted = 0;
}

static long number_after(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? atol(at + strlen(name)) : 0;
}

long counted(const char *event)
{
	char path[256], text[1024];
	long sum = 0;
	int cpu;

	for (cpu = 0; cpu < 64; cpu++) {
		snprintf(path, sizeof(path), TRACEFS "/instances/torture-%s/per_cpu/cpu%d/stats", event, cpu);
		if (read_text(path, text, sizeof(text)) <= 0)
			break;
		sum += number_after(text, "entries: ") + number_after(text, "\noverrun: ");
		if (number_after(text, "commit overrun: ") || number_after(text, "dropped events: "))
			bad("%s: processor %d lost records", event, cpu);
	}
	return sum;
}

void check_count(const char *event, long expected)
{
	long recorded = counted(event);

	if (recorded != expected)
		bad("%s: %ld recorded, %ld made", event, recorded, expected);
	figure(event, recorded);
}

/* ---- memory ---- */

struct cache {
	char name[64];
	long objects;
};

/* What the kernel held at one moment. */
struct memory {
	struct cache caches[MAX_CACHES];
	unsigned int nr_caches;
	long vmalloc_areas;
};

static struct memory memories[3];
static unsigned int nr_memories;

/* Empties what the kernel keeps for later, so that only what is used is counted. */
static void settle(void)
{
	DIR *directory = opendir("/sys/kernel/slab");
	struct dirent *entry;
	char path[512];

	sync();
	write_text("/proc/sys/vm/drop_caches", "3");
	sleep_us(300000);
	while (directory && (entry = readdir(directory))) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", entry->d_name);
		write_text(path, "1");
	}
	if (directory)
		closedir(directory);
}

static unsigned int read_caches(struct cache *into)
{
	static char text[524288];
	unsigned int nr = 0;
	char *line, *rest = text;

	read_text("/proc/slabinfo", text, sizeof(text));
	while ((line = strsep(&rest, "\n")) && nr < MAX_CACHES)
		if (*line != '#' && sscanf(line, "%63s %ld", into[nr].name, &into[nr].objects) == 2)
			nr++;
	return nr;
}

/* Areas that are freed already and wait to be unmapped do not count. */
static long read_areas(void)
{
	static char text[1048576];
	char *line, *rest = text;
	long nr = 0;

	read_text("/proc/vmallocinfo", text, sizeof(text));
	while ((line = strsep(&rest, "\n")))
		nr += *line && !strstr(line, "unpurged");
	return nr;
}

void remember_memory(void)
{
	struct memory *memory = &memories[nr_memories++];

	settle();
	memory->nr_caches = read_caches(memory->caches);
	memory->vmalloc_areas = read_areas();
	if (!memory->nr_caches || !memory->vmalloc_areas)
		give_up("/proc/slabinfo or /proc/vmallocinfo cannot be read");
}

static long objects_of(const struct memory *memory, const char *name)
{
	unsigned int i;

	for (i = 0; i < memory->nr_caches; i++)
		if (!strcmp(memory->caches[i].name, name))
			return memory->caches[i].objects;
	return 0;
}

/* What grew by the same step twice is lost; what grew once was put aside by the kernel. */
static long lower(long a, long b)
{
	return a < b ? a : b;
}

void check_memory(long times)
{
	const struct memory *first = &memories[0], *second = &memories[1], *last = &memories[2];
	long grew, most = 0;
	unsigned int i;

	remember_memory();
	for (i = 0; i < last->nr_caches; i++) {
		const char *name = last->caches[i].name;
		long middle = objects_of(second, name);

		grew = lower(middle - objects_of(first, name), last->caches[i].objects - middle);
		if (2 * grew >= times)
			bad("cache %s grew by %ld objects in %ld rounds, twice", name, grew, times);
		if (grew > most)
			most = grew;
	}
	grew = lower(second->vmalloc_areas - first->vmalloc_areas, last->vmalloc_areas - second->vmalloc_areas);
	if (2 * grew >= times)
		bad("%ld vmalloc areas more after %ld rounds, twice", grew, times);
	figure("slab_growth", most);
	figure("vmalloc_growth", grew);
}
