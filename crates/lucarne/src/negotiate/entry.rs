//! One thing that a side can do, and the words that say it.

use std::fmt;

use crate::format::Format;
use crate::layout::{Extent, Tiling};

/// How pixels get from one side to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemoryPath {
    /// A dma-buf.
    DmaBuf,
    /// An `OPAQUE_FD` memory object of one driver.
    OpaqueFd,
    /// A sealed memfd.
    HostMemory,
}

impl MemoryPath {
    /// All paths, best first.
    pub const ALL: [Self; 3] = [Self::DmaBuf, Self::OpaqueFd, Self::HostMemory];

    /// The name used in reports: "dma-buf", "opaque-fd" or "host-memory".
    pub const fn name(self) -> &'static str {
        match self {
            Self::DmaBuf => "dma-buf",
            Self::OpaqueFd => "opaque-fd",
            Self::HostMemory => "host-memory",
        }
    }
}

impl fmt::Display for MemoryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

bitflags::bitflags! {
    /// What a side does with the frame's image.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Usage: u32 {
        /// Draws into it (`VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT`, a GL framebuffer).
        const RENDER = 1;
        /// Samples it in a shader (`VK_IMAGE_USAGE_SAMPLED_BIT`, a GL texture).
        const SAMPLE = 1 << 1;
        /// Copies out of it.
        const TRANSFER_SOURCE = 1 << 2;
        /// Copies or clears into it.
        const TRANSFER_DESTINATION = 1 << 3;
        /// Reads and writes single pixels in a shader (`VK_IMAGE_USAGE_STORAGE_BIT`).
        const STORAGE = 1 << 4;
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bitflags::parser::to_writer(self, f)
    }
}

/// One thing a side can do: a format in a tiling, in one kind of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferEntry {
    /// The kind of memory.
    pub path: MemoryPath,
    /// The pixel format.
    pub format: Format,
    /// The tiling; implicit for [`MemoryPath::OpaqueFd`], linear for [`MemoryPath::HostMemory`].
    pub tiling: Tiling,
    /// Memory planes.
    pub planes: u8,
    /// What can be done with such an image.
    pub usage: Usage,
    /// The largest extent.
    pub max_extent: Extent,
    /// Whether this side can make such memory for others.
    pub exportable: bool,
    /// Whether this side can use such memory when others made it.
    pub importable: bool,
    /// Whether the image must have an allocation of its own.
    pub dedicated_only: bool,
    /// Whether it can only be sampled, through `GL_TEXTURE_EXTERNAL_OES`.
    pub external_only: bool,
}
