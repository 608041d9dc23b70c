// SPDX-License-Identifier: GPL-2.0-only
/*
 * cp_target: a sample target, the character device cfake.
 *
 * Each device is a buffer in memory that is allocated when the device is
 * opened for the first time and stays until the module is unloaded.
 *
 * Locking: the semaphore of a device guards its buffer and its block size. It
 * is taken interruptibly, so whoever waits for it can be killed. The file
 * position is changed under it too.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/capability.h>
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/semaphore.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <kedr/config.h>

#include "cfake_ioctl.h"

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

/**
 * struct cfake_device - one device
 * @semaphore: guards the other members
 * @data: the buffer, NULL before the first open
 * @buffer_size: its size in bytes
 * @block_size: the most that one read or write transfers, in bytes
 */
struct cfake_device {
	struct semaphore semaphore;
	unsigned char *data;
	unsigned int buffer_size;
	unsigned int block_size;
};

static struct cfake_device *cfake_devices;
static struct class *cfake_class;
static dev_t cfake_first;
static struct cdev cfake_cdev;

/* ---- file operations ---- */

static int allocate_buffer(struct cfake_device *dev)
{
	if (!dev->data)
		dev->data = kzalloc(dev->buffer_size, GFP_KERNEL);
	return dev->data ? 0 : -ENOMEM;
}

static int cfake_open(struct inode *inode, struct file *file)
{
	struct cfake_device *dev;
	int err;

	dev = &cfake_devices[iminor(inode) - MINOR(cfake_first)];
	file->private_data = dev;
	if (down_interruptible(&dev->semaphore))
		return -ERESTARTSYS;
	err = allocate_buffer(dev);
	up(&dev->semaphore);
	return err;
}

/* How much of @count can be transferred at @position, in bytes. */
static size_t at_most(const struct cfake_device *dev, loff_t position,
		      size_t count)
{
	if (position < 0 || position >= dev->buffer_size)
		return 0;
	count = min_t(size_t, count, dev->block_size);
	return min_t(size_t, count, dev->buffer_size - position);
}

static ssize_t cfake_read(struct file *file, char __user *to, size_t count,
			  loff_t *position)
{
	struct cfake_device *dev = file->private_data;
	ssize_t done;

	if (down_interruptible(&dev->semaphore))
		return -ERESTARTSYS;
	count = at_most(dev, *position, count);
	done = count;
	if (count && copy_to_user(to, dev->data + *position, count))
		done = -EFAULT;
	else
		*position += count;
	up(&dev->semaphore);
	return done;
}

static ssize_t cfake_write(struct file *file, const char __user *from,
			   size_t count, loff_t *position)
{
	struct cfake_device *dev = file->private_data;
	size_t wanted = count;
	ssize_t done;

	if (down_interruptible(&dev->semaphore))
		return -ERESTARTSYS;
	count = at_most(dev, *position, count);
	done = count;
	if (wanted && !count)
		done = -ENOSPC;
	else if (count && copy_from_user(dev->data + *position, from, count))
		done = -EFAULT;
	else
		*position += count;
	up(&dev->semaphore);
	return done;
}

/* Returns the position asked for, or -EINVAL. */
static loff_t new_position(const struct cfake_device *dev, loff_t current_one,
			   loff_t offset, int whence)
{
	loff_t base;

	switch (whence) {
	case SEEK_SET:
		base = 0;
		break;
	case SEEK_CUR:
		base = current_one;
		break;
	case SEEK_END:
		base = dev->buffer_size;
		break;
	default:
		return -EINVAL;
	}
	/* the base is inside the buffer, so neither comparison overflows */
	if (offset < -base || offset > dev->buffer_size - base)
		return -EINVAL;
	return base + offset;
}

static loff_t cfake_llseek(struct file *file, loff_t offset, int whence)
{
	struct cfake_device *dev = file->private_data;
	loff_t position;

	if (down_interruptible(&dev->semaphore))
		return -ERESTARTSYS;
	position = new_position(dev, file->f_pos, offset, whence);
	if (position >= 0)
		file->f_pos = position;
	up(&dev->semaphore);
	return position;
}

/* ---- control requests, called with the semaphore held ---- */

static long fill(struct cfake_device *dev, const __u8 __user *from)
{
	__u8 byte;

	if (get_user(byte, from))
		return -EFAULT;
	memset(dev->data, byte, dev->buffer_size);
	return 0;
}

static long load_firmware(struct cfake_device *dev, const void __user *from)
{
	struct cfake_firmware firmware;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(&firmware, from, sizeof(firmware)))
		return -EFAULT;
	if (!firmware.size || firmware.size > dev->buffer_size ||
	    firmware.reserved)
		return -EINVAL;
	if (copy_from_user(dev->data,
			   (const void __user *)(unsigned long)firmware.data,
			   firmware.size))
		return -EFAULT;
	return 0;
}

static long swap_block_size(struct cfake_device *dev, __u32 __user *value)
{
	__u32 block_size;

	if (get_user(block_size, value))
		return -EFAULT;
	if (!block_size || block_size > dev->buffer_size)
		return -EINVAL;
	if (put_user(dev->block_size, value))
		return -EFAULT;
	dev->block_size = block_size;
	return 0;
}

static long control(struct cfake_device *dev, unsigned int request,
		    void __user *argument)
{
	switch (request) {
	case CFAKE_RESET:
		memset(dev->data, 0, dev->buffer_size);
		return 0;
	case CFAKE_FILL:
		return fill(dev, argument);
	case CFAKE_LOAD_FIRMWARE:
		return load_firmware(dev, argument);
	case CFAKE_GET_BUFFER_SIZE:
		return put_user(dev->buffer_size, (__u32 __user *)argument);
	case CFAKE_SWAP_BLOCK_SIZE:
		return swap_block_size(dev, argument);
	default:
		return -ENOTTY;
	}
}

static long cfake_ioctl(struct file *file, unsigned int request,
			unsigned long argument)
{
	struct cfake_device *dev = file->private_data;
	long result;

	if (down_interruptible(&dev->semaphore))
		return -ERESTARTSYS;
	result = control(dev, request, (void __user *)argument);
	up(&dev->semaphore);
	return result;
}

static const struct file_operations cfake_operations = {
	.owner = THIS_MODULE,
	.open = cfake_open,
	.read = cfake_read,
	.write = cfake_write,
	.llseek = cfake_llseek,
	.unlocked_ioctl = cfake_ioctl,
#ifdef CONFIG_COMPAT
	/* the layouts do not depend on the program, see cfake_ioctl.h */
	.compat_ioctl = cfake_ioctl,
#endif
};

/* ---- coming and going ---- */

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
