// SPDX-License-Identifier: GPL-2.0-only
/*
 * The watched modules, and what happens to them while they are loaded.
 *
 * Locking: all of it is guarded by kedr_lock, which the callers hold. The only
 * exception is targets_in_init, an atomic counter, so that payloads can ask in
 * any context.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/hrtimer.h>
#include <linux/string.h>

#include <kedr/config.h>
#ifdef KEDR_HAVE_LINUX_ATOMIC
#include <linux/atomic.h>
#else
#include <asm/atomic.h>
#endif

#include "controller.h"

/**
 * struct target - a watched module
 * @name: its name, with underscores
 * @mod: the module while it is loaded, else NULL
 * @refused: the module while its init is replaced and it is not gone, or NULL
 * @in_init: its init function is running or about to run
 * @held: the payload modules that are held while it is loaded
 * @report: what was done when it was loaded last
 */
struct target {
	char name[MODULE_NAME_LEN];
	struct module *mod;
	struct module *refused;
	bool in_init;
	struct kedr_held held;
	struct kedr_report report;
};

/* What it guards is said in controller.h. */
DEFINE_MUTEX(kedr_lock);

static struct target targets[KEDR_MAX_TARGETS];
static unsigned int nr_targets;

static unsigned long departures;

static atomic_t targets_in_init = ATOMIC_INIT(0);

int kedr_target_module_in_init(void)
{
	return atomic_read(&targets_in_init) > 0;
}
EXPORT_SYMBOL_GPL(kedr_target_module_in_init);

static struct target *find_by_name(const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_targets; i++)
		if (!strcmp(targets[i].name, name))
			return &targets[i];
	return NULL;
}

static struct target *find_by_module(const struct module *mod)
{
	unsigned int i;

	for (i = 0; i < nr_targets; i++)
		if (targets[i].mod == mod)
			return &targets[i];
	return NULL;
}

bool kedr_target_loaded(void)
{
	unsigned int i;

	for (i = 0; i < nr_targets; i++)
		if (targets[i].mod || targets[i].refused)
			return true;
	return false;
}

unsigned long kedr_target_departures(void)
{
	return departures;
}

const struct kedr_report *kedr_target_report(unsigned int index)
{
	return index < nr_targets ? &targets[index].report : NULL;
}

/* ---- a module that must not be loaded ---- */

#ifdef KEDR_HAVE_NOTIFIER_VETO

/* The kernel gives up the load by itself when it gets the error. */
static void block_load(struct target *target, struct module *mod)
{
}

#else

static int refusing_init(void)
{
	return -ENOEXEC;
}

/*
 * The kernel would go on whatever a notifier answers, so the module gets an
 * init function that fails. The controller must stay until it has run, which
 * it cannot promise before its own init has ended or when it is unloaded.
 */
static void block_load(struct target *target, struct module *mod)
{
	if (THIS_MODULE->state != MODULE_STATE_LIVE ||
	    !try_module_get(THIS_MODULE))
		return;
	mod->init = refusing_init;
	target->refused = mod;
}

#endif

static void forget_refusal(struct target *target)
{
	if (!target->refused)
		return;
	target->refused = NULL;
	module_put(THIS_MODULE);
}

/* ---- a target comes and goes ---- */

static int search_all(struct target *target,
		      struct kedr_area areas[KEDR_NR_AREAS],
		      const struct kedr_lookup *lookup,
		      struct kedr_sites *sites)
{
	int err, kind;

	for (kind = 0; kind < KEDR_NR_AREAS; kind++) {
		err = kedr_search(target->name, &areas[kind], kind, lookup,
				  sites);
		if (err)
			return err;
	}
	return 0;
}

/*
 * Everything is found and allocated before anything is written: once the text
 * is written nothing can fail any more.
 */
static int search_and_patch(struct target *target,
			    struct kedr_area areas[KEDR_NR_AREAS],
			    struct kedr_lookup *lookup,
			    struct kedr_sites *sites)
{
	ktime_t start = ktime_get();
	int err;

	err = search_all(target, areas, lookup, sites);
	if (err)
		return err;
	err = kedr_report_reserve(&target->report, target->name, sites, lookup);
	if (err)
		return err;
	err = kedr_patch(target->name, areas, sites);
	if (err) {
		kedr_report_destroy(&target->report);
		return err;
	}
	kedr_report_write(&target->report, target->name, areas, sites, lookup,
			  ktime_to_ns(ktime_sub(ktime_get(), start)));
	pr_info("%s: %u call sites of %u functions replaced\n", target->name,
		sites->nr, lookup->nr);
	return 0;
}

static int process_module(struct target *target, struct module *mod)
{
	struct kedr_area areas[KEDR_NR_AREAS];
	struct kedr_lookup lookup;
	struct kedr_sites sites = { };
	int err;

	err = kedr_registry_functions(&lookup);
	if (err)
		return err;
	err = kedr_areas_init(areas, mod);
	if (err)
		goto out_lookup;
	err = search_and_patch(target, areas, &lookup, &sites);
	kedr_sites_destroy(&sites);
	kedr_areas_destroy(areas);
out_lookup:
	kedr_lookup_destroy(&lookup);
	return err;
}

static void leave_init(struct target *target)
{
	if (target->in_init)
		atomic_dec(&targets_in_init);
	target->in_init = false;
}

static void forget_module(struct target *target)
{
	leave_init(target);
	kedr_registry_release(&target->held);
	if (target->mod)
		departures++;
	target->mod = NULL;
}

static int prepare_module(struct target *target, struct module *mod)
{
	int err = kedr_registry_hold(&target->held, target->name);

	if (err)
		return err;
	err = process_module(target, mod);
	if (err)
		kedr_registry_release(&target->held);
	return err;
}

/*
 * If this fails, the kernel may give up loading the module without announcing
 * that it goes, so everything is released here.
 */
int kedr_target_coming(struct module *mod)
{
	struct target *target = find_by_name(mod->name);
	int err;

	if (!target)
		return 0;
	if (target->mod)
		forget_module(target);
	kedr_report_destroy(&target->report);
	err = prepare_module(target, mod);
	if (err) {
		pr_err("%s: not loaded, error %d\n", target->name, err);
		block_load(target, mod);
		return err;
	}
	target->mod = mod;
	target->in_init = true;
	atomic_inc(&targets_in_init);
	return 0;
}

void kedr_target_live(struct module *mod)
{
	struct target *target = find_by_module(mod);

	if (target)
		leave_init(target);
	else if (find_by_name(mod->name))
		pr_err("%s: was loaded without being patched: its calls are not seen\n",
		       mod->name);
}

void kedr_target_going(struct module *mod)
{
	struct target *target = find_by_module(mod);

	if (target)
		forget_module(target);
	target = find_by_name(mod->name);
	if (target && target->refused == mod)
		forget_refusal(target);
}

/* ---- the parameter ---- */

static int check_absent(const char *name)
{
	switch (kedr_presence(name)) {
	case KEDR_LOADED:
		pr_err("target_name: %s is loaded already, so it cannot be patched; unload it first\n",
		       name);
		return -EBUSY;
	case KEDR_BUILT_IN:
		pr_err("target_name: %s is built into the kernel, so it cannot be patched\n",
		       name);
		return -EINVAL;
	default:
		return 0;
	}
}

static int check_all_absent(const char *text)
{
	char name[MODULE_NAME_LEN];
	int err = 0;

	while (!err && kedr_names_next(&text, name))
		err = check_absent(name);
	return err;
}

int kedr_target_check_absent(void)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < nr_targets; i++)
		if (!targets[i].mod)
			err = check_absent(targets[i].name);
	return err;
}

static void add_name(const char name[MODULE_NAME_LEN])
{
	struct target *target = &targets[nr_targets];

	if (find_by_name(name))
		return;
	memset(target, 0, sizeof(*target));
	memcpy(target->name, name, sizeof(target->name));
	nr_targets++;
}

static void drop_targets(void)
{
	unsigned int i;

	for (i = 0; i < nr_targets; i++) {
		forget_module(&targets[i]);
		kedr_report_destroy(&targets[i].report);
	}
	nr_targets = 0;
}

int kedr_target_set_names(const char *text)
{
	char name[MODULE_NAME_LEN];
	int err;

	if (!text) {
		pr_err("target_name: a value is missing\n");
		return -EINVAL;
	}
	if (kedr_target_loaded()) {
		pr_err("target_name: cannot change while a target module is loaded\n");
		return -EBUSY;
	}
	err = kedr_names_check(text);
	if (!err)
		err = check_all_absent(text);
	if (err)
		return err;
	drop_targets();
	while (kedr_names_next(&text, name))
		add_name(name);
	return 0;
}

int kedr_target_get_names(char *buffer, size_t size)
{
	unsigned int i;
	int at = 0;

	for (i = 0; i < nr_targets; i++)
		at += scnprintf(buffer + at, size - at, "%s%s", i ? "," : "",
				targets[i].name);
	at += scnprintf(buffer + at, size - at, "\n");
	return at;
}

void kedr_target_exit(void)
{
	drop_targets();
}
