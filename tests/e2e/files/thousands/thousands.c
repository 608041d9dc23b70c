// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>

#include <kedr/calls.h>

#define TEN(x)								\
	KEDR_CALLS(x##0); KEDR_CALLS(x##1); KEDR_CALLS(x##2);		\
	KEDR_CALLS(x##3); KEDR_CALLS(x##4); KEDR_CALLS(x##5);		\
	KEDR_CALLS(x##6); KEDR_CALLS(x##7); KEDR_CALLS(x##8);		\
	KEDR_CALLS(x##9)
#define HUNDRED(x)							\
	TEN(x##0); TEN(x##1); TEN(x##2); TEN(x##3); TEN(x##4);		\
	TEN(x##5); TEN(x##6); TEN(x##7); TEN(x##8); TEN(x##9)
#define THOUSAND(x)							\
	HUNDRED(x##0); HUNDRED(x##1); HUNDRED(x##2); HUNDRED(x##3);	\
	HUNDRED(x##4); HUNDRED(x##5); HUNDRED(x##6); HUNDRED(x##7);	\
	HUNDRED(x##8); HUNDRED(x##9)

THOUSAND(called_0);
THOUSAND(called_1);

static int __init thousands_init(void)
{
	int err = kedr_calls_init();
	int i;

	if (err)
		return err;
	kedr_calls_count(called_0000);
	for (i = 0; i < 1999; i++)
		kedr_calls_count(called_1999);
	return 0;
}

static void __exit thousands_exit(void)
{
	kedr_calls_exit();
}

module_init(thousands_init);
module_exit(thousands_exit);
MODULE_DESCRIPTION("Has the counters of a payload with two thousand functions");
MODULE_LICENSE("GPL");
