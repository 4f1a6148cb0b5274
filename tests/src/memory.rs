//! Memory for frames whose layout a test chooses.

use lucarne::cpu::{Adapter, Allocator};
use lucarne::{DeviceId, DmaHeap, Extent, Format, Frame, FrameLayout, Memfd, Memory, Modifier};
use lucarne::{Plane, Tiling, Udmabuf};

use crate::skip::skip;

/// Whether the machine has an allocator; a skip says why not.
pub fn can(allocator: &Allocator) -> bool {
    let support = Adapter::new(allocator.clone()).support();
    if !support.is_yes() {
        skip(skip_kind(allocator), &support.reason());
    }
    support.is_yes()
}

/// The kind of skip (docs/testing.md) where an allocator is missing.
pub fn skip_kind(allocator: &Allocator) -> &'static str {
    match allocator {
        Allocator::DmaHeap(_) => "dma-heap",
        _ => "udmabuf",
    }
}

/// At least `size` bytes: whole pages of a dma-buf, or a memfd of that size.
///
/// # Panics
///
/// When there is no memory left, or the allocator is missing: ask [`can`] first.
pub fn allocate(allocator: &Allocator, size: u64) -> Memory {
    let pages = size.next_multiple_of(lucarne::PAGE_BYTES);
    match allocator {
        Allocator::Udmabuf => {
            let udmabuf = Udmabuf::open().expect("/dev/udmabuf");
            Memory::DmaBuf(vec![udmabuf.create(pages).expect("a dma-buf")])
        }
        Allocator::DmaHeap(name) => {
            let heap = DmaHeap::open(name).expect("a heap");
            Memory::DmaBuf(vec![heap.create(pages).expect("a dma-buf")])
        }
        _ => Memory::HostMemory(Memfd::create("lucarne-test", size).expect("a memfd")),
    }
}

/// How a foreign allocator might place a plane.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    /// Where the plane starts.
    pub offset: u64,
    /// The pitch's alignment.
    pub pitch_alignment: u64,
    /// Bytes beyond an aligned row.
    pub pitch_extra: u64,
    /// Rows that the height is padded to.
    pub height_alignment: u32,
}

impl Placement {
    /// A layout of one plane, and the bytes it needs with its padding rows.
    ///
    /// # Panics
    ///
    /// When the layout is not possible.
    pub fn layout(self, extent: Extent, format: Format) -> (FrameLayout, u64) {
        let info = format.info().expect("a known format");
        let row = u64::from(info.row_bytes(0, extent.width).expect("a known row"));
        let pitch = row.next_multiple_of(self.pitch_alignment) + self.pitch_extra;
        let rows = u64::from(extent.height.next_multiple_of(self.height_alignment));
        let size = self.offset + pitch * rows;
        let plane = Plane {
            object: 0,
            offset: self.offset,
            pitch,
        };
        let tiling = Tiling::Explicit(Modifier::LINEAR);
        let layout =
            FrameLayout::new(extent, format, tiling, &[plane], &[size]).expect("a possible layout");
        (layout, size)
    }

    /// A frame so placed, of memory that belongs to no device.
    ///
    /// # Panics
    ///
    /// When there is no memory left.
    pub fn frame(self, allocator: &Allocator, extent: Extent, format: Format) -> Frame {
        let (layout, size) = self.layout(extent, format);
        let device = DeviceId {
            software: true,
            ..DeviceId::default()
        };
        Frame::new(layout, allocate(allocator, size), device).expect("a frame")
    }
}
