/* SPDX-License-Identifier: GPL-2.0-only */
/* What all shapes of asm/uaccess.h have in common. */
#ifndef STUB_COMMON_STUB_UACCESS_H
#define STUB_COMMON_STUB_UACCESS_H

#include <linux/types.h>

#define get_user(x, ptr) ({ (x) = *(ptr); 0; })
#define put_user(x, ptr) ({ *(ptr) = (x); 0; })

#endif
