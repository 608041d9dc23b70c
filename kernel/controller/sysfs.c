// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/kedr/report, read-only text: the reports on all targets that were
 * loaded since the parameter was set, see report.c.
 *
 * Locking: reading takes kedr_lock for each piece that is read. A target that
 * is loaded between two pieces changes what the later ones show.
 */

#include <linux/kobject.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include <kedr/config.h>

#include "controller.h"

static struct kobject *kedr_kobject;

/* Copies up to @count bytes at @offset of all reports, one after another. */
static size_t copy_reports(char *buffer, size_t offset, size_t count)
{
	const struct kedr_report *report;
	unsigned int index;
	size_t done = 0;

	for (index = 0; (report = kedr_target_report(index)); index++) {
		size_t piece;

		if (offset >= report->length) {
			offset -= report->length;
			continue;
		}
		piece = min(report->length - offset, count - done);
		memcpy(buffer + done, report->text + offset, piece);
		done += piece;
		offset = 0;
		if (done == count)
			break;
	}
	return done;
}

static ssize_t read_reports(char *buffer, loff_t offset, size_t count)
{
	size_t done;

	if (offset < 0)
		return -EINVAL;
	if ((loff_t)(size_t)offset != offset)
		return 0;
	mutex_lock(&kedr_lock);
	done = copy_reports(buffer, offset, count);
	mutex_unlock(&kedr_lock);
	return done;
}

#if defined(KEDR_HAVE_BIN_ATTRIBUTE_CONST)

static ssize_t report_read(struct file *file, struct kobject *kobj,
			   const struct bin_attribute *attr, char *buffer,
			   loff_t offset, size_t count)
{
	return read_reports(buffer, offset, count);
}

#elif defined(KEDR_HAVE_BIN_ATTRIBUTE_FILE)

static ssize_t report_read(struct file *file, struct kobject *kobj,
			   struct bin_attribute *attr, char *buffer,
			   loff_t offset, size_t count)
{
	return read_reports(buffer, offset, count);
}

#else

static ssize_t report_read(struct kobject *kobj, struct bin_attribute *attr,
			   char *buffer, loff_t offset, size_t count)
{
	return read_reports(buffer, offset, count);
}

#endif

static struct bin_attribute report_attribute = {
	.attr = { .name = "report", .mode = 0400 },
	.read = report_read,
};

int kedr_sysfs_init(void)
{
	int err;

	kedr_kobject = kobject_create_and_add("kedr", kernel_kobj);
	if (!kedr_kobject)
		return -ENOMEM;
	err = sysfs_create_bin_file(kedr_kobject, &report_attribute);
	if (err)
		kobject_put(kedr_kobject);
	return err;
}

void kedr_sysfs_exit(void)
{
	sysfs_remove_bin_file(kedr_kobject, &report_attribute);
	kobject_put(kedr_kobject);
}
