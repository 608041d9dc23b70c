/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_STRING_H
#define STUB_COMMON_LINUX_STRING_H

#include <linux/types.h>

void *memset(void *to, int byte, size_t size);
void *memcpy(void *to, const void *from, size_t size);
int memcmp(const void *one, const void *other, size_t size);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t most);
int strcmp(const char *one, const char *other);
int strncmp(const char *one, const char *other, size_t size);
size_t strcspn(const char *text, const char *reject);
char *strchr(const char *text, int byte);

#endif
