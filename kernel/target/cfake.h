/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two parts of the sample target know of each other.
 */
#ifndef CFAKE_H
#define CFAKE_H

#include <linux/fs.h>
#include <linux/semaphore.h>

/**
 * struct cfake_device - one device
 * @semaphore: guards the other members
 * @data: the buffer, NULL before the first open
 * @buffer_size: its size in bytes
 * @block_size: the most that one read or write transfers, in bytes
 */
struct cfake_device {
	struct semaphore semaphore;
	unsigned char *data;
	unsigned int buffer_size;
	unsigned int block_size;
};

/* The device that a node leads to; cfake.c has it. */
struct cfake_device *cfake_device_of(const struct inode *inode);

/* cfake_file.c has them. */
extern const struct file_operations cfake_operations;

#endif /* CFAKE_H */
