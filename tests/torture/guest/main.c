// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tortures the controller, the payloads and the target. See torture.h.
 *
 *	torture SCENARIO ROUNDS
 *
 * Exit status: 0 if the verdict is ok, 1 if it is bad, 2 if nothing was tried.
 */
#include "torture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TOLD 20

struct scenario {
	const char *name;
	void (*run)(long rounds);
};

static const struct scenario SCENARIOS[] = {
	{ "cycles", cycles },
	{ "races", races },
	{ "kills", kills },
	{ "ooms", ooms },
	{ "failing_init", failing_init },
	{ "faults", faults },
	{ "several", several },
	{ "readers", readers },
	{ "toggles", toggles },
};

static char figures[4096];

void bad(const char *format, ...)
{
	va_list arguments;

	if (__atomic_fetch_add(&shared->errors, 1, __ATOMIC_SEQ_CST) >= MOST_TOLD)
		return;
	va_start(arguments, format);
	printf("bad ");
	vprintf(format, arguments);
	putchar('\n');
	va_end(arguments);
	fflush(stdout);
}

void give_up(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "torture: ");
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(2);
}

void figure(const char *name, long value)
{
	size_t at = strlen(figures);

	snprintf(figures + at, sizeof(figures) - at, " %s=%ld", name, value);
}

int main(int argc, char **argv)
{
	long rounds = argc == 3 ? atol(argv[2]) : 0;
	unsigned int i;

	for (i = 0; argc == 3 && i < sizeof(SCENARIOS) / sizeof(SCENARIOS[0]); i++) {
		if (strcmp(argv[1], SCENARIOS[i].name) || rounds < 1)
			continue;
		workers_init();
		SCENARIOS[i].run(rounds);
		printf("verdict %s %s%s\n", argv[1], shared->errors ? "bad" : "ok", figures);
		return shared->errors != 0;
	}
	fprintf(stderr, "usage: torture SCENARIO ROUNDS\n");
	return 2;
}
