// SPDX-License-Identifier: GPL-2.0-only
/* Loading modules, and what the kernel and the controller say about them. */
#include "torture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REPORT "/sys/kernel/kedr/report"
#define PARAMETER "/sys/module/" CONTROLLER "/parameters/target_name"
#define ROOM 262144

const char *const payloads[NR_PAYLOADS] = { "my_payload1", "my_payload2", "my_payload3" };

/* A function of each payload, as the report names it: the start of the name. */
static const char *const functions[NR_PAYLOADS] = { "kfree", "_copy_from_user", "down_interruptible" };

int open_module(const char *name)
{
	char path[128];
	int file;

	snprintf(path, sizeof(path), "%s.ko", name);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		give_up("%s: %s", path, strerror(errno));
	return file;
}

int load_file(int file, const char *parameters)
{
	return syscall(SYS_finit_module, file, parameters, 0) ? -errno : 0;
}

int load(const char *name, const char *parameters)
{
	int file = open_module(name);
	int err = load_file(file, parameters);

	close(file);
	return err;
}

int unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

void must_load(const char *name, const char *parameters)
{
	int err = load(name, parameters);

	if (err)
		bad("%s was not loaded: %s", name, strerror(-err));
}

void must_unload(const char *name)
{
	int err = unload(name);

	if (err)
		bad("%s was not unloaded: %s", name, strerror(-err));
}

int references(const char *name)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
	return read_text(path, text, sizeof(text)) > 0 ? atoi(text) : -1;
}

bool is_loaded(const char *name)
{
	return references(name) >= 0;
}

void load_all(const char *targets)
{
	char parameter[256];
	unsigned int i;

	snprintf(parameter, sizeof(parameter), "target_name=%s", targets);
	must_load(CONTROLLER, parameter);
	for (i = 0; i < NR_PAYLOADS; i++)
		must_load(payloads[i], "");
}

void unload_all(void)
{
	int i;

	for (i = NR_PAYLOADS - 1; i >= 0; i--)
		must_unload(payloads[i]);
	must_unload(CONTROLLER);
}

int set_targets(const char *targets)
{
	return write_text(PARAMETER, targets);
}

/* Points to the part of the report that is about a target, and ends it there. */
static char *section(char *report, const char *target)
{
	char head[128], *start, *end;

	if (read_text(REPORT, report, ROOM) < 0)
		return NULL;
	snprintf(head, sizeof(head), "target %s\n", target);
	start = strstr(report, head);
	if (!start)
		return NULL;
	start += strlen(head);
	end = strstr(start, "\ntarget ");
	if (end)
		end[1] = '\0';
	return start;
}

int sites_of(const char *target)
{
	static char report[ROOM];
	char *at = section(report, target);
	int nr = 0;

	if (!at)
		return -1;
	for (at = strstr(at, "\nsite "); at; at = strstr(at + 1, "\nsite "))
		nr++;
	return nr;
}

bool report_has(const char *target, unsigned int payload)
{
	static char report[ROOM];
	const char *at = section(report, target);
	char line[64];

	snprintf(line, sizeof(line), "\nfunction %s ", functions[payload]);
	return at && strstr(at, line);
}

/*
 * A payload is held exactly while a target is loaded that calls it; a payload
 * that is loaded together with a watched target is in that target's report.
 */
void check_state(const char *when)
{
	bool target = is_loaded(TARGET);
	unsigned int i;

	for (i = 0; i < NR_PAYLOADS; i++) {
		int held = references(payloads[i]);
		bool used = target && report_has(TARGET, i);

		if (held > 0 && !used)
			bad("%s: %s is held %d times and no loaded target uses it", when, payloads[i], held);
		if (used && held != 1)
			bad("%s: the target uses %s, which is held %d times", when, payloads[i], held);
		if (target && held >= 0 && !used && sites_of(TARGET) >= 0)
			bad("%s: the watched target was loaded without %s", when, payloads[i]);
	}
}
