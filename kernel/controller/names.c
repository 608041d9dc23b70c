// SPDX-License-Identifier: GPL-2.0-only
/*
 * The names of modules in the text of the parameter target_name.
 *
 * Locking: none is needed, there is no state.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/string.h>

#include "controller.h"

static bool is_separator(char c)
{
	return c == ',' || isspace(c);
}

static bool is_module_name(const char *name, size_t length)
{
	size_t i;

	if (!length || length >= MODULE_NAME_LEN)
		return false;
	for (i = 0; i < length; i++)
		if (!isascii(name[i]) ||
		    !(isalnum(name[i]) || name[i] == '_' || name[i] == '-'))
			return false;
	return true;
}

/*
 * Takes the next name out of @text. Returns its length, 0 at the end; *@name
 * points to its first character.
 */
static size_t next_name(const char **text, const char **name)
{
	const char *at = *text;

	while (is_separator(*at))
		at++;
	*name = at;
	while (*at && !is_separator(*at))
		at++;
	*text = at;
	return at - *name;
}

int kedr_names_check(const char *text)
{
	unsigned int nr = 0;
	const char *name;
	size_t length;

	while ((length = next_name(&text, &name))) {
		if (!is_module_name(name, length)) {
			pr_err("target_name: '%.*s' is not the name of a module; letters, digits, '_' and '-' are allowed, at most %u of them\n",
			       (int)min_t(size_t, length, 80), name,
			       (unsigned int)MODULE_NAME_LEN - 1);
			return -EINVAL;
		}
		if (++nr > KEDR_MAX_TARGETS) {
			pr_err("target_name: more than %d names\n",
			       KEDR_MAX_TARGETS);
			return -E2BIG;
		}
	}
	return 0;
}

bool kedr_names_next(const char **text, char name[MODULE_NAME_LEN])
{
	const char *found;
	size_t length = next_name(text, &found);
	size_t i;

	memset(name, 0, MODULE_NAME_LEN);
	for (i = 0; i < length; i++)
		name[i] = found[i] == '-' ? '_' : found[i];
	return length;
}
