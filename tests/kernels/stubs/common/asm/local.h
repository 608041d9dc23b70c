/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_ASM_LOCAL_H
#define STUB_COMMON_ASM_LOCAL_H

typedef struct { volatile long counter; } local_t;

#define local_read(l) ((l)->counter)

static inline void local_inc(local_t *l)
{
	l->counter++;
}

static inline long local_inc_return(local_t *l)
{
	return ++l->counter;
}

#endif
