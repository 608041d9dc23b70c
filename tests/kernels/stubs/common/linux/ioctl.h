/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_IOCTL_H
#define STUB_COMMON_LINUX_IOCTL_H

#define STUB_IOC(dir, type, nr, size) \
	(((dir) << 30) | ((type) << 8) | (nr) | ((size) << 16))
#define _IO(type, nr) STUB_IOC(0U, type, nr, 0)
#define _IOR(type, nr, size) STUB_IOC(2U, type, nr, sizeof(size))
#define _IOW(type, nr, size) STUB_IOC(1U, type, nr, sizeof(size))
#define _IOWR(type, nr, size) STUB_IOC(3U, type, nr, sizeof(size))

#endif
