/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface between the controller (cp_controller) and payload modules.
 */
#ifndef KEDR_PAYLOAD_H
#define KEDR_PAYLOAD_H

#include <linux/list.h>

#include <kedr/config.h>

struct module;

/*
 * The size that the functions behind copy_from_user() and copy_to_user() take:
 * for long an unsigned int on x86_64.
 */
#if defined(KEDR_HAVE_COPY_SIZE_INT) || defined(KEDR_HAVE_COPY_SIZE_INT_DIRECT)
typedef unsigned int kedr_copy_size_t;
#else
typedef unsigned long kedr_copy_size_t;
#endif

/**
 * struct kedr_payload - a set of functions to be replaced in target modules
 * @mod: the payload module itself (THIS_MODULE)
 * @nr: number of entries in each of the three arrays below, at least 1
 * @targets: addresses of the functions whose calls are to be intercepted
 * @replacements: addresses of the functions to call instead
 * @names: symbol names of the functions in @targets, used in messages and
 *	in the report
 * @list: belongs to the controller; needs no initialization
 *
 * The structure and the arrays must stay valid and unchanged from
 * kedr_payload_register() to kedr_payload_unregister().
 */
struct kedr_payload {
	struct module *mod;
	unsigned int nr;
	void * const *targets;
	void * const *replacements;
	const char * const *names;
	struct list_head list;
};

/**
 * kedr_payload_register() - make the replacements known to the controller
 * @payload: the description, see &struct kedr_payload
 *
 * Call it as the last step of the payload's init function. May sleep.
 *
 * Return: 0; -EBUSY while a watched target module is loaded; -EEXIST if this
 * payload is registered already or if another payload replaces one of the
 * functions; -EINVAL if the description is incomplete.
 */
int kedr_payload_register(struct kedr_payload *payload);

/**
 * kedr_payload_unregister() - take back kedr_payload_register()
 * @payload: the description passed to kedr_payload_register()
 *
 * Does nothing if the payload is not registered. May sleep. Call it from the
 * payload's exit function before anything is freed that replacements use: it
 * ends when no thread runs in a replacement any more. It does not wait for a
 * thread that sleeps in a function which a replacement has called.
 */
void kedr_payload_unregister(struct kedr_payload *payload);

/**
 * kedr_target_module_in_init() - is the init function of a target running?
 *
 * May be called in atomic context.
 *
 * Return: 1 from the moment a watched target module is about to be
 * initialized until its init function has returned, 0 otherwise.
 */
int kedr_target_module_in_init(void);

#endif /* KEDR_PAYLOAD_H */
