// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be done with an open device: reading, writing, seeking, control
 * requests.
 *
 * Locking: the semaphore of a device guards its buffer and its block size. It
 * is taken interruptibly, so whoever waits for it can be killed. The file
 * position is changed under it too.
 */

#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "cfake.h"
#include "cfake_ioctl.h"

static int allocate_buffer(struct cfake_device *dev)
{
	if (!dev->data)
		dev->data = kzalloc(dev->buffer_size, GFP_KERNEL);
	return dev->data ? 0 : -ENOMEM;
}

static int cfake_open(struct inode *inode, struct file *file)
{
	struct cfake_device *dev = cfake_device_of(inode);
	int err;

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

const struct file_operations cfake_operations = {
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
