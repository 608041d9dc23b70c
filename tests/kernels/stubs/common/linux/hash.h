/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_HASH_H
#define STUB_COMMON_LINUX_HASH_H

unsigned long hash_long(unsigned long val, unsigned int bits);

#endif
