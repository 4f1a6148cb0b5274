/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What programs say to /dev/lucarne_exporter.
 *
 * Buffers and fences have numbers, from 1 on, which belong to one opening of
 * the node and end with it. A dma-buf descriptor outlives both.
 */
#ifndef LUCARNE_EXPORTER_H
#define LUCARNE_EXPORTER_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* The largest buffers, in bytes. */
#define LUCARNE_EXPORTER_MAX_CONTIGUOUS	(4ULL << 20)
#define LUCARNE_EXPORTER_MAX_SCATTERED	(64ULL << 20)
/* The most buffers, and the most fences, of one opening. */
#define LUCARNE_EXPORTER_MAX_NUMBER	1024
/* The longest delay and the latest deadline, in milliseconds. */
#define LUCARNE_EXPORTER_MAX_DELAY	10000
#define LUCARNE_EXPORTER_MAX_DEADLINE	60000

/* No page follows its neighbour in physical memory, unless by chance. */
#define LUCARNE_EXPORTER_SCATTERED	(1U << 0)
/* Descriptors allow reading only. */
#define LUCARNE_EXPORTER_READ_ONLY	(1U << 1)

/* Memory, filled with zeros. */
struct lucarne_exporter_allocate {
	__u64 size;		/* in bytes; whole pages are allocated */
	__u32 flags;
	__u32 buffer;		/* out: its number */
};

/* A descriptor of the buffer's dma-buf, close-on-exec. */
struct lucarne_exporter_export {
	__u32 buffer;
	__s32 fd;		/* out */
};

/* Word n (32 bits) becomes (seed + n) * LUCARNE_EXPORTER_FACTOR. */
#define LUCARNE_EXPORTER_FACTOR		2654435761U
struct lucarne_exporter_fill {
	__u32 buffer;
	__u32 seed;
};

/* Copies bytes of the buffer to the program, through a kernel mapping. */
struct lucarne_exporter_read {
	__u32 buffer;
	__u32 pad;		/* 0 */
	__u64 offset;
	__u64 length;
	__u64 address;		/* of the program's memory */
};

/* The calls of the dma-buf that can be told to fail. */
enum lucarne_exporter_call {
	LUCARNE_EXPORTER_ATTACH,
	LUCARNE_EXPORTER_MAP,
	LUCARNE_EXPORTER_MMAP,
	LUCARNE_EXPORTER_BEGIN_CPU_ACCESS,
	LUCARNE_EXPORTER_VMAP,
	LUCARNE_EXPORTER_CALLS,
};

/* How the next calls of one kind go; replaces what was told before. */
struct lucarne_exporter_behave {
	__u32 buffer;
	__u32 call;
	__u32 error;		/* an errno; 0: they succeed */
	__u32 delay;		/* milliseconds before that */
	__u32 times;		/* how many calls; 0: as ever from now on */
	__u32 pad;		/* 0 */
};

/* The fence is a writer's: readers wait for it too. */
#define LUCARNE_EXPORTER_FENCE_WRITE	(1U << 0)

/*
 * Hangs a fence on the buffer, which signals when told to, or with ETIMEDOUT
 * at its deadline, or with ECANCELED when the node is closed.
 */
struct lucarne_exporter_attach_fence {
	__u32 buffer;
	__u32 flags;
	__u32 deadline;		/* milliseconds from now, 1 or more */
	__u32 fence;		/* out: its number */
};

/*
 * Signals a fence, and forgets its number. The answer is ETIMEDOUT when its
 * deadline came first.
 */
struct lucarne_exporter_signal {
	__u32 fence;
	__u32 error;		/* an errno to signal it with; 0: success */
};

#define LUCARNE_EXPORTER_NAME_BYTES	64
#define LUCARNE_EXPORTER_MAX_NAMES	64

/* What the buffer is made of, and which devices are attached. */
struct lucarne_exporter_report {
	__u32 buffer;
	__u32 capacity;		/* how many names fit at `names` */
	__u64 names;		/* of NAME_BYTES each, ending in 0 */
	__u64 size;		/* out: in bytes */
	__u32 segments;		/* out: runs of pages in physical memory */
	__u32 attachments;	/* out: more than `capacity`: not all told */
};

#define LUCARNE_EXPORTER_IOC_ALLOCATE \
	_IOWR('L', 0x80, struct lucarne_exporter_allocate)
#define LUCARNE_EXPORTER_IOC_EXPORT \
	_IOWR('L', 0x81, struct lucarne_exporter_export)
/* Forgets the number; the memory lives as long as a descriptor or device. */
#define LUCARNE_EXPORTER_IOC_FREE	_IOW('L', 0x82, __u32)
#define LUCARNE_EXPORTER_IOC_FILL \
	_IOW('L', 0x83, struct lucarne_exporter_fill)
#define LUCARNE_EXPORTER_IOC_READ \
	_IOW('L', 0x84, struct lucarne_exporter_read)
#define LUCARNE_EXPORTER_IOC_BEHAVE \
	_IOW('L', 0x85, struct lucarne_exporter_behave)
#define LUCARNE_EXPORTER_IOC_ATTACH_FENCE \
	_IOWR('L', 0x86, struct lucarne_exporter_attach_fence)
#define LUCARNE_EXPORTER_IOC_SIGNAL \
	_IOW('L', 0x87, struct lucarne_exporter_signal)
#define LUCARNE_EXPORTER_IOC_REPORT \
	_IOWR('L', 0x88, struct lucarne_exporter_report)

#endif
