// SPDX-License-Identifier: GPL-2.0-only
/* Small files of the kernel: one read, one write. */
#include "torture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

ssize_t read_text(const char *path, char *text, size_t room)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got;

	text[0] = '\0';
	if (file < 0)
		return -errno;
	do {
		got = read(file, text + length, room - 1 - length);
		if (got > 0)
			length += got;
	} while (got > 0 && length < room - 1);
	got = got < 0 ? -errno : (ssize_t)length;
	text[length] = '\0';
	close(file);
	return got;
}

int write_text(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	int err = 0;

	if (file < 0)
		return -errno;
	if (write(file, text, strlen(text)) < 0)
		err = -errno;
	close(file);
	return err;
}
