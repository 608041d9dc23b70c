/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the torture program know of each other.
 *
 * The program runs in a guest as root, in the directory of the modules. Each
 * scenario loads what it needs, tortures it, checks, unloads everything again
 * and ends with one line:
 *
 *	verdict NAME ok|bad FIGURE=NUMBER...
 *
 * after a line "bad REASON" for each of the first things that were wrong.
 */
#ifndef TORTURE_H
#define TORTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CONTROLLER "cp_controller"
#define TARGET "cp_target"
#define NR_PAYLOADS 3

extern const char *const payloads[NR_PAYLOADS];

/* ---- main.c: the verdict ---- */

/* Says that something is wrong; the scenario goes on and ends bad. */
__attribute__((format(printf, 1, 2))) void bad(const char *format, ...);
/* Adds a number to the figures of the verdict. */
void figure(const char *name, long value);
/* Says why nothing can be tried here and ends the program with status 2. */
__attribute__((format(printf, 1, 2), noreturn)) void give_up(const char *format, ...);

/* ---- files.c ---- */

/* Reads a whole file as text, without its end if it is longer. Returns its length or -errno. */
ssize_t read_text(const char *path, char *text, size_t room);
/* Returns 0 or -errno. */
int write_text(const char *path, const char *text);

/* ---- modules.c: loading and looking ---- */

/* Opens NAME.ko, or gives up. */
int open_module(const char *name);
/* Load an open file or NAME.ko with parameters; take a module away. Return 0 or -errno. */
int load_file(int file, const char *parameters);
int load(const char *name, const char *parameters);
int unload(const char *name);
/* The same, but a failure is bad. */
void must_load(const char *name, const char *parameters);
void must_unload(const char *name);
bool is_loaded(const char *name);
/* References to a module, -1 if it is not loaded. */
int references(const char *name);
/* The controller, watching @targets, and all payloads; and back. */
void load_all(const char *targets);
void unload_all(void);
int set_targets(const char *targets);
/* Sites that the report names for a target, -1 if it has no such target. */
int sites_of(const char *target);
/* Does the report name a function of this payload for a target? */
bool report_has(const char *target, unsigned int payload);
/* Do what is loaded, who is held and what the report says go together? */
void check_state(const char *when);

/* ---- workers.c: processes at the same time ---- */

#define MAX_WORKERS 8

/**
 * struct shared - what all processes see
 * @stop: workers end
 * @hold: exercisers leave the devices alone
 * @idle: exercisers that do so
 * @ops: requests that took the semaphore of a device
 * @from_user: copies from programs made by the target; @to_user: to them
 * @count: for a scenario's own use
 * @sites: that the report names for each of several targets
 * @errors: how often something was bad
 * @near, @armed, @go, @ready: the rounds of a race: announced, awaited by the second side, started, ended
 * @delay: how long the sides of a race wait, in microseconds
 * @result: what the two sides of a race returned
 */
struct shared {
	volatile int stop, hold;
	int idle;
	long ops, from_user, to_user;
	long count[MAX_WORKERS];
	int sites[MAX_WORKERS];
	int errors;
	volatile int near, armed, go, ready;
	unsigned int delay[2];
	int result[2];
};

extern struct shared *shared;

typedef void (*work)(unsigned int index);

void workers_init(void);
/* Starts a process on a processor. */
void start_worker(work what, unsigned int index, unsigned int cpu);
/* Tells all workers to stop and waits for them. */
void stop_workers(void);
void on_cpu(unsigned int cpu);
void sleep_us(unsigned int us);
void spin_us(unsigned int us);
unsigned int random_below(unsigned int limit);
/* Microseconds of a clock that only goes on. */
long now_us(void);

/* Works with /dev/cfake0 and /dev/cfake1 until it is stopped. */
void exerciser(unsigned int index);
/* Make the exercisers leave the devices alone; let them go on. */
void hold_exercisers(unsigned int nr);
void release_exercisers(void);
/* Unloads the target although it is used. Returns how often it was busy. */
long unload_busy(unsigned int nr_exercisers);

/* ---- counts.c: what was recorded and what was lost ---- */

/* Start counting events of the payloads; how many there were. */
void count_events(const char *const *events, unsigned int nr);
long counted(const char *event);
void check_count(const char *event, long expected);
void stop_counting(void);
/* Looks at the memory in use: twice, @times rounds apart; check_memory() looks once more after as many. */
void remember_memory(void);
/* Bad if a cache or the vmalloc areas grew by one every second time, both times. */
void check_memory(long times);

/* ---- the scenarios ---- */

void cycles(long nr);
void races(long rounds);
void kills(long rounds);
void ooms(long rounds);
void failing_init(long rounds);
void faults(long most);
void several(long rounds);
void readers(long rounds);
void toggles(long rounds);

#endif /* TORTURE_H */
