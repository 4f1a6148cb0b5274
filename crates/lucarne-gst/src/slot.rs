//! A stream's slots: memory that GStreamer's elements write, and that becomes a frame.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gst_video::{VideoFrameFlags, VideoInfo, VideoMeta};
use lucarne::color::ColorDescription;
use lucarne::kernel::{CpuAccess, DmaBuf, DmaBufMapping, DmaHeap, Mapping, Memfd, Udmabuf};
use lucarne::negotiate::OfferEntry;
use lucarne::{Agreement, DeviceId, Frame, FrameLayout, Memory, MemoryPath, Offer, Result};
use lucarne_stream::{Allocate, SlotWriting};

use crate::accepted::{entry, offer};
use crate::convert;
use crate::ffi::{self, Kept};
use crate::import::strides;
use crate::lock;

/// What dma-bufs come from on this machine; `None` where there is nothing.
#[derive(Debug)]
enum DmaBufs {
    Udmabuf(Udmabuf),
    Heap(DmaHeap),
}

impl DmaBufs {
    fn open() -> Option<Self> {
        let udmabuf = Udmabuf::open().ok().map(Self::Udmabuf);
        udmabuf.or_else(|| DmaHeap::open(DmaHeap::SYSTEM).ok().map(Self::Heap))
    }

    fn create(&self, size: u64) -> Result<DmaBuf> {
        match self {
            Self::Udmabuf(udmabuf) => udmabuf.create(size),
            Self::Heap(heap) => heap.create(size),
        }
    }
}

/// Makes the stream's slots.
#[derive(Debug)]
pub(crate) struct Allocator {
    dma_bufs: Option<DmaBufs>,
    color: Arc<Mutex<ColorDescription>>,
}

impl Allocator {
    /// `color` is what frames have from the next agreement on.
    pub(crate) fn open(color: &Arc<Mutex<ColorDescription>>) -> Self {
        Self {
            dma_bufs: DmaBufs::open(),
            color: Arc::clone(color),
        }
    }

    /// What can be made: every format that GStreamer has a word for, linear.
    pub(crate) fn offer(&self) -> Offer {
        let formats = || convert::formats().map(|(_, format)| format);
        let of = |path| formats().filter_map(move |format| entry(path, format, true));
        let mut entries: Vec<OfferEntry> = of(MemoryPath::HostMemory).collect();
        if self.dma_bufs.is_some() {
            entries.extend(of(MemoryPath::DmaBuf));
        }
        offer("GStreamer (lucarnesink)", entries)
    }
}

impl Allocate for Allocator {
    type Image = Arc<Slot>;

    fn allocate(&mut self, agreement: &Agreement) -> Result<(Arc<Slot>, Frame)> {
        let (layout, size) = FrameLayout::linear(agreement.extent, agreement.format)?;
        let layout = layout.with_color(*lock(&self.color))?;
        let memory = match (&self.dma_bufs, agreement.path()) {
            (Some(dma_bufs), MemoryPath::DmaBuf) => Memory::DmaBuf(vec![dma_bufs.create(size)?]),
            _ => Memory::HostMemory(Memfd::create("lucarne-gst", size)?),
        };
        let device = DeviceId {
            software: true,
            ..DeviceId::default()
        };
        let frame = Frame::new(layout, memory, device)?;
        Ok((Arc::new(Slot::map(&frame)?), frame))
    }
}

#[derive(Debug)]
enum Bytes {
    Host(Mapping),
    DmaBuf(DmaBufMapping),
}

/// A slot's memory, mapped.
#[derive(Debug)]
pub(crate) struct Slot {
    bytes: Bytes,
    layout: FrameLayout,
    /// How many memories of GStreamer's show it.
    shown: AtomicUsize,
}

impl Slot {
    fn map(frame: &Frame) -> Result<Self> {
        let bytes = match frame.memory() {
            Memory::DmaBuf(buffers) => Bytes::DmaBuf(DmaBufMapping::new(&buffers[0])?),
            Memory::HostMemory(memfd) => Bytes::Host(Mapping::new(memfd)?),
            Memory::OpaqueFd(_) => unreachable!("allocate makes none"),
        };
        Ok(Self {
            bytes,
            layout: frame.layout().clone(),
            shown: AtomicUsize::new(0),
        })
    }

    pub(crate) fn layout(&self) -> &FrameLayout {
        &self.layout
    }

    /// Whether GStreamer still has memory of it, from a frame that was sent before.
    pub(crate) fn is_shown(&self) -> bool {
        self.shown.load(Ordering::Acquire) > 0
    }

    fn range(&self) -> (NonNull<u8>, usize) {
        match &self.bytes {
            Bytes::Host(mapping) => (mapping.address(), mapping.len()),
            Bytes::DmaBuf(mapping) => (mapping.address(), mapping.len()),
        }
    }

    fn access(&self, timeout: Duration) -> Result<Option<CpuAccess>> {
        match &self.bytes {
            Bytes::Host(_) => Ok(None),
            Bytes::DmaBuf(mapping) => mapping.access(true, timeout).map(Some),
        }
    }
}

/// A slot that is being written.
#[derive(Debug)]
struct Written {
    turn: SlotWriting<Arc<Slot>>,
    access: Option<CpuAccess>,
    /// Only counts.
    _held: Held,
}

/// One of the slots that elements upstream have, and have not passed on.
#[derive(Debug)]
struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A slot in GStreamer's hands; its memory keeps this.
#[derive(Debug)]
pub(crate) struct Shown {
    slot: Arc<Slot>,
    written: Mutex<Option<Written>>,
}

impl Kept for Shown {
    const NAME: &'static str = "lucarne-slot";
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.slot.shown.fetch_sub(1, Ordering::Release);
    }
}

/// A buffer in a slot's own memory, counted in `held` until it is sent or freed. Each of two waits, for the gate and for others'
/// accesses to the memory, ends after `timeout`.
///
/// # Errors
///
/// Those of the gate's wait and of the access to a dma-buf; the slot goes back then.
pub(crate) fn show(
    turn: SlotWriting<Arc<Slot>>,
    info: &VideoInfo,
    timeout: Duration,
    held: &Arc<AtomicUsize>,
) -> Result<gst::Buffer> {
    turn.gate().wait(timeout)?;
    let slot = Arc::clone(turn.image());
    let access = slot.access(timeout)?;
    slot.shown.fetch_add(1, Ordering::Acquire);
    let (address, size) = slot.range();
    let layout = slot.layout().clone();
    let shown = Arc::new(Shown {
        slot,
        written: Mutex::new(Some(Written {
            turn,
            access,
            _held: Held::new(held),
        })),
    });
    let memory = ffi::wrap(address, size, Arc::clone(&shown));
    ffi::keep(&memory, shown);
    let mut buffer = gst::Buffer::new();
    let whole = buffer.make_mut();
    whole.append_memory(memory);
    // Below MAX_REACH.
    let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    let offsets: Vec<usize> = layout
        .planes()
        .iter()
        .map(|one| place(one.offset))
        .collect();
    let added = VideoMeta::add_full(
        whole,
        VideoFrameFlags::empty(),
        info.format(),
        info.width(),
        info.height(),
        &offsets,
        &strides(&layout),
    );
    added.map_err(|error| lucarne::Error::Unsupported {
        what: format!("describing {layout} to GStreamer"),
        missing: vec![lucarne::Requirement::other(error.to_string())],
    })?;
    Ok(buffer)
}

/// The turn of the slot that a buffer lies in, if it was not taken before: the frame can be sent. `None` for any other memory, and
/// for a part of a slot.
pub(crate) fn take(buffer: &gst::BufferRef) -> Option<SlotWriting<Arc<Slot>>> {
    if buffer.n_memory() != 1 {
        return None;
    }
    let memory = buffer.peek_memory(0);
    let shown = ffi::kept::<Shown>(memory)?;
    if memory.offset() != 0 || memory.size() != shown.slot.range().1 {
        return None;
    }
    if !is_whole(buffer, shown.slot.layout()) {
        return None;
    }
    let written = lock(&shown.written).take()?;
    // The access ends here: what was written is there for every device.
    if let Some(access) = written.access
        && access.end().is_err()
    {
        return None;
    }
    Some(written.turn)
}

/// Whether the buffer is described as the slot is: elements crop by changing this.
fn is_whole(buffer: &gst::BufferRef, layout: &FrameLayout) -> bool {
    let Some(meta) = buffer.meta::<VideoMeta>() else {
        return false;
    };
    let extent = layout.extent();
    let offsets = meta.offset().iter().map(|offset| *offset as u64);
    (meta.width(), meta.height()) == (extent.width, extent.height)
        && convert::format(meta.format()) == Some(layout.format())
        && meta.stride() == strides(layout)
        && offsets.eq(layout.planes().iter().map(|plane| plane.offset))
}
