// SPDX-License-Identifier: GPL-2.0
/*
 * A dma-buf exporter to learn from and to test with: /dev/lucarne_exporter
 * and its ioctls (lucarne_exporter.h), and counters in debugfs.
 */
#include <linux/debugfs.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/xarray.h>

#include "exporter.h"

struct exporter_counters exporter_counters;
static struct dentry *folder;

/* One opening of the node: the numbers that it has given. */
struct opening {
	struct xarray buffers;	/* struct dma_buf, a reference each */
	struct xarray fences;	/* struct dma_fence, a reference each */
};

static const struct xa_limit numbers = XA_LIMIT(1, LUCARNE_EXPORTER_MAX_NUMBER);

/* The buffer of a number, held for the caller even if FREE comes now. */
static struct dma_buf *buffer_of(struct opening *opening, u32 number)
{
	struct dma_buf *dmabuf;

	xa_lock(&opening->buffers);
	dmabuf = xa_load(&opening->buffers, number);
	if (dmabuf)
		get_dma_buf(dmabuf);
	xa_unlock(&opening->buffers);
	return dmabuf ? dmabuf : ERR_PTR(-ENOENT);
}

static long do_allocate(struct opening *opening, void __user *user)
{
	struct lucarne_exporter_allocate request;
	struct dma_buf *dmabuf;
	int ret;

	if (copy_from_user(&request, user, sizeof(request)))
		return -EFAULT;
	dmabuf = exporter_buffer_create(request.size, request.flags);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	ret = xa_alloc(&opening->buffers, &request.buffer, dmabuf, numbers,
		       GFP_KERNEL);
	if (ret) {
		dma_buf_put(dmabuf);
		return ret;
	}
	if (copy_to_user(user, &request, sizeof(request))) {
		/* Whoever guessed the number may have freed it already. */
		if (xa_erase(&opening->buffers, request.buffer))
			dma_buf_put(dmabuf);
		return -EFAULT;
	}
	return 0;
}

/*
 * The number's place in the program's table comes first, and the file goes
 * into it last: once it is there, another thread may use and close it.
 */
static long do_export(struct opening *opening, void __user *user)
{
	struct lucarne_exporter_export request;
	struct dma_buf *dmabuf;

	if (copy_from_user(&request, user, sizeof(request)))
		return -EFAULT;
	dmabuf = buffer_of(opening, request.buffer);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	request.fd = get_unused_fd_flags(O_CLOEXEC);
	if (request.fd < 0) {
		dma_buf_put(dmabuf);
		return request.fd;
	}
	if (copy_to_user(user, &request, sizeof(request))) {
		put_unused_fd(request.fd);
		dma_buf_put(dmabuf);
		return -EFAULT;
	}
	/* The descriptor takes our reference over. */
	fd_install(request.fd, dmabuf->file);
	return 0;
}

static long do_free(struct opening *opening, void __user *user)
{
	struct dma_buf *dmabuf;
	u32 number;

	if (copy_from_user(&number, user, sizeof(number)))
		return -EFAULT;
	dmabuf = xa_erase(&opening->buffers, number);
	if (!dmabuf)
		return -ENOENT;
	dma_buf_put(dmabuf);
	return 0;
}

static long do_fill(struct opening *opening, void __user *user)
{
	struct lucarne_exporter_fill request;
	struct dma_buf *dmabuf;
	int ret;

	if (copy_from_user(&request, user, sizeof(request)))
		return -EFAULT;
	dmabuf = buffer_of(opening, request.buffer);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	ret = exporter_buffer_fill(dmabuf, request.seed);
	dma_buf_put(dmabuf);
	return ret;
}

static long do_read(struct opening *opening, void __user *user)
{
	struct lucarne_exporter_read request;
	struct dma_buf *dmabuf;
	int ret;

	if (copy_from_user(&request, user, sizeof(request)))
		return -EFAULT;
	if (request.pad)
		return -EINVAL;
	dmabuf = buffer_of(opening, request.buffer);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	ret = exporter_buffer_read(dmabuf, request.offset, request.length,
				   u64_to_user_ptr(request.address));
	dma_buf_put(dmabuf);
	return ret;
}

static long do_behave(struct opening *opening, void __user *user)
{
	struct lucarne_exporter_behave request;
	struct dma_buf *dmabuf;
	int ret;

	if (copy_from_user(&request, user, sizeof(request)))
		return -EFAULT;
	dmabuf = buffer_of(opening, request.buffer);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	ret = exporter_buffer_behave(dmabuf, &request);
	dma_buf_put(dmabuf);
	return ret;
}

/* Signals a fence that has lost its number. */
static int finish_fence(struct dma_fence *fence, int error)
{
	int ret = exporter_fence_signal(fence, error);

	dma_fence_put(fence);
	return ret;
}

static long do_attach_fence(struct opening *opening, void __user *user)
{
	struct lucarne_exporter_attach_fence request;
	struct dma_fence *fence;
	struct dma_buf *dmabuf;
	int ret;

	if (copy_from_user(&request, user, sizeof(request)))
		return -EFAULT;
	if (request.flags & ~LUCARNE_EXPORTER_FENCE_WRITE ||
	    !request.deadline ||
	    request.deadline > LUCARNE_EXPORTER_MAX_DEADLINE)
		return -EINVAL;
	dmabuf = buffer_of(opening, request.buffer);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	fence = exporter_fence_attach(dmabuf, request.flags, request.deadline);
	dma_buf_put(dmabuf);
	if (IS_ERR(fence))
		return PTR_ERR(fence);
	ret = xa_alloc(&opening->fences, &request.fence, fence, numbers,
		       GFP_KERNEL);
	if (ret) {
		finish_fence(fence, -ECANCELED);
		return ret;
	}
	if (copy_to_user(user, &request, sizeof(request))) {
		if (xa_erase(&opening->fences, request.fence))
			finish_fence(fence, -ECANCELED);
		return -EFAULT;
	}
	return 0;
}

static long do_signal(struct opening *opening, void __user *user)
{
	struct lucarne_exporter_signal request;
	struct dma_fence *fence;

	if (copy_from_user(&request, user, sizeof(request)))
		return -EFAULT;
	if (request.error > MAX_ERRNO)
		return -EINVAL;
	fence = xa_erase(&opening->fences, request.fence);
	if (!fence)
		return -ENOENT;
	return finish_fence(fence, -(int)request.error);
}

static long do_report(struct opening *opening, void __user *user)
{
	struct lucarne_exporter_report request;
	struct dma_buf *dmabuf;
	int ret;

	if (copy_from_user(&request, user, sizeof(request)))
		return -EFAULT;
	dmabuf = buffer_of(opening, request.buffer);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	ret = exporter_buffer_report(dmabuf, &request);
	dma_buf_put(dmabuf);
	if (ret)
		return ret;
	return copy_to_user(user, &request, sizeof(request)) ? -EFAULT : 0;
}

static long device_ioctl(struct file *file, unsigned int command,
			 unsigned long argument)
{
	struct opening *opening = file->private_data;
	void __user *user = (void __user *)argument;

	switch (command) {
	case LUCARNE_EXPORTER_IOC_ALLOCATE:
		return do_allocate(opening, user);
	case LUCARNE_EXPORTER_IOC_EXPORT:
		return do_export(opening, user);
	case LUCARNE_EXPORTER_IOC_FREE:
		return do_free(opening, user);
	case LUCARNE_EXPORTER_IOC_FILL:
		return do_fill(opening, user);
	case LUCARNE_EXPORTER_IOC_READ:
		return do_read(opening, user);
	case LUCARNE_EXPORTER_IOC_BEHAVE:
		return do_behave(opening, user);
	case LUCARNE_EXPORTER_IOC_ATTACH_FENCE:
		return do_attach_fence(opening, user);
	case LUCARNE_EXPORTER_IOC_SIGNAL:
		return do_signal(opening, user);
	case LUCARNE_EXPORTER_IOC_REPORT:
		return do_report(opening, user);
	default:
		return -ENOTTY;
	}
}

static int device_open(struct inode *inode, struct file *file)
{
	struct opening *opening = kzalloc(sizeof(*opening), GFP_KERNEL);

	if (!opening)
		return -ENOMEM;
	xa_init_flags(&opening->buffers, XA_FLAGS_ALLOC1);
	xa_init_flags(&opening->fences, XA_FLAGS_ALLOC1);
	file->private_data = opening;
	return 0;
}

/* Also how a program that was killed lets go of everything. */
static int device_release(struct inode *inode, struct file *file)
{
	struct opening *opening = file->private_data;
	struct dma_fence *fence;
	struct dma_buf *dmabuf;
	unsigned long number;

	xa_for_each(&opening->fences, number, fence)
		finish_fence(fence, -ECANCELED);
	xa_for_each(&opening->buffers, number, dmabuf)
		dma_buf_put(dmabuf);
	xa_destroy(&opening->fences);
	xa_destroy(&opening->buffers);
	kfree(opening);
	return 0;
}

static const struct file_operations device_operations = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = KBUILD_MODNAME,
	.fops = &device_operations,
};

/* Without debugfs the module works, and nobody sees the counters. */
static void show_counters(void)
{
	struct exporter_counters *all = &exporter_counters;

	folder = debugfs_create_dir(KBUILD_MODNAME, NULL);
	debugfs_create_atomic_t("buffers", 0400, folder, &all->buffers);
	debugfs_create_atomic_t("attachments", 0400, folder, &all->attachments);
	debugfs_create_atomic_t("mappings", 0400, folder, &all->mappings);
	debugfs_create_atomic_t("vmaps", 0400, folder, &all->vmaps);
	debugfs_create_atomic_t("fences", 0400, folder, &all->fences);
}

static int __init exporter_init(void)
{
	int ret = exporter_fences_begin();

	if (ret)
		return ret;
	show_counters();
	/* Last, as programs may use it from now on. */
	ret = misc_register(&device);
	if (ret) {
		debugfs_remove(folder);
		exporter_fences_end();
	}
	return ret;
}

static void __exit exporter_exit(void)
{
	misc_deregister(&device);
	debugfs_remove(folder);
	exporter_fences_end();
}

module_init(exporter_init);
module_exit(exporter_exit);

MODULE_DESCRIPTION("A dma-buf exporter for learning and testing");
MODULE_AUTHOR("The Lucarne authors");
MODULE_LICENSE("GPL");
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
MODULE_IMPORT_NS(DMA_BUF);
#else
MODULE_IMPORT_NS("DMA_BUF");
#endif
