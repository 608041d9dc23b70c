/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_ASM_ATOMIC_H
#define STUB_COMMON_ASM_ATOMIC_H

#include <linux/types.h>

#define ATOMIC_INIT(i) { (i) }

static inline int atomic_read(const atomic_t *v)
{
	return *(volatile const int *)&v->counter;
}

void atomic_inc(atomic_t *v);
void atomic_dec(atomic_t *v);

#endif
