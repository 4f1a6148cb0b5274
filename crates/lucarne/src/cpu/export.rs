//! Allocating frames.

use super::device::{Device, Source, host};
use super::image::Image;
use super::offer;
use crate::error::{Error, Result};
use crate::frame::{Frame, Memory};
use crate::kernel::{DmaBuf, Memfd};
use crate::layout::{FrameLayout, PAGE_BYTES};
use crate::modifier::Modifier;
use crate::negotiate::{Agreement, MemoryPath};

impl Device {
    /// Allocates a frame as agreed, zeroed: [`FrameLayout::linear`], in a dma-buf of this device's allocator or in a
    /// sealed memfd.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for the opaque-fd path; [`Error::Invalid`] when this device does not offer what was
    /// agreed; [`Error::Os`] when the allocator has no room.
    pub fn export(&self, agreement: &Agreement) -> Result<Image> {
        let path = agreement.path();
        offer::support(path).require(&format!("exporting frames as {path} from the CPU"))?;
        if !agreement.modifiers.contains(&Modifier::LINEAR) {
            let tilings: Vec<String> = agreement
                .modifiers
                .iter()
                .map(ToString::to_string)
                .collect();
            return Err(Error::invalid(
                "agreement.modifiers",
                format!("[{}]", tilings.join(", ")),
                "LINEAR among them: the CPU lays out nothing else",
            ));
        }
        let (layout, size) = FrameLayout::linear(agreement.extent, agreement.format)?;
        debug_assert!(size.is_multiple_of(PAGE_BYTES));
        let memory = match path {
            MemoryPath::DmaBuf => Memory::DmaBuf(vec![self.dma_buf(size)?]),
            _ => Memory::HostMemory(Memfd::create("lucarne-frame", size)?),
        };
        Image::new(&Frame::new(layout, memory, host())?)
    }

    fn dma_buf(&self, size: u64) -> Result<DmaBuf> {
        match self.source() {
            Source::Udmabuf(udmabuf) => udmabuf.create(size),
            Source::DmaHeap(heap) => heap.create(size),
            Source::HostMemory => Err(Error::invalid(
                "agreement",
                "dma-buf",
                "host-memory: this device has no allocator for dma-bufs",
            )),
        }
    }
}
