/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_LOG2_H
#define STUB_COMMON_LINUX_LOG2_H

int ilog2(unsigned long n);
unsigned long roundup_pow_of_two(unsigned long n);
#define order_base_2(n) ilog2(roundup_pow_of_two(n))

#endif
