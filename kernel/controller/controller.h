/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the controller know of each other. A part uses only parts
 * that stand before it here; main.c and payload.c use all of them.
 *
 * Data goes one way when a target module comes: registry -> lookup (a hash of
 * function addresses) -> area (where the text is) -> search (list of sites)
 * -> patch (write the sites) -> report (text for sysfs, with the names that
 * symbol finds). target.c has each of them do its part. What differs between
 * architectures is behind arch.h.
 *
 * Locking: kedr_lock, a mutex in target.c, guards the registered payloads, the
 * watched targets and their reports. It is taken where others come in: by the
 * notifier and the parameter (main.c), payloads (payload.c) and readers of the
 * report (sysfs.c). Every function declared here is called with it held unless
 * its comment says otherwise. It is taken inside the kernel's own locks (module
 * notifier chain, parameter lock, sysfs file) and no such lock is taken inside
 * it.
 */
#ifndef KEDR_CONTROLLER_H
#define KEDR_CONTROLLER_H

#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include <kedr/payload.h>

#include "arch.h"

#define KEDR_MAX_TARGETS 32

/* ---- lookup.c: from the address of a function to its replacement ---- */

/**
 * struct kedr_function - a function to be replaced
 * @name: its symbol name; belongs to the payload
 * @address: where it is
 * @replacement: what to call instead
 * @nr_sites: number of sites found, by &enum kedr_insn_kind
 * @nr_noinstr: how many of them are in code that must not be instrumented
 * @nr_static_calls: trampolines of static calls that lead to it, no sites
 * @to: how the report names @replacement; NULL until it is asked for
 */
struct kedr_function {
	const char *name;
	unsigned long address;
	unsigned long replacement;
	unsigned int nr_sites[KEDR_NR_INSN_KINDS];
	unsigned int nr_noinstr;
	unsigned int nr_static_calls;
	char *to;
};

/**
 * struct kedr_slot - one place of the hash
 * @address: destination of a call; 0 in an empty slot
 * @function: index of the function that is reached
 */
struct kedr_slot {
	unsigned long address;
	unsigned int function;
};

/**
 * struct kedr_lookup - the functions to be replaced and a hash over them
 * @functions: the functions, in the order of registration
 * @nr: their number
 * @slots: the hash: open addressing with linear probing
 * @used: one bit for each slot, set if it is not empty: small enough to stay
 *	in the processor's cache when the slots do not
 * @bits: the hash has 2^@bits slots, at least 8
 */
struct kedr_lookup {
	struct kedr_function *functions;
	unsigned int nr;
	struct kedr_slot *slots;
	unsigned char *used;
	unsigned int bits;
};

/* Allocates for @nr functions. Returns 0 or -ENOMEM. */
int kedr_lookup_init(struct kedr_lookup *lookup, unsigned int nr);
/* Adds a function; at most as many as were announced. */
void kedr_lookup_add(struct kedr_lookup *lookup,
		     const struct kedr_function *function);
/* Returns the function reached by a branch to @address, or NULL. */
struct kedr_function *kedr_lookup_find(const struct kedr_lookup *lookup,
				       unsigned long address);
void kedr_lookup_destroy(struct kedr_lookup *lookup);

/* ---- names.c: the names in the text of the parameter ---- */

/* 0, or -EINVAL or -E2BIG, logged, if something in it is not the name of a module. */
int kedr_names_check(const char *text);
/* Takes the next one out, with underscores as the kernel has. False: no more. */
bool kedr_names_next(const char **text, char name[MODULE_NAME_LEN]);

/* ---- presence.c: what is loaded ---- */

enum kedr_presence {
	KEDR_ABSENT,
	KEDR_LOADED,
	KEDR_BUILT_IN,
};

/* What is there under the name of a module? Called with or without kedr_lock. */
enum kedr_presence kedr_presence(const char *name);

/* ---- registry.c: the registered payloads ---- */

/**
 * struct kedr_held - modules of payloads that must stay loaded
 * @mods: the modules; NULL if none are held
 * @nr: their number
 */
struct kedr_held {
	struct module **mods;
	unsigned int nr;
};

/* 0, or -EINVAL, logged, if it is incomplete. Called without kedr_lock. */
int kedr_registry_check(const struct kedr_payload *payload);
/* Adds a complete one, behind the others. 0 or -EEXIST, logged. */
int kedr_registry_add(struct kedr_payload *payload);
/* Removes it if it is there. */
void kedr_registry_remove(struct kedr_payload *payload);
/* Fills an empty @lookup with all functions of all payloads. 0 or -ENOMEM. */
int kedr_registry_functions(struct kedr_lookup *lookup);
/* Holds the modules of all payloads for a target. 0 or an error, logged. */
int kedr_registry_hold(struct kedr_held *held, const char *target);
void kedr_registry_release(struct kedr_held *held);

/* ---- area.c: where the text of a module is ---- */

enum kedr_area_kind {
	KEDR_AREA_CORE,
	KEDR_AREA_INIT,
	KEDR_NR_AREAS,
};

/**
 * struct kedr_range - a piece of an area
 * @from: offset of its first byte in the area
 * @to: offset of the byte after its last one; equal to @from if it is empty
 */
struct kedr_range {
	unsigned long from;
	unsigned long to;
};

/**
 * struct kedr_area - one piece of a module's text
 * @name: "core" or "init"
 * @base: address of its first byte; 0 if there is no such text
 * @size: its size in bytes, gaps and padding at the end included
 * @starts: sorted addresses of functions and sections inside it
 * @nr_starts: their number
 * @trampolines: where its static calls have their trampolines
 * @noinstr_text: code that must not be instrumented
 * @scanned: bytes of instructions decoded, without the gaps
 */
struct kedr_area {
	const char *name;
	unsigned long base;
	unsigned long size;
	unsigned long *starts;
	unsigned int nr_starts;
	struct kedr_range trampolines;
	struct kedr_range noinstr_text;
	unsigned long scanned;
};

/* Fills both areas for a module that is being loaded. 0 or -ENOMEM. */
int kedr_areas_init(struct kedr_area areas[KEDR_NR_AREAS], struct module *mod);
void kedr_areas_destroy(struct kedr_area areas[KEDR_NR_AREAS]);

/* ---- search.c: where the functions are called ---- */

/**
 * struct kedr_site - a direct branch to a function that is replaced
 * @function: index of the function
 * @insn_at: offset of the instruction in its area
 * @field_at: offset of the instruction's field in its area
 * @old: value of the field that was found
 * @new: value that is wanted
 * @area: one of &enum kedr_area_kind
 * @kind: KEDR_INSN_CALL, KEDR_INSN_JMP or KEDR_INSN_JCC
 * @written: the new value is in place
 */
struct kedr_site {
	unsigned int function;
	u32 insn_at;
	u32 field_at;
	u32 old;
	u32 new;
	unsigned char area;
	unsigned char kind;
	bool written;
};

/**
 * struct kedr_sites - all sites found in a module
 * @site: the sites, ordered by area and offset
 * @nr: their number
 * @room: number of sites that fit
 */
struct kedr_sites {
	struct kedr_site *site;
	unsigned int nr;
	unsigned int room;
};

/* Decodes @kind's area and appends its sites. 0 or an error, logged. */
int kedr_search(const char *module, struct kedr_area *area,
		enum kedr_area_kind kind, const struct kedr_lookup *lookup,
		struct kedr_sites *sites);
void kedr_sites_destroy(struct kedr_sites *sites);
/* "call", "jmp" or "jcc" for a kind of site. */
const char *kedr_kind_name(unsigned int kind);

/* ---- patch.c: writing ---- */

/* Writes all sites, or none of them. 0 or an error, logged. */
int kedr_patch(const char *module, struct kedr_area areas[KEDR_NR_AREAS],
	       struct kedr_sites *sites);

/* ---- symbol.c: what the kernel calls an address ---- */

/*
 * Writes "NAME+0xOFFSET MODULE", with "-" for a MODULE that is the kernel
 * itself, or "0xADDRESS -" where nothing has a name. Returns its length.
 */
size_t kedr_symbol_print(char *text, size_t room, unsigned long address);

/* ---- report.c: what was done, as text ---- */

/**
 * struct kedr_report - what was done to one target, as text
 * @text: the lines; NULL if there is no report
 * @length: their length in bytes
 * @room: what was reserved, in bytes
 */
struct kedr_report {
	char *text;
	size_t length;
	size_t room;
};

/*
 * Reserves memory for the report of a target and finds the names of the
 * replacements. Returns 0 or -ENOMEM.
 */
int kedr_report_reserve(struct kedr_report *report, const char *module,
			const struct kedr_sites *sites,
			struct kedr_lookup *lookup);
/* Writes it into that memory, with the destinations that the text now has. */
void kedr_report_write(struct kedr_report *report, const char *module,
		       const struct kedr_area areas[KEDR_NR_AREAS],
		       const struct kedr_sites *sites,
		       const struct kedr_lookup *lookup, u64 nanoseconds);
void kedr_report_destroy(struct kedr_report *report);

/* ---- target.c: the watched modules ---- */

/* Guards the payloads, the targets and their reports. */
extern struct mutex kedr_lock;

/* True while a watched module is loaded, or is refused and not gone yet. */
bool kedr_target_loaded(void);
/* How many loaded targets have gone so far. */
unsigned long kedr_target_departures(void);
/* Returns the report with this index, NULL after the last one. */
const struct kedr_report *kedr_target_report(unsigned int index);
/* Handle a module notifier's event. Errors end the load. */
int kedr_target_coming(struct module *mod);
void kedr_target_live(struct module *mod);
void kedr_target_going(struct module *mod);
/* Set from and print to the text of the parameter. */
int kedr_target_set_names(const char *text);
int kedr_target_get_names(char *buffer, size_t size);
/* -EBUSY or -EINVAL, logged, if a watched module can no longer be patched. */
int kedr_target_check_absent(void);
/* Release whatever is still held. */
void kedr_target_exit(void);

/* ---- sysfs.c: the file with the reports ---- */

/* Create and remove /sys/kernel/kedr/report. Called without kedr_lock. */
int kedr_sysfs_init(void);
void kedr_sysfs_exit(void);

#endif /* KEDR_CONTROLLER_H */
