/* SPDX-License-Identifier: GPL-2.0-only */
/* No pr_warn(), no vzalloc(), no %*ph: what both 2.6.31 and later have. */
#ifndef STUB_COMMON_LINUX_KERNEL_H
#define STUB_COMMON_LINUX_KERNEL_H

#include <linux/errno.h>
#include <linux/types.h>

#define LONG_MAX ((long)(~0UL >> 1))
#define INT_MAX ((int)(~0U >> 1))
#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - __builtin_offsetof(type, member)))
#define min(x, y) ({			\
	typeof(x) _x = (x);		\
	typeof(y) _y = (y);		\
	(void)(&_x == &_y);		\
	_x < _y ? _x : _y; })
#define min_t(type, x, y) ({		\
	type _x = (x);			\
	type _y = (y);			\
	_x < _y ? _x : _y; })

unsigned long simple_strtoul(const char *text, char **end, unsigned int base);
int printk(const char *format, ...) __attribute__((format(printf, 1, 2)));
int sprintf(char *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int snprintf(char *buffer, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int scnprintf(char *buffer, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define KERN_ERR "<3>"
#define KERN_INFO "<6>"
#ifndef pr_fmt
#define pr_fmt(format) format
#endif
#define pr_err(format, ...) printk(KERN_ERR pr_fmt(format), ##__VA_ARGS__)
#define pr_info(format, ...) printk(KERN_INFO pr_fmt(format), ##__VA_ARGS__)

#endif
