/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs of named scenarios: without an argument their names are printed,
 * with a name that one is run. It ends with 1 at the first check that fails.
 */
#ifndef KEDR_SCENARIOS_H
#define KEDR_SCENARIOS_H

#include "stand_in.h"

#define CHECK(condition)						\
	do {								\
		if (!(condition)) {					\
			printf("line %d: %s does not hold\n", __LINE__,	\
			       #condition);				\
			exit(1);					\
		}							\
	} while (0)

/**
 * struct scenario - one of them
 * @name: its name, a sentence with underscores
 * @run: what it does
 */
struct scenario {
	const char *name;
	void (*run)(void);
};

#define SCENARIO(name) { #name, name }

static inline int run_scenario(const struct scenario *scenarios, size_t nr,
			       const char *name)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		if (!name)
			printf("%s\n", scenarios[i].name);
		else if (!strcmp(scenarios[i].name, name))
			break;
	}
	if (!name)
		return 0;
	if (i == nr)
		return 2;
	scenarios[i].run();
	CHECK(!held_allocations);
	return 0;
}

#endif /* KEDR_SCENARIOS_H */
