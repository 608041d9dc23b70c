// SPDX-License-Identifier: GPL-2.0-only
/* Payload <$module.name$>, made by MiST templates. */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/types.h>

#include <kedr/payload.h>

<$if concat(header)$><$header : join(\n)$>

<$endif$>#define CREATE_TRACE_POINTS
#include "trace_payload.h"

<$block : join(\n)$>
static void * const targets[] = {
<$target : join(\n)$>
};

static void * const replacements[] = {
<$replacement : join(\n)$>
};

static const char * const names[] = {
<$name : join(\n)$>
};

static struct kedr_payload payload = {
	.mod		= THIS_MODULE,
	.nr		= ARRAY_SIZE(targets),
	.targets	= targets,
	.replacements	= replacements,
	.names		= names,
};

static int __init payload_init(void)
{
	return kedr_payload_register(&payload);
}

static void __exit payload_exit(void)
{
	kedr_payload_unregister(&payload);
}

module_init(payload_init);
module_exit(payload_exit);

MODULE_AUTHOR("<$module.author$>");
MODULE_DESCRIPTION("Records calls of kernel functions");
MODULE_LICENSE("<$module.license$>");
