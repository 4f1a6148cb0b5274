/* SPDX-License-Identifier: GPL-2.0 */
/* What the module's three files know of each other. */
#ifndef EXPORTER_H
#define EXPORTER_H

#include <linux/atomic.h>
#include <linux/dma-buf.h>
#include <linux/dma-fence.h>

#include "lucarne_exporter.h"

/* How many there are now; each is a file of the same name in debugfs. */
struct exporter_counters {
	atomic_t buffers;
	atomic_t attachments;
	atomic_t mappings;
	atomic_t vmaps;
	atomic_t fences;
};

extern struct exporter_counters exporter_counters;

/* buffer.c */
struct dma_buf *exporter_buffer_create(u64 size, u32 flags);
int exporter_buffer_fill(struct dma_buf *dmabuf, u32 seed);
int exporter_buffer_read(struct dma_buf *dmabuf, u64 offset, u64 length,
			 void __user *to);
int exporter_buffer_behave(struct dma_buf *dmabuf,
			   const struct lucarne_exporter_behave *how);
int exporter_buffer_report(struct dma_buf *dmabuf,
			   struct lucarne_exporter_report *report);

/* fence.c */
struct dma_fence *exporter_fence_attach(struct dma_buf *dmabuf, bool write,
					unsigned int deadline);
int exporter_fence_signal(struct dma_fence *fence, int error);
int exporter_fences_begin(void);
void exporter_fences_end(void);

#endif
