// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers: pages, and the calls by which a dma-buf's users reach them.
 *
 * A buffer lives exactly as long as its dma-buf, which is a file: descriptors,
 * mappings of programs, attached devices and the numbers of device.c each hold
 * that file, and the last of them to go calls exporter_release().
 */
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/vmalloc.h>

#include "exporter.h"

/* Until then no lock was asked of who calls these. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define dma_buf_vmap_unlocked dma_buf_vmap
#define dma_buf_vunmap_unlocked dma_buf_vunmap
#endif

struct behaviour {
	u32 error;
	u32 delay;
	u32 times;
};

struct buffer {
	struct page **pages;
	unsigned long count;

	/* What devices have mapped now. */
	struct mutex lock;
	struct list_head mappings;

	spinlock_t behaviour_lock;	/* of what was told */
	struct behaviour behaviour[LUCARNE_EXPORTER_CALLS];
};

/* A device's view of the pages: from map_dma_buf to unmap_dma_buf. */
struct mapping {
	struct sg_table table;
	struct device *device;
	struct list_head link;
};

/* Waits and fails, where the buffer was told so. */
static int behave(struct buffer *buffer, enum lucarne_exporter_call call)
{
	struct behaviour *told = &buffer->behaviour[call];
	struct behaviour now = {};

	spin_lock(&buffer->behaviour_lock);
	if (told->times) {
		told->times--;
		now = *told;
	}
	spin_unlock(&buffer->behaviour_lock);

	if (now.delay && msleep_interruptible(now.delay))
		return -EINTR;
	return -(int)now.error;
}

int exporter_buffer_behave(struct dma_buf *dmabuf,
			   const struct lucarne_exporter_behave *how)
{
	struct buffer *buffer = dmabuf->priv;

	if (how->call >= LUCARNE_EXPORTER_CALLS || how->pad ||
	    how->error > MAX_ERRNO || how->delay > LUCARNE_EXPORTER_MAX_DELAY)
		return -EINVAL;

	spin_lock(&buffer->behaviour_lock);
	buffer->behaviour[how->call] = (struct behaviour) {
		.error = how->error,
		.delay = how->delay,
		.times = how->times,
	};
	spin_unlock(&buffer->behaviour_lock);
	return 0;
}

static int exporter_attach(struct dma_buf *dmabuf,
			   struct dma_buf_attachment *attachment)
{
	int ret = behave(dmabuf->priv, LUCARNE_EXPORTER_ATTACH);

	if (ret)
		return ret;
	atomic_inc(&exporter_counters.attachments);
	return 0;
}

static void exporter_detach(struct dma_buf *dmabuf,
			    struct dma_buf_attachment *attachment)
{
	atomic_dec(&exporter_counters.attachments);
}

/* Gives the device addresses by which it can reach the pages. */
static struct sg_table *exporter_map(struct dma_buf_attachment *attachment,
				     enum dma_data_direction direction)
{
	struct buffer *buffer = attachment->dmabuf->priv;
	struct mapping *mapping;
	int ret = behave(buffer, LUCARNE_EXPORTER_MAP);

	if (ret)
		return ERR_PTR(ret);

	mapping = kzalloc(sizeof(*mapping), GFP_KERNEL);
	if (!mapping)
		return ERR_PTR(-ENOMEM);
	ret = sg_alloc_table_from_pages(&mapping->table, buffer->pages,
					buffer->count, 0,
					buffer->count << PAGE_SHIFT,
					GFP_KERNEL);
	if (ret)
		goto free_mapping;
	ret = dma_map_sgtable(attachment->dev, &mapping->table, direction, 0);
	if (ret)
		goto free_table;

	mapping->device = attachment->dev;
	mutex_lock(&buffer->lock);
	list_add(&mapping->link, &buffer->mappings);
	mutex_unlock(&buffer->lock);
	atomic_inc(&exporter_counters.mappings);
	return &mapping->table;

free_table:
	sg_free_table(&mapping->table);
free_mapping:
	kfree(mapping);
	return ERR_PTR(ret);
}

static void exporter_unmap(struct dma_buf_attachment *attachment,
			   struct sg_table *table,
			   enum dma_data_direction direction)
{
	struct buffer *buffer = attachment->dmabuf->priv;
	struct mapping *mapping = container_of(table, struct mapping, table);

	mutex_lock(&buffer->lock);
	list_del(&mapping->link);
	mutex_unlock(&buffer->lock);
	dma_unmap_sgtable(attachment->dev, table, direction, 0);
	sg_free_table(table);
	kfree(mapping);
	atomic_dec(&exporter_counters.mappings);
}

/*
 * What devices wrote becomes visible to the CPU. Fences are not our affair:
 * the dma-buf core waits for them after this.
 */
static int exporter_begin_cpu_access(struct dma_buf *dmabuf,
				     enum dma_data_direction direction)
{
	struct buffer *buffer = dmabuf->priv;
	struct mapping *mapping;
	int ret = behave(buffer, LUCARNE_EXPORTER_BEGIN_CPU_ACCESS);

	if (ret)
		return ret;
	mutex_lock(&buffer->lock);
	list_for_each_entry(mapping, &buffer->mappings, link)
		dma_sync_sgtable_for_cpu(mapping->device, &mapping->table,
					 direction);
	mutex_unlock(&buffer->lock);
	return 0;
}

/* What the CPU wrote becomes visible to devices. */
static int exporter_end_cpu_access(struct dma_buf *dmabuf,
				   enum dma_data_direction direction)
{
	struct buffer *buffer = dmabuf->priv;
	struct mapping *mapping;

	mutex_lock(&buffer->lock);
	list_for_each_entry(mapping, &buffer->mappings, link)
		dma_sync_sgtable_for_device(mapping->device, &mapping->table,
					    direction);
	mutex_unlock(&buffer->lock);
	return 0;
}

/* The core has checked that the range lies within the buffer. */
static int exporter_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct buffer *buffer = dmabuf->priv;
	int ret = behave(buffer, LUCARNE_EXPORTER_MMAP);

	if (ret)
		return ret;
	/*
	 * A private mapping would be a copy from its first write on. (Of a
	 * file that is open for reading alone, a shared mapping has lost
	 * VM_SHARED by now, and kept VM_MAYSHARE.)
	 */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	return vm_map_pages(vma, buffer->pages, buffer->count);
}

/* Addresses for the kernel itself; the core shares one such mapping. */
static int exporter_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct buffer *buffer = dmabuf->priv;
	void *address;
	int ret = behave(buffer, LUCARNE_EXPORTER_VMAP);

	if (ret)
		return ret;
	address = vmap(buffer->pages, buffer->count, VM_MAP, PAGE_KERNEL);
	if (!address)
		return -ENOMEM;
	iosys_map_set_vaddr(map, address);
	atomic_inc(&exporter_counters.vmaps);
	return 0;
}

static void exporter_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	vunmap(map->vaddr);
	atomic_dec(&exporter_counters.vmaps);
}

/* Each page has a count of its own: programs may still hold some. */
static void free_pages_of(struct buffer *buffer)
{
	while (buffer->count)
		__free_page(buffer->pages[--buffer->count]);
	kvfree(buffer->pages);
}

/* Nobody has a descriptor, a mapping or an attachment any more. */
static void exporter_release(struct dma_buf *dmabuf)
{
	struct buffer *buffer = dmabuf->priv;

	free_pages_of(buffer);
	mutex_destroy(&buffer->lock);
	kfree(buffer);
	atomic_dec(&exporter_counters.buffers);
}

static const struct dma_buf_ops exporter_ops = {
	.attach = exporter_attach,
	.detach = exporter_detach,
	.map_dma_buf = exporter_map,
	.unmap_dma_buf = exporter_unmap,
	.begin_cpu_access = exporter_begin_cpu_access,
	.end_cpu_access = exporter_end_cpu_access,
	.mmap = exporter_mmap,
	.vmap = exporter_vmap,
	.vunmap = exporter_vunmap,
	.release = exporter_release,
};

/*
 * Pages are zeroed: what was in them is some other program's affair. They
 * count as memory of the program that asks.
 */
#define PAGES_GFP (GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN)

static int allocate_contiguous(struct buffer *buffer, unsigned long count)
{
	unsigned int order = get_order(count << PAGE_SHIFT);
	struct page *first = alloc_pages(PAGES_GFP | __GFP_RETRY_MAYFAIL,
					 order);
	unsigned long i;

	if (!first)
		return -ENOMEM;
	/* From here on they are single pages, and those too many go back. */
	split_page(first, order);
	for (i = 0; i < count; i++)
		buffer->pages[i] = first + i;
	for (; i < 1UL << order; i++)
		__free_page(first + i);
	buffer->count = count;
	return 0;
}

/*
 * The allocator likes to give neighbours one after the other. So the even
 * places are filled first, then the odd ones.
 */
static int allocate_scattered(struct buffer *buffer, unsigned long count)
{
	unsigned long even = DIV_ROUND_UP(count, 2);
	unsigned long i;

	for (i = 0; i < count; i++) {
		unsigned long place = i < even ? 2 * i : 2 * (i - even) + 1;

		buffer->pages[place] = alloc_page(PAGES_GFP);
		if (!buffer->pages[place])
			goto free;
	}
	buffer->count = count;
	return 0;
free:
	for (i = 0; i < count; i++)
		if (buffer->pages[i])
			__free_page(buffer->pages[i]);
	return -ENOMEM;
}

static struct buffer *create_buffer(unsigned long count, bool scattered)
{
	struct buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);
	int ret;

	if (!buffer)
		return ERR_PTR(-ENOMEM);
	buffer->pages = kvcalloc(count, sizeof(*buffer->pages), GFP_KERNEL);
	if (!buffer->pages) {
		ret = -ENOMEM;
		goto free_buffer;
	}
	if (scattered)
		ret = allocate_scattered(buffer, count);
	else
		ret = allocate_contiguous(buffer, count);
	if (ret)
		goto free_array;
	mutex_init(&buffer->lock);
	INIT_LIST_HEAD(&buffer->mappings);
	spin_lock_init(&buffer->behaviour_lock);
	return buffer;

free_array:
	kvfree(buffer->pages);
free_buffer:
	kfree(buffer);
	return ERR_PTR(ret);
}

struct dma_buf *exporter_buffer_create(u64 size, u32 flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	bool scattered = flags & LUCARNE_EXPORTER_SCATTERED;
	struct buffer *buffer;
	struct dma_buf *dmabuf;

	if (!size || size > (scattered ? LUCARNE_EXPORTER_MAX_SCATTERED :
					 LUCARNE_EXPORTER_MAX_CONTIGUOUS))
		return ERR_PTR(-EINVAL);
	if (flags & ~(LUCARNE_EXPORTER_SCATTERED | LUCARNE_EXPORTER_READ_ONLY))
		return ERR_PTR(-EINVAL);

	buffer = create_buffer(DIV_ROUND_UP(size, PAGE_SIZE), scattered);
	if (IS_ERR(buffer))
		return ERR_CAST(buffer);

	info.ops = &exporter_ops;
	info.size = buffer->count << PAGE_SHIFT;
	info.flags = flags & LUCARNE_EXPORTER_READ_ONLY ? O_RDONLY : O_RDWR;
	info.priv = buffer;
	/* Holds the module, too, until exporter_release() has returned. */
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		free_pages_of(buffer);
		kfree(buffer);
		return dmabuf;
	}
	atomic_inc(&exporter_counters.buffers);
	return dmabuf;
}

/* As any driver does it that reads or writes a dma-buf with the CPU. */
static int begin(struct dma_buf *dmabuf, struct iosys_map *map,
		 enum dma_data_direction direction)
{
	int ret = dma_buf_begin_cpu_access(dmabuf, direction);

	if (ret)
		return ret;
	ret = dma_buf_vmap_unlocked(dmabuf, map);
	if (ret)
		dma_buf_end_cpu_access(dmabuf, direction);
	return ret;
}

static int end(struct dma_buf *dmabuf, struct iosys_map *map,
	       enum dma_data_direction direction)
{
	dma_buf_vunmap_unlocked(dmabuf, map);
	return dma_buf_end_cpu_access(dmabuf, direction);
}

int exporter_buffer_fill(struct dma_buf *dmabuf, u32 seed)
{
	struct iosys_map map;
	u32 *words;
	size_t n;
	int ret = begin(dmabuf, &map, DMA_TO_DEVICE);

	if (ret)
		return ret;
	words = map.vaddr;
	for (n = 0; n < dmabuf->size / sizeof(*words); n++)
		words[n] = (seed + (u32)n) * LUCARNE_EXPORTER_FACTOR;
	return end(dmabuf, &map, DMA_TO_DEVICE);
}

int exporter_buffer_read(struct dma_buf *dmabuf, u64 offset, u64 length,
			 void __user *to)
{
	struct iosys_map map;
	unsigned long left;
	int ret;

	if (offset > dmabuf->size || length > dmabuf->size - offset)
		return -EINVAL;
	ret = begin(dmabuf, &map, DMA_FROM_DEVICE);
	if (ret)
		return ret;
	left = copy_to_user(to, map.vaddr + offset, length);
	ret = end(dmabuf, &map, DMA_FROM_DEVICE);
	return left ? -EFAULT : ret;
}

static u32 segments_of(const struct buffer *buffer)
{
	u32 segments = 1;
	unsigned long i;

	for (i = 1; i < buffer->count; i++)
		if (page_to_pfn(buffer->pages[i]) !=
		    page_to_pfn(buffer->pages[i - 1]) + 1)
			segments++;
	return segments;
}

int exporter_buffer_report(struct dma_buf *dmabuf,
			   struct lucarne_exporter_report *report)
{
	char (*names)[LUCARNE_EXPORTER_NAME_BYTES];
	struct dma_buf_attachment *attachment;
	u32 found = 0;
	int ret;

	if (report->capacity > LUCARNE_EXPORTER_MAX_NAMES)
		return -EINVAL;
	names = kcalloc(LUCARNE_EXPORTER_MAX_NAMES, sizeof(*names), GFP_KERNEL);
	if (!names)
		return -ENOMEM;
	/* The core's list of attachments is under the lock of the fences. */
	ret = dma_resv_lock_interruptible(dmabuf->resv, NULL);
	if (ret)
		goto free;
	list_for_each_entry(attachment, &dmabuf->attachments, node) {
		if (found < report->capacity)
			strscpy(names[found], dev_name(attachment->dev),
				sizeof(*names));
		found++;
	}
	dma_resv_unlock(dmabuf->resv);

	report->size = dmabuf->size;
	report->segments = segments_of(dmabuf->priv);
	report->attachments = found;
	if (copy_to_user(u64_to_user_ptr(report->names), names,
			 min(found, report->capacity) * sizeof(*names)))
		ret = -EFAULT;
free:
	kfree(names);
	return ret;
}
