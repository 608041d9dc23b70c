// SPDX-License-Identifier: GPL-2.0-only
/*
 * cp_target: a sample target, the character device cfake.
 *
 * Each device is a buffer in memory that is allocated when the device is
 * opened for the first time and stays until the module is unloaded. Here the
 * devices come and go; cfake_file.c has what is done with an open one.
 *
 * Locking: none is needed, init and exit are alone.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/semaphore.h>
#include <linux/slab.h>

#include <kedr/config.h>

#include "cfake.h"

#define CFAKE_NAME "cfake"
#define MAX_DEVICES 256
#define MAX_BUFFER_SIZE (1024 * 1024)
#define MAX_MAJOR ((1 << (32 - MINORBITS)) - 1)
/* of init: see cfake_fail_at */
#define NR_STEPS (4 + cfake_ndevices)

static int cfake_major;
module_param(cfake_major, int, 0444);
MODULE_PARM_DESC(cfake_major, "Major device number; 0: the kernel chooses");

static int cfake_minor;
module_param(cfake_minor, int, 0444);
MODULE_PARM_DESC(cfake_minor, "First minor device number (default 0)");

static int cfake_ndevices = 2;
module_param(cfake_ndevices, int, 0444);
MODULE_PARM_DESC(cfake_ndevices, "Number of devices, 1 to 256 (default 2)");

static int cfake_buffer_size = 4000;
module_param(cfake_buffer_size, int, 0444);
MODULE_PARM_DESC(cfake_buffer_size,
		 "Size of each buffer in bytes, 1 to 1048576 (default 4000)");

static int cfake_block_size = 512;
module_param(cfake_block_size, int, 0444);
MODULE_PARM_DESC(cfake_block_size,
		 "Bytes read or written at a time, at most the size of the buffer (default 512)");

static int cfake_fail_at;
module_param(cfake_fail_at, int, 0444);
MODULE_PARM_DESC(cfake_fail_at,
		 "Let loading fail in place of this step: 1 array, 2 numbers, 3 class, then one for each node, at last the operations; 0: none");

static struct cfake_device *cfake_devices;
static struct class *cfake_class;
static dev_t cfake_first;
static struct cdev cfake_cdev;

struct cfake_device *cfake_device_of(const struct inode *inode)
{
	return &cfake_devices[iminor(inode) - MINOR(cfake_first)];
}

/*
 * Each step of init asks here first, so that a test can let any of them fail
 * and see whether everything before it is taken back.
 */
static bool fails_here(void)
{
	static int step;

	return ++step == cfake_fail_at;
}

static bool check_range(const char *name, int value, int least, int most)
{
	if (value >= least && value <= most)
		return true;
	pr_err("parameter %s is %d; %d to %d is allowed\n", name, value, least,
	       most);
	return false;
}

static int check_parameters(void)
{
	if (!check_range("cfake_major", cfake_major, 0, MAX_MAJOR) ||
	    !check_range("cfake_ndevices", cfake_ndevices, 1, MAX_DEVICES) ||
	    !check_range("cfake_minor", cfake_minor, 0,
			 (int)MINORMASK + 1 - cfake_ndevices) ||
	    !check_range("cfake_buffer_size", cfake_buffer_size, 1,
			 MAX_BUFFER_SIZE) ||
	    !check_range("cfake_block_size", cfake_block_size, 1,
			 cfake_buffer_size) ||
	    !check_range("cfake_fail_at", cfake_fail_at, 0, NR_STEPS))
		return -EINVAL;
	return 0;
}

static int allocate_devices(void)
{
	if (fails_here())
		return -ENOMEM;
	cfake_devices = kcalloc(cfake_ndevices, sizeof(*cfake_devices),
				GFP_KERNEL);
	return cfake_devices ? 0 : -ENOMEM;
}

static int get_numbers(void)
{
	if (fails_here())
		return -ENOMEM;
	if (!cfake_major)
		return alloc_chrdev_region(&cfake_first, cfake_minor,
					   cfake_ndevices, CFAKE_NAME);
	cfake_first = MKDEV(cfake_major, cfake_minor);
	return register_chrdev_region(cfake_first, cfake_ndevices, CFAKE_NAME);
}

static struct class *make_class(void)
{
	if (fails_here())
		return ERR_PTR(-ENOMEM);
#ifdef KEDR_HAVE_CLASS_CREATE_NAME
	return class_create(CFAKE_NAME);
#else
	return class_create(THIS_MODULE, CFAKE_NAME);
#endif
}

static dev_t number_of(int index)
{
	return MKDEV(MAJOR(cfake_first), MINOR(cfake_first) + index);
}

static int add_device(int index)
{
	struct cfake_device *dev = &cfake_devices[index];
	struct device *node;

	sema_init(&dev->semaphore, 1);
	dev->buffer_size = cfake_buffer_size;
	dev->block_size = cfake_block_size;
	if (fails_here())
		return -ENOMEM;
	node = device_create(cfake_class, NULL, number_of(index), NULL,
			     CFAKE_NAME "%d", index);
	return IS_ERR(node) ? PTR_ERR(node) : 0;
}

static void remove_devices(int nr)
{
	while (nr--) {
		device_destroy(cfake_class, number_of(nr));
		kfree(cfake_devices[nr].data);
	}
}

static int add_devices(void)
{
	int err, i;

	for (i = 0; i < cfake_ndevices; i++) {
		err = add_device(i);
		if (err) {
			pr_err("%s%d cannot be made, error %d\n", CFAKE_NAME, i,
			       err);
			remove_devices(i);
			return err;
		}
	}
	return 0;
}

/*
 * The last step of init: from here on a node can be opened. A file that is
 * open would not keep a module whose init fails.
 */
static int add_operations(void)
{
	if (fails_here())
		return -ENOMEM;
	cdev_init(&cfake_cdev, &cfake_operations);
	cfake_cdev.owner = THIS_MODULE;
	return cdev_add(&cfake_cdev, cfake_first, cfake_ndevices);
}

static int __init cfake_init(void)
{
	int err = check_parameters();

	if (err)
		return err;
	err = allocate_devices();
	if (err)
		return err;
	err = get_numbers();
	if (err) {
		pr_err("device numbers are not available, error %d\n", err);
		goto out_devices;
	}
	cfake_class = make_class();
	if (IS_ERR(cfake_class)) {
		err = PTR_ERR(cfake_class);
		pr_err("class %s cannot be made, error %d\n", CFAKE_NAME, err);
		goto out_numbers;
	}
	err = add_devices();
	if (err)
		goto out_class;
	err = add_operations();
	if (err) {
		pr_err("operations cannot be added, error %d\n", err);
		goto out_all_devices;
	}
	return 0;

out_all_devices:
	remove_devices(cfake_ndevices);
out_class:
	class_destroy(cfake_class);
out_numbers:
	unregister_chrdev_region(cfake_first, cfake_ndevices);
out_devices:
	kfree(cfake_devices);
	return err;
}

static void __exit cfake_exit(void)
{
	cdev_del(&cfake_cdev);
	remove_devices(cfake_ndevices);
	class_destroy(cfake_class);
	unregister_chrdev_region(cfake_first, cfake_ndevices);
	kfree(cfake_devices);
}

module_init(cfake_init);
module_exit(cfake_exit);

MODULE_DESCRIPTION("Sample character device kept in memory");
MODULE_AUTHOR("The kedr.lab authors");
MODULE_LICENSE("GPL");
