// SPDX-License-Identifier: GPL-2.0-only
/* Who loads the target is killed, by a signal at any moment or by the kernel for want of memory. */
#include "torture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define VICTIM_BYTES (64UL << 20)
#define STEP_BYTES (1UL << 20)
#define CGROUPS "/sys/fs/cgroup"
#define GROUP CGROUPS "/torture"
#define GROUP_LIMIT "67108864"

/* Loads from memory instead of from a file, the other way into the kernel. */
static int load_from_memory(const char *path)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	struct stat state;
	void *bytes;

	if (file < 0 || fstat(file, &state))
		return -errno;
	bytes = mmap(NULL, state.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	return syscall(SYS_init_module, bytes, state.st_size, "") ? -errno : 0;
}

static pid_t start_loader(bool from_memory)
{
	pid_t child = fork();

	if (child < 0)
		give_up("no process can be started: %s", strerror(errno));
	if (child)
		return child;
	on_cpu(1);
	shared->go = 1;
	_exit(-(from_memory ? load_from_memory(TARGET ".ko") : load(TARGET, "")));
}

/* Whether the loader finished or not: the target is whole or not there, and can be taken away. */
static bool check_after(const char *when)
{
	bool there = is_loaded(TARGET);

	check_state(when);
	if (there) {
		if (sites_of(TARGET) < 1)
			bad("%s: the target is loaded and has no sites", when);
		must_unload(TARGET);
	}
	return there;
}

static long measure(void)
{
	long started = now_us();

	must_load(TARGET, "");
	started = now_us() - started;
	must_unload(TARGET);
	return started;
}

void kills(long rounds)
{
	long i, window, killed = 0, loaded = 0;
	int status;

	on_cpu(0);
	load_all(TARGET);
	window = measure();
	for (i = 0; i < rounds && !shared->errors; i++) {
		pid_t loader;

		shared->go = 0;
		loader = start_loader(i % 2);
		while (!shared->go)
			sched_yield();
		spin_us(random_below(window + window / 4));
		kill(loader, SIGKILL);
		waitpid(loader, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status))
			bad("the loader failed: %s", strerror(WEXITSTATUS(status)));
		killed += WIFSIGNALED(status) != 0;
		loaded += check_after("killed");
	}
	unload_all();
	figure("rounds", i);
	figure("window_us", window);
	figure("killed", killed);
	figure("loaded", loaded);
}

/* ---- the kernel kills ---- */

static void *load_for_ever(void *unused)
{
	(void)unused;
	for (;;) {
		load(TARGET, "");
		__atomic_fetch_add(&shared->count[0], 1, __ATOMIC_SEQ_CST);
		unload(TARGET);
	}
	return NULL;
}

static void take_memory(size_t bytes)
{
	size_t at;

	for (at = 0; at < bytes; at += STEP_BYTES) {
		char *piece = mmap(NULL, STEP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (piece == MAP_FAILED)
			break;
		memset(piece, 'k', STEP_BYTES);
	}
}

/* Makes a control group with little memory. False if this kernel has none: the machine itself is not filled. */
static bool make_group(void)
{
	mount("cgroup2", CGROUPS, "cgroup2", 0, NULL);
	write_text(CGROUPS "/cgroup.subtree_control", "+memory");
	mkdir(GROUP, 0700);
	return !write_text(GROUP "/memory.max", GROUP_LIMIT);
}

/* Lets a thread load the target, then takes all memory of the group. */
static void fill_group(void)
{
	pthread_t thread;

	if (write_text(GROUP "/cgroup.procs", "0") || pthread_create(&thread, NULL, load_for_ever, NULL))
		_exit(3);
	shared->go = 1;
	for (;;) {
		take_memory(STEP_BYTES);
		sleep_us(random_below(20000));
	}
}

/* Lets a thread load the target, and is the one that the kernel would choose. */
static void be_chosen(void)
{
	pthread_t thread;

	write_text("/proc/self/oom_score_adj", "1000");
	take_memory(VICTIM_BYTES);
	if (pthread_create(&thread, NULL, load_for_ever, NULL))
		_exit(3);
	shared->go = 1;
	for (;;)
		sleep_us(1000);
}

/* Every second victim fills its group; for the others the kernel is asked to kill. */
static void oom_round(bool fill)
{
	pid_t victim;
	int status;

	shared->go = 0;
	victim = fork();
	if (victim < 0)
		give_up("no process can be started: %s", strerror(errno));
	if (!victim && fill)
		fill_group();
	if (!victim)
		be_chosen();
	while (!shared->go && !waitpid(victim, &status, WNOHANG))
		sleep_us(1000);
	if (!fill) {
		sleep_us(random_below(1000000));
		write_text("/proc/sysrq-trigger", "f");
	}
	waitpid(victim, &status, 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		bad("the loader ended with status 0x%x instead of being killed", status);
}

void ooms(long rounds)
{
	long i, loaded = 0, filled = 0;
	bool group = make_group();

	load_all(TARGET);
	for (i = 0; i < rounds && !shared->errors; i++) {
		bool fill = group && i % 2;

		oom_round(fill);
		filled += fill;
		loaded += check_after("out of memory");
	}
	unload_all();
	rmdir(GROUP);
	figure("rounds", i);
	figure("groups_filled", filled);
	figure("loads", shared->count[0]);
	figure("loaded", loaded);
}
