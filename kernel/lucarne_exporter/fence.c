// SPDX-License-Identifier: GPL-2.0
/*
 * Fences without work: each signals when a program says so.
 *
 * Whoever waits for a fence has to trust that it signals some day, as the
 * kernel may need memory that waits for it. So none is without a deadline.
 *
 * Others hold fences for as long as they like, and call into the module until
 * the last reference is gone. So each fence holds the module.
 */
#include <linux/dma-resv.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "exporter.h"

struct fence {
	struct dma_fence base;
	spinlock_t lock;		/* the base's */
	/* Holds a reference while it is pending or runs. */
	struct delayed_work deadline;
};

static struct workqueue_struct *deadlines;

static struct fence *to_fence(struct dma_fence *base)
{
	return container_of(base, struct fence, base);
}

static const char *fence_driver_name(struct dma_fence *base)
{
	return KBUILD_MODNAME;
}

static const char *fence_timeline_name(struct dma_fence *base)
{
	return "held back";
}

/* Who looked the fence up under RCU alone has finished by now. */
static void fence_free(struct rcu_head *rcu)
{
	struct dma_fence *base = container_of(rcu, struct dma_fence, rcu);

	kfree(to_fence(base));
	atomic_dec(&exporter_counters.fences);
	module_put(THIS_MODULE);
}

static void fence_release(struct dma_fence *base)
{
	call_rcu(&base->rcu, fence_free);
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = fence_driver_name,
	.get_timeline_name = fence_timeline_name,
	.release = fence_release,
};

/* Whoever comes first has signalled it: 0, or -EALREADY for the others. */
static int complete_once(struct fence *fence, int error)
{
	unsigned long flags;
	int ret = -EALREADY;

	spin_lock_irqsave(&fence->lock, flags);
	if (!dma_fence_is_signaled_locked(&fence->base)) {
		if (error)
			dma_fence_set_error(&fence->base, error);
		ret = dma_fence_signal_locked(&fence->base);
	}
	spin_unlock_irqrestore(&fence->lock, flags);
	return ret;
}

static void fence_deadline(struct work_struct *work)
{
	struct fence *fence = container_of(to_delayed_work(work), struct fence,
					   deadline);

	complete_once(fence, -ETIMEDOUT);
	dma_fence_put(&fence->base);
}

int exporter_fence_signal(struct dma_fence *base, int error)
{
	struct fence *fence = to_fence(base);
	int ret = complete_once(fence, error);

	/* Otherwise the work is running, and drops its reference itself. */
	if (cancel_delayed_work(&fence->deadline))
		dma_fence_put(base);
	return ret ? -ETIMEDOUT : 0;
}

static struct fence *create_fence(void)
{
	struct fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL);

	if (!fence)
		return NULL;
	spin_lock_init(&fence->lock);
	INIT_DELAYED_WORK(&fence->deadline, fence_deadline);
	/* A timeline of its own: no fence comes before or after another. */
	dma_fence_init(&fence->base, &fence_ops, &fence->lock,
		       dma_fence_context_alloc(1), 1);
	__module_get(THIS_MODULE);
	atomic_inc(&exporter_counters.fences);
	return fence;
}

struct dma_fence *exporter_fence_attach(struct dma_buf *dmabuf, bool write,
					unsigned int deadline)
{
	struct fence *fence = create_fence();
	int ret;

	if (!fence)
		return ERR_PTR(-ENOMEM);
	ret = dma_resv_lock_interruptible(dmabuf->resv, NULL);
	if (ret)
		goto put;
	/* What may fail comes before the fence is seen by anybody. */
	ret = dma_resv_reserve_fences(dmabuf->resv, 1);
	if (!ret) {
		dma_fence_get(&fence->base);
		queue_delayed_work(deadlines, &fence->deadline,
				   msecs_to_jiffies(deadline));
		dma_resv_add_fence(dmabuf->resv, &fence->base,
				   write ? DMA_RESV_USAGE_WRITE :
					   DMA_RESV_USAGE_READ);
	}
	dma_resv_unlock(dmabuf->resv);
	if (!ret)
		return &fence->base;
put:
	/* Nobody waits, and a fence is not to go unsignalled. */
	complete_once(fence, ret);
	dma_fence_put(&fence->base);
	return ERR_PTR(ret);
}

int exporter_fences_begin(void)
{
	deadlines = alloc_workqueue(KBUILD_MODNAME, 0, 0);
	return deadlines ? 0 : -ENOMEM;
}

/*
 * No fence is left, or the module would be held. The last work and the last
 * call of RCU may still be on their way out of the module.
 */
void exporter_fences_end(void)
{
	destroy_workqueue(deadlines);
	rcu_barrier();
}
