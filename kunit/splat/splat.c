// SPDX-License-Identifier: GPL-2.0
/* Loading this module makes the kernel complain: the log scan must see it. */
#include <linux/bug.h>
#include <linux/module.h>

static int __init splat_init(void)
{
	WARN(1, "splat: a deliberate warning\n");
	return 0;
}

static void __exit splat_exit(void)
{
}

module_init(splat_init);
module_exit(splat_exit);
MODULE_DESCRIPTION("A deliberate warning, for the test of the log scan");
MODULE_LICENSE("GPL");
