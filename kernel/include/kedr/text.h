/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Texts in records: how much of a text is read, and what stands for one that
 * is not there. Locking: none; everything here may be called in any context.
 */
#ifndef KEDR_TEXT_H
#define KEDR_TEXT_H

#include <linux/err.h>
#include <linux/string.h>
#include <linux/types.h>

/* No text is that low: the kernel maps nothing there. */
#define KEDR_TEXT_LOWEST 4096

static inline const char *__kedr_text(const void *text)
{
	if (!text)
		return "(null)";
	if (IS_ERR(text) || (unsigned long)text < KEDR_TEXT_LOWEST)
		return "(error)";
	return text;
}

/**
 * __kedr_text_size() - bytes that the copy of a text takes, with its NUL
 * @text: the text, of which at most @room - 1 bytes are read
 * @room: bytes that there is room for, at least 1
 */
static inline size_t __kedr_text_size(const void *text, size_t room)
{
	return strnlen(__kedr_text(text), room - 1) + 1;
}

/**
 * __kedr_text_copy() - copy a text, as far as there is room for it
 * @to: where to; gets a NUL at the end of the text
 * @room: bytes that @to has, at least 1
 * @text: the text; nothing is read behind its NUL, nor more than fits
 */
static inline void __kedr_text_copy(char *to, size_t room, const void *text)
{
	size_t size = __kedr_text_size(text, room);

	memcpy(to, __kedr_text(text), size - 1);
	to[size - 1] = '\0';
}

#endif /* KEDR_TEXT_H */
