// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tries the control requests and seeks of a cfake device.
 *
 *   cfake_exercise DEVICE [ROUNDS]
 *
 * Prints one line for each check, "check NAME ok" or "check NAME bad DETAIL".
 * Needs CAP_SYS_ADMIN. Exit status: 0 if all checks are ok, 1 if one is bad,
 * 2 if the device cannot be used at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cfake_ioctl.h"

#define MAX_BUFFER (1024 * 1024)
#define DEFAULT_ROUNDS 20

static int device;
static uint32_t buffer_size;
static int all_ok = 1;

__attribute__((format(printf, 2, 3)))
static void bad(const char *name, const char *format, ...)
{
	va_list arguments;

	all_ok = 0;
	printf("check %s bad ", name);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

static void ok(const char *name)
{
	printf("check %s ok\n", name);
}

/* Reads the byte at a position. Returns it, or -1. */
static int byte_at(off_t position)
{
	unsigned char byte;

	if (pread(device, &byte, 1, position) != 1)
		return -1;
	return byte;
}

/* Checks that the first and the last byte of the buffer are as expected. */
static void expect_bytes(const char *name, int first, int last)
{
	int is_first = byte_at(0);
	int is_last = byte_at(buffer_size - 1);

	if (is_first == first && is_last == last)
		ok(name);
	else
		bad(name, "bytes %d and %d, expected %d and %d", is_first,
		    is_last, first, last);
}

/* Checks that a request fails with an error. */
static void expect_error(const char *name, unsigned long request,
			 void *argument, int error)
{
	int result = ioctl(device, request, argument);
	int seen = result ? errno : 0;

	if (seen == error)
		ok(name);
	else
		bad(name, "result %d (%s), expected %s", result,
		    strerror(seen), strerror(error));
}

static void check_reset(void)
{
	if (ioctl(device, CFAKE_RESET))
		bad("reset", "%s", strerror(errno));
	else
		expect_bytes("reset", 0, 0);
}

static void check_fill(void)
{
	uint8_t byte = 0xa5;

	if (ioctl(device, CFAKE_FILL, &byte))
		bad("fill", "%s", strerror(errno));
	else
		expect_bytes("fill", byte, byte);
}

static void check_firmware(void)
{
	static const char bytes[] = "firmware";
	struct cfake_firmware firmware = {
		.data = (uintptr_t)bytes,
		.size = sizeof(bytes) - 1,
	};
	char back[sizeof(bytes)] = "";

	if (ioctl(device, CFAKE_LOAD_FIRMWARE, &firmware)) {
		bad("firmware", "%s", strerror(errno));
		return;
	}
	if (pread(device, back, firmware.size, 0) != (ssize_t)firmware.size ||
	    memcmp(back, bytes, firmware.size))
		bad("firmware", "what is read back differs");
	else
		ok("firmware");

	firmware.size = buffer_size + 1;
	expect_error("firmware_too_long", CFAKE_LOAD_FIRMWARE, &firmware,
		     EINVAL);
}

/* A block of 7 bytes limits a read to 7 bytes; then the old one is set. */
static void check_block_size(void)
{
	uint32_t value = 7, wrong = 0;
	char block[16];
	ssize_t got;

	if (buffer_size < sizeof(block)) {
		bad("block_size", "the buffer has only %u bytes", buffer_size);
		return;
	}
	if (ioctl(device, CFAKE_SWAP_BLOCK_SIZE, &value)) {
		bad("block_size", "%s", strerror(errno));
		return;
	}
	got = pread(device, block, sizeof(block), 0);
	if (ioctl(device, CFAKE_SWAP_BLOCK_SIZE, &value) || value != 7)
		bad("block_size", "swapping back gave %u", value);
	else if (got != 7)
		bad("block_size", "read %zd bytes, expected 7", got);
	else
		ok("block_size");
	expect_error("block_size_zero", CFAKE_SWAP_BLOCK_SIZE, &wrong, EINVAL);
}

static void expect_seek(const char *name, off_t offset, int whence,
			off_t position)
{
	off_t result = lseek(device, offset, whence);

	if (result == position)
		ok(name);
	else
		bad(name, "position %lld, expected %lld", (long long)result,
		    (long long)position);
}

static void check_seeks(void)
{
	char byte;

	expect_seek("seek_set", 5, SEEK_SET, 5);
	expect_seek("seek_cur", 3, SEEK_CUR, 8);
	expect_seek("seek_before_start", -9, SEEK_CUR, -1);
	expect_seek("seek_after_end", 1, SEEK_END, -1);
	expect_seek("seek_end", 0, SEEK_END, buffer_size);
	if (read(device, &byte, 1))
		bad("end_of_file", "a byte was read after the end");
	else
		ok("end_of_file");
	if (write(device, "x", 1) == -1 && errno == ENOSPC)
		ok("no_space");
	else
		bad("no_space", "a byte was written after the end");
}

/* Many requests in a row; only the first failure is printed. */
static void check_spin(int rounds)
{
	uint32_t size;
	uint8_t byte;
	int i;

	for (i = 0; i < rounds; i++) {
		byte = (uint8_t)i;
		if (ioctl(device, CFAKE_RESET) ||
		    ioctl(device, CFAKE_FILL, &byte) ||
		    ioctl(device, CFAKE_GET_BUFFER_SIZE, &size) ||
		    size != buffer_size || byte_at(0) != byte ||
		    lseek(device, i % buffer_size, SEEK_SET) < 0) {
			bad("spin", "round %d: %s", i, strerror(errno));
			return;
		}
	}
	ok("spin");
}

static void run_checks(int rounds)
{
	ok("buffer_size");
	check_reset();
	check_fill();
	check_firmware();
	check_block_size();
	check_seeks();
	expect_error("unknown_request", _IO(CFAKE_MAGIC, 99), NULL, ENOTTY);
	expect_error("bad_address", CFAKE_FILL, NULL, EFAULT);
	check_spin(rounds);
	check_reset();
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : DEFAULT_ROUNDS;

	if (argc < 2 || argc > 3 || rounds < 1) {
		fprintf(stderr, "usage: cfake_exercise DEVICE [ROUNDS]\n");
		return 2;
	}
	device = open(argv[1], O_RDWR);
	if (device < 0) {
		bad("open", "%s: %s", argv[1], strerror(errno));
		return 2;
	}
	if (ioctl(device, CFAKE_GET_BUFFER_SIZE, &buffer_size) ||
	    !buffer_size || buffer_size > MAX_BUFFER) {
		bad("buffer_size", "%s: %s", argv[1], strerror(errno));
		return 2;
	}
	run_checks(rounds);
	close(device);
	return all_ok ? 0 : 1;
}
