//! Frames whose layout nobody at the table chose: foreign pitches and offsets, and canaries around the rows.

use std::fmt;
use std::time::Duration;

use lucarne::cpu::{self, Allocator};
use lucarne::{
    DeviceId, Extent, Format, Frame, FrameLayout, Memory, MemoryPath, Modifier, PAGE_BYTES, Plane,
    Result, Tiling,
    kernel::{DmaBufMapping, DmaHeap, Mapping, Memfd, Udmabuf},
};

/// What untouched bytes hold. Not 0, which fresh memory holds, nor 255, which opaque alpha does.
pub const CANARY: u8 = 0xa5;

const TIMEOUT: Duration = Duration::from_secs(60);

/// How a foreign allocator might place a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Where the plane starts, in bytes.
    pub offset: u64,
    /// The pitch's alignment, in bytes.
    pub pitch_alignment: u64,
    /// Bytes beyond an aligned row.
    pub pitch_extra: u64,
    /// Rows that the height is padded to.
    pub height_alignment: u32,
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offset,
            pitch_alignment,
            pitch_extra,
            height_alignment,
        } = self;
        write!(
            f,
            "offset {offset}, pitch aligned to {pitch_alignment} + {pitch_extra}, height to {height_alignment}"
        )
    }
}

impl Placement {
    /// What allocators are known to do, each different from [`FrameLayout::linear`].
    pub const FOREIGN: [Self; 5] = [
        // More padding than anybody needs.
        Self {
            offset: 0,
            pitch_alignment: 256,
            pitch_extra: 256,
            height_alignment: 16,
        },
        // A cache line, as software drivers choose; a height that is no multiple of 16.
        Self {
            offset: 0,
            pitch_alignment: 64,
            pitch_extra: 64,
            height_alignment: 4,
        },
        // Behind another plane, or a header, of whole pages.
        Self {
            offset: 8192,
            pitch_alignment: 256,
            pitch_extra: 256,
            height_alignment: 16,
        },
        // Behind a header of one cache line.
        Self {
            offset: 64,
            pitch_alignment: 256,
            pitch_extra: 0,
            height_alignment: 16,
        },
        // All at once.
        Self {
            offset: 4096 + 64,
            pitch_alignment: 64,
            pitch_extra: 192,
            height_alignment: 16,
        },
    ];

    /// A layout of one plane, and the bytes it needs with its padding rows.
    ///
    /// # Errors
    ///
    /// [`lucarne::Error::Invalid`] when the layout is not possible.
    ///
    /// # Panics
    ///
    /// For a format that is not in [`Format::ALL`].
    pub fn layout(self, extent: Extent, format: Format) -> Result<(FrameLayout, u64)> {
        let info = format.info().expect("a known format");
        let row = u64::from(info.row_bytes(0, extent.width).unwrap_or(0));
        let pitch = row.next_multiple_of(self.pitch_alignment) + self.pitch_extra;
        let rows = u64::from(extent.height.next_multiple_of(self.height_alignment));
        let size = self.offset + pitch * rows;
        let plane = Plane {
            object: 0,
            offset: self.offset,
            pitch,
        };
        let tiling = Tiling::Explicit(Modifier::LINEAR);
        let layout = FrameLayout::new(extent, format, tiling, &[plane], &[size])?;
        Ok((layout, size))
    }

    /// A frame so placed, of memory that belongs to no device.
    ///
    /// # Errors
    ///
    /// As [`Placement::layout`] and [`allocate`].
    ///
    /// # Panics
    ///
    /// As [`Placement::layout`].
    pub fn frame(self, allocator: &Allocator, extent: Extent, format: Format) -> Result<Frame> {
        let (layout, size) = self.layout(extent, format)?;
        let device = DeviceId {
            software: true,
            ..DeviceId::default()
        };
        Frame::new(layout, allocate(allocator, size)?, device)
    }
}

/// At least `size` bytes: whole pages of a dma-buf, or a memfd of that size.
///
/// # Errors
///
/// When there is no memory left, or the allocator is missing.
pub fn allocate(allocator: &Allocator, size: u64) -> Result<Memory> {
    let pages = size.next_multiple_of(PAGE_BYTES);
    Ok(match allocator {
        Allocator::Udmabuf => Memory::DmaBuf(vec![Udmabuf::open()?.create(pages)?]),
        Allocator::DmaHeap(name) => Memory::DmaBuf(vec![DmaHeap::open(name)?.create(pages)?]),
        _ => Memory::HostMemory(Memfd::create("lucarne-foreign", size)?),
    })
}

/// This machine's allocators for `path`.
pub(crate) fn allocators(path: MemoryPath) -> Vec<Allocator> {
    let wanted = |allocator: &Allocator| match path {
        MemoryPath::DmaBuf => *allocator != Allocator::HostMemory,
        MemoryPath::HostMemory => *allocator == Allocator::HostMemory,
        MemoryPath::OpaqueFd => false,
    };
    cpu::Adapter::enumerate()
        .into_iter()
        .filter(|adapter| adapter.support().is_yes())
        .map(|adapter| adapter.allocator().clone())
        .filter(wanted)
        .collect()
}

/// Fills all of a frame's memory with canaries.
///
/// # Errors
///
/// When the memory cannot be mapped.
pub fn fill(frame: &Frame) -> Result<()> {
    match frame.memory() {
        Memory::DmaBuf(buffers) => {
            for buffer in buffers {
                let mut mapping = DmaBufMapping::new(buffer)?;
                let canaries = vec![CANARY; mapping.len()];
                let mut access = mapping.write(TIMEOUT)?;
                access.copy_in(0, &canaries)?;
                access.end()?;
            }
            Ok(())
        }
        Memory::HostMemory(memfd) => {
            let mut mapping = Mapping::new(memfd)?;
            let canaries = vec![CANARY; mapping.len()];
            mapping.copy_in(0, &canaries)
        }
        Memory::OpaqueFd(_) => Ok(()),
    }
}

/// The bytes of each of a frame's memory objects; none of opaque memory, whose driver alone can read it.
///
/// # Errors
///
/// When the memory cannot be mapped.
pub fn objects(frame: &Frame) -> Result<Vec<Vec<u8>>> {
    match frame.memory() {
        Memory::DmaBuf(buffers) => buffers
            .iter()
            .map(|buffer| {
                let mapping = DmaBufMapping::new(buffer)?;
                let mut bytes = vec![0; mapping.len()];
                let access = mapping.read(TIMEOUT)?;
                access.copy_out(0, &mut bytes)?;
                access.end()?;
                Ok(bytes)
            })
            .collect(),
        Memory::HostMemory(memfd) => {
            let mapping = Mapping::new(memfd)?;
            let mut bytes = vec![0; mapping.len()];
            mapping.copy_out(0, &mut bytes)?;
            Ok(vec![bytes])
        }
        Memory::OpaqueFd(_) => Ok(Vec::new()),
    }
}

/// Looks for bytes outside of a linear frame's rows, before, between and behind them, that are no canaries any more.
///
/// # Errors
///
/// The first such byte, in words; or why the memory cannot be mapped.
pub fn check_untouched(frame: &Frame) -> std::result::Result<(), String> {
    let layout = frame.layout();
    let info = layout.format_info();
    let mut objects = objects(frame).map_err(|error| error.to_string())?;
    for (index, plane) in layout.planes().iter().enumerate() {
        let extent = layout.extent();
        let row = u64::from(info.row_bytes(index, extent.width).unwrap_or(0));
        let rows = u64::from(info.rows(index, extent.height).unwrap_or(0));
        for y in 0..rows {
            let begin = plane.offset + y * plane.pitch;
            let range = usize::try_from(begin).unwrap_or(usize::MAX)
                ..usize::try_from(begin + row).unwrap_or(usize::MAX);
            let bytes = objects.get_mut(plane.object);
            if let Some(bytes) = bytes.and_then(|bytes| bytes.get_mut(range)) {
                bytes.fill(CANARY);
            }
        }
    }
    for (number, bytes) in objects.iter().enumerate() {
        if let Some(touched) = bytes.iter().position(|byte| *byte != CANARY) {
            return Err(format!(
                "{layout}: byte {touched} of object {number}, which is in no row, was written"
            ));
        }
    }
    Ok(())
}
