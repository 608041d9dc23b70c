// SPDX-License-Identifier: GPL-2.0-only
/* Is there an operation that counts on this processor, wherever that is? */
#include <linux/module.h>
#include <linux/percpu.h>

void kedr_probe(unsigned long __percpu *counter);

void kedr_probe(unsigned long __percpu *counter)
{
	this_cpu_inc(*counter);
}

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
