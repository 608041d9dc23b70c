// SPDX-License-Identifier: GPL-2.0-only
/*
 * A payload for the functions of list.h, which says F(symbol) for each: its
 * replacements do nothing but jump to what they replace, so that any number
 * of functions can be intercepted without knowing their prototypes.
 *
 * Locking: none is needed, there is no state.
 */

#include <linux/kernel.h>
#include <linux/module.h>

#include <kedr/payload.h>

#define F(symbol)							\
	asm(".pushsection .text\n"					\
	    ".type bench_" #symbol ", @function\n"			\
	    "bench_" #symbol ":\n"					\
	    "	jmp " #symbol "\n"					\
	    ".size bench_" #symbol ", . - bench_" #symbol "\n"		\
	    ".popsection");						\
	extern const char bench_##symbol[];				\
	extern const char target_##symbol[] asm(#symbol);
#include "list.h"
#undef F

#define F(symbol) (void *)target_##symbol,
static void * const targets[] = {
#include "list.h"
};
#undef F

#define F(symbol) (void *)bench_##symbol,
static void * const replacements[] = {
#include "list.h"
};
#undef F

#define F(symbol) #symbol,
static const char * const names[] = {
#include "list.h"
};
#undef F

static struct kedr_payload payload = {
	.mod = THIS_MODULE,
	.nr = ARRAY_SIZE(targets),
	.targets = targets,
	.replacements = replacements,
	.names = names,
};

static int __init many_init(void)
{
	return kedr_payload_register(&payload);
}

static void __exit many_exit(void)
{
	kedr_payload_unregister(&payload);
}

module_init(many_init);
module_exit(many_exit);

MODULE_DESCRIPTION("Intercepts many functions and does nothing with them");
MODULE_AUTHOR("The kedr.lab authors");
MODULE_LICENSE("GPL");
