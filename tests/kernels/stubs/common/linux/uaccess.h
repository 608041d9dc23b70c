/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_UACCESS_H
#define STUB_COMMON_LINUX_UACCESS_H

#include <asm/uaccess.h>

#endif
