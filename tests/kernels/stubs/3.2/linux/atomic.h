/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_3_2_LINUX_ATOMIC_H
#define STUB_3_2_LINUX_ATOMIC_H

#include <asm/atomic.h>

#endif
