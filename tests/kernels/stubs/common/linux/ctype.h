/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STUB_COMMON_LINUX_CTYPE_H
#define STUB_COMMON_LINUX_CTYPE_H

int isspace(int c);
int isalnum(int c);
#define isascii(c) (((unsigned char)(c)) <= 0x7f)

#endif
