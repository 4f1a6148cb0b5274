//! An allocator that is open, and what the CPU offers with it.

use std::sync::Arc;

use super::adapter::{Adapter, Allocator};
use crate::device_id::DeviceId;
use crate::error::{Requirement, Support};
use crate::format::{Format, FormatInfo};
use crate::kernel::{DmaHeap, Udmabuf};
use crate::layout::{Extent, MAX_EXTENT, Tiling};
use crate::modifier::Modifier;
use crate::negotiate::{FenceSupport, MemoryPath, Offer, OfferEntry, Usage};

/// The CPU as one end of a sharing, with one allocator for what it exports. Cloning shares the allocator.
///
/// Threads may share it.
#[derive(Clone, Debug)]
pub struct Device {
    adapter: Adapter,
    source: Arc<Source>,
}

/// What memory comes from.
#[derive(Debug)]
pub(super) enum Source {
    Udmabuf(Udmabuf),
    DmaHeap(DmaHeap),
    HostMemory,
}

impl Device {
    pub(super) fn new(adapter: Adapter, source: Source) -> Self {
        Self {
            adapter,
            source: Arc::new(source),
        }
    }

    /// What was opened.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// The identity of memory that the CPU allocates: software, no device at all.
    ///
    /// It is never the same as another one, nor known to differ from a software rasteriser. That is as it must be:
    /// what a CPU shares is linear or host memory, for which both ends need not be one device, and an exporter that
    /// hears "not the same" puts its memory where the CPU can reach it.
    pub fn id(&self) -> DeviceId {
        host()
    }

    /// What the CPU can do: every known format, linear, for any usage, as it does what it likes with pixels.
    ///
    /// dma-bufs can always be imported, and exported with [`Allocator::Udmabuf`] and [`Allocator::DmaHeap`]; host
    /// memory both ways with every allocator. A format with several planes has them one after the other in one buffer.
    ///
    /// A size that the allocator has no room for, such as beyond udmabuf's 64 MiB, is found out by
    /// [`export`](Self::export).
    pub fn offer(&self) -> Offer {
        let own_dma_bufs = *self.adapter.allocator() != Allocator::HostMemory;
        let entries = Format::ALL
            .iter()
            .flat_map(|info| {
                [
                    entry(info, MemoryPath::DmaBuf, own_dma_bufs),
                    entry(info, MemoryPath::HostMemory, true),
                ]
            })
            .collect();
        Offer {
            name: format!("the CPU with {}", self.adapter.allocator()),
            device: host(),
            paths: MemoryPath::ALL.map(|path| (path, support(path))).to_vec(),
            entries,
            withdrawn: Vec::new(),
            fences: FenceSupport {
                export: Support::no(Requirement::other(
                    "the CPU has finished when it passes a frame on, so there is nothing to wait for",
                )),
                import: Support::Yes(()),
            },
        }
    }
}

/// The identity of the machine's memory.
pub(super) fn host() -> DeviceId {
    DeviceId {
        software: true,
        ..DeviceId::default()
    }
}

pub(super) fn support(path: MemoryPath) -> Support {
    match path {
        MemoryPath::DmaBuf | MemoryPath::HostMemory => Support::Yes(()),
        MemoryPath::OpaqueFd => Support::no(Requirement::other(
            "only the driver that made an opaque-fd knows what is in it",
        )),
    }
}

fn entry(info: &FormatInfo, path: MemoryPath, exportable: bool) -> OfferEntry {
    OfferEntry {
        path,
        format: info.format,
        tiling: Tiling::Explicit(Modifier::LINEAR),
        // At most three (`Format::ALL`).
        planes: u8::try_from(info.planes.len()).unwrap_or(u8::MAX),
        usage: Usage::all(),
        max_extent: Extent::new(MAX_EXTENT, MAX_EXTENT),
        exportable,
        importable: true,
        dedicated_only: false,
        external_only: false,
    }
}
