//! What the CPU can share.

use super::adapter::Allocator;
use super::device::{Device, host};
use crate::error::{Requirement, Result, Support};
use crate::format::{Format, FormatInfo};
use crate::layout::{Extent, MAX_EXTENT, Tiling};
use crate::modifier::Modifier;
use crate::negotiate::{FenceSupport, MemoryPath, Offer, OfferEntry, Usage};

impl Device {
    /// What the CPU can do: every known format, linear. It does so for every `usage`, as the CPU can read and write any
    /// pixel.
    ///
    /// dma-bufs can always be imported, and exported with [`Allocator::Udmabuf`] and [`Allocator::DmaHeap`]; host
    /// memory both ways with every allocator. A format with several planes has them one after the other in one buffer.
    ///
    /// The allocator may have no room for a large frame: udmabuf allows 64 MiB unless configured otherwise.
    /// [`export`](Self::export) then returns an error; the offer does not show it.
    ///
    /// # Errors
    ///
    /// None today: the CPU asks nobody.
    pub fn offer(&self, usage: Usage) -> Result<Offer> {
        let own_dma_bufs = *self.adapter().allocator() != Allocator::HostMemory;
        let entries = Format::ALL
            .iter()
            .flat_map(|info| {
                [
                    entry(info, MemoryPath::DmaBuf, own_dma_bufs),
                    entry(info, MemoryPath::HostMemory, true),
                ]
            })
            .filter(|entry| entry.usage.intersects(usage))
            .collect();
        Ok(Offer {
            name: format!("the CPU with {}", self.adapter().allocator()),
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
        })
    }
}

/// Whether the CPU can do anything with memory of this path.
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
