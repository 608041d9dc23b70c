/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Control requests of the sample character device cfake, for the driver and
 * for programs. The layouts are the same for 32-bit and 64-bit programs.
 */
#ifndef CFAKE_IOCTL_H
#define CFAKE_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct cfake_firmware - what CFAKE_LOAD_FIRMWARE copies into the buffer
 * @data: address of the bytes in the program
 * @size: their number, 1 to the size of the buffer
 * @reserved: must be 0
 */
struct cfake_firmware {
	__u64 data;
	__u32 size;
	__u32 reserved;
};

#define CFAKE_MAGIC 0xcf

/* Fill the buffer with zero bytes. */
#define CFAKE_RESET		_IO(CFAKE_MAGIC, 0)
/* Fill the buffer with a byte. */
#define CFAKE_FILL		_IOW(CFAKE_MAGIC, 1, __u8)
/* Copy "firmware" to the start of the buffer; needs CAP_SYS_ADMIN. */
#define CFAKE_LOAD_FIRMWARE	_IOW(CFAKE_MAGIC, 2, struct cfake_firmware)
/* Read the size of the buffer. */
#define CFAKE_GET_BUFFER_SIZE	_IOR(CFAKE_MAGIC, 3, __u32)
/* Set the block size, 1 to the size of the buffer; the old one is returned. */
#define CFAKE_SWAP_BLOCK_SIZE	_IOWR(CFAKE_MAGIC, 4, __u32)

#endif /* CFAKE_IOCTL_H */
