// SPDX-License-Identifier: GPL-2.0-only
/* Does MODULE_IMPORT_NS() take a bare word? (Later kernels take a string.) */
#include <linux/module.h>

MODULE_IMPORT_NS(KEDR_PROBE);

MODULE_DESCRIPTION("Question to the kernel tree");
MODULE_LICENSE("GPL");
