// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#define FIELD 16

/* A text with no end, and no memory behind it. */
static void copy_field_at_the_end_of_an_area(void)
{
	char *area = vmalloc(PAGE_SIZE);

	if (!area)
		return;
	memset(area, 'x', PAGE_SIZE);
	kfree(kmemdup(area + PAGE_SIZE - FIELD, FIELD, GFP_KERNEL));
	vfree(area);
}

static void copy_long_text(void)
{
	char *text = kzalloc(300, GFP_KERNEL);

	if (!text)
		return;
	memset(text, 'y', 299);
	kfree(kstrdup(text, GFP_KERNEL));
	kfree(text);
}

static int __init texts_init(void)
{
	char *text = kstrdup("given away", GFP_KERNEL);
	char *moved = krealloc(text, 4000, GFP_KERNEL);

	kfree(moved ? moved : text);
	kfree(kstrdup(NULL, GFP_KERNEL));
	copy_field_at_the_end_of_an_area();
	copy_long_text();
	return 0;
}

static void __exit texts_exit(void)
{
}

module_init(texts_init);
module_exit(texts_exit);
MODULE_DESCRIPTION("Passes texts on, and gives them back");
MODULE_LICENSE("GPL");
