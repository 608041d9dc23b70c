// SPDX-License-Identifier: GPL-2.0-only
/* Processes that work at the same time, and the one that works with the target's devices. */
#define _GNU_SOURCE
#include "torture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cfake_ioctl.h"

#define PATIENCE 20		/* tries to unload before the exercisers must wait */
#define ADD(counter, n) __atomic_fetch_add(&shared->counter, n, __ATOMIC_SEQ_CST)

struct shared *shared;

static pid_t workers[MAX_WORKERS];
static unsigned int nr_workers;

void workers_init(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		give_up("two processors are needed");
	/* who opens a node without a driver would start a modprobe for it */
	write_text("/proc/sys/kernel/modprobe", "\n");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		give_up("mmap: %s", strerror(errno));
}

void on_cpu(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		give_up("processor %u: %s", cpu, strerror(errno));
}

long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

void sleep_us(unsigned int us)
{
	struct timespec time = { us / 1000000, us % 1000000 * 1000L };

	nanosleep(&time, NULL);
}

void spin_us(unsigned int us)
{
	long end = now_us() + us;

	while (now_us() < end)
		continue;
}

/* Another sequence in each process and each run would be hard to repeat: the seed is the process's number. */
unsigned int random_below(unsigned int limit)
{
	static unsigned int state;

	if (!state)
		state = 2463534242u ^ (unsigned int)getpid();
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return limit ? state % limit : 0;
}

void start_worker(work what, unsigned int index, unsigned int cpu)
{
	pid_t child = fork();

	if (child < 0 || nr_workers == MAX_WORKERS)
		give_up("no process can be started");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		on_cpu(cpu);
		what(index);
		exit(0);
	}
	workers[nr_workers++] = child;
}

void stop_workers(void)
{
	int status;

	shared->stop = 1;
	while (nr_workers) {
		waitpid(workers[--nr_workers], &status, 0);
		if (status)
			bad("a worker ended with status 0x%x", status);
	}
	shared->stop = 0;
}

/* ---- exercising the target ---- */

static void count_op(bool good, const char *what)
{
	if (good)
		ADD(ops, 1);
	else
		bad("%s: %s", what, strerror(errno));
}

static void write_and_read(int device)
{
	char bytes[40];

	memset(bytes, 'k', sizeof(bytes));
	count_op(lseek(device, 0, SEEK_SET) == 0, "seek");
	count_op(write(device, bytes, sizeof(bytes)) == sizeof(bytes), "write");
	ADD(from_user, 1);
	count_op(lseek(device, 0, SEEK_SET) == 0, "seek");
	count_op(read(device, bytes, sizeof(bytes)) == sizeof(bytes), "read");
	ADD(to_user, 1);
}

static void control(int device)
{
	static const char bytes[] = "torture";
	struct cfake_firmware firmware = { .data = (uintptr_t)bytes, .size = sizeof(bytes) };
	uint8_t byte = 0x5a;
	uint32_t size;

	count_op(!ioctl(device, CFAKE_RESET), "reset");
	count_op(!ioctl(device, CFAKE_FILL, &byte), "fill");
	count_op(!ioctl(device, CFAKE_GET_BUFFER_SIZE, &size), "size");
	count_op(!ioctl(device, CFAKE_LOAD_FIRMWARE, &firmware), "firmware");
	ADD(from_user, 2);
}

/* One opening of a device: true if there was one. */
static bool use_device(unsigned int number)
{
	char path[32];
	int device;

	snprintf(path, sizeof(path), "/dev/cfake%u", number);
	device = open(path, O_RDWR | O_CLOEXEC);
	if (device < 0)
		return false;
	ADD(ops, 1);
	write_and_read(device);
	control(device);
	close(device);
	return true;
}

void exerciser(unsigned int index)
{
	while (!shared->stop) {
		if (shared->hold) {
			ADD(idle, 1);
			while (shared->hold && !shared->stop)
				sleep_us(200);
			ADD(idle, -1);
			continue;
		}
		if (use_device((index + random_below(2)) % 2))
			ADD(count[index], 1);
		sleep_us(random_below(1500));
	}
}

void hold_exercisers(unsigned int nr)
{
	shared->hold = 1;
	while ((unsigned int)__atomic_load_n(&shared->idle, __ATOMIC_SEQ_CST) < nr)
		sleep_us(100);
}

void release_exercisers(void)
{
	shared->hold = 0;
	while (__atomic_load_n(&shared->idle, __ATOMIC_SEQ_CST))
		sleep_us(100);
}

long unload_busy(unsigned int nr_exercisers)
{
	long busy = 0;
	int err;

	while ((err = unload(TARGET)) == -EAGAIN && busy < 100 * PATIENCE) {
		if (++busy == PATIENCE)
			hold_exercisers(nr_exercisers);
		sleep_us(100);
	}
	if (err)
		bad("the target was not unloaded: %s", strerror(-err));
	if (shared->hold)
		release_exercisers();
	return busy;
}
