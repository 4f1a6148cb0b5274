//! A frame: geometry and the memory behind it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

#[cfg(any(feature = "vulkan", feature = "egl"))]
use rustix::fs::SealFlags;

use crate::color::ColorDescription;
use crate::device_id::DeviceId;
use crate::error::{Error, Result};
use crate::kernel::{BufferIdentity, DmaBuf, DmaBufKind, Memfd, fd};
use crate::layout::FrameLayout;
use crate::negotiate::MemoryPath;

/// Memory that only the driver which exported it understands (`VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT`).
///
/// Always a dedicated allocation whose image starts at offset 0. Owns its descriptor and closes it on drop.
#[derive(Debug)]
pub struct OpaqueFd {
    fd: OwnedFd,
    allocation_bytes: u64,
}

impl OpaqueFd {
    /// Takes a descriptor and the `allocationSize` it was exported with, in bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a size of zero or beyond the descriptor's own, for a memfd that may still shrink, and for a
    /// pipe, a socket, a directory or anything else that no driver exports; [`Error::Os`] for a descriptor that is not
    /// open. The descriptor is closed in every failing case.
    pub fn new(fd: OwnedFd, allocation_bytes: u64) -> Result<Self> {
        if allocation_bytes == 0 {
            return Err(Error::invalid("allocation size", 0, "at least one byte"));
        }
        // What lies behind it is the driver's secret, but it must be memory, and enough of it.
        fd::check_driver_memory(&fd, allocation_bytes)?;
        Ok(Self {
            fd,
            allocation_bytes,
        })
    }

    /// The allocation's size in bytes; the descriptor's own size may differ.
    pub fn allocation_bytes(&self) -> u64 {
        self.allocation_bytes
    }

    /// Refuses a memory file whose header, as Mesa's software drivers write and believe it, claims more than the file has:
    /// they map what it claims ([`OPAQUE_HEADER_BELIEVED`](crate::quirks::OPAQUE_HEADER_BELIEVED)).
    ///
    /// This catches mistakes and stale memory, not attacks: a peer can write the header again before the driver reads
    /// it. Peers that are not trusted get, and are asked for, another kind of memory.
    ///
    /// With `dma_bufs` the driver exports dma-bufs instead, which have no header. A memfd that stands in for one does not
    /// have the seals of Mesa's own.
    #[cfg(any(feature = "vulkan", feature = "egl"))]
    pub(crate) fn check_header(&self, dma_bufs: bool) -> Result<()> {
        const WORD: usize = size_of::<usize>();
        match rustix::fs::fcntl_get_seals(&self.fd) {
            Err(_) => return Ok(()),
            Ok(seals) if dma_bufs && !seals.contains(SealFlags::GROW) => return Ok(()),
            Ok(_) => {}
        }
        let mut header = [0_u8; 2 * WORD];
        let read = rustix::io::pread(&self.fd, &mut header, 0)
            .map_err(|errno| Error::os("pread of a memory object's header", errno))?;
        let word = |at: usize| {
            let mut word = [0_u8; WORD];
            word.copy_from_slice(&header[at * WORD..][..WORD]);
            usize::from_ne_bytes(word) as u64
        };
        let (claimed, offset, size) = (word(0), word(1), fd::size(&self.fd)?);
        let data = claimed.checked_sub(offset);
        if read < header.len()
            || claimed > size
            || data.is_none_or(|data| data < self.allocation_bytes)
        {
            return Err(Error::invalid(
                "memory object's header",
                format!("{claimed} bytes with the data from {offset}"),
                format!(
                    "at most the file's {size} bytes, and {} from the data on",
                    self.allocation_bytes
                ),
            ));
        }
        Ok(())
    }

    /// A new descriptor for the same memory, close-on-exec, owned by the caller.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the process has no descriptor left.
    pub fn duplicate(&self) -> Result<OwnedFd> {
        fd::duplicate(&self.fd, "duplicating a memory object's descriptor")
    }
}

impl AsFd for OpaqueFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What holds a frame's pixels.
#[derive(Debug)]
pub enum Memory {
    /// One to four kernel buffers, each held once, in the order of [`Plane::object`](crate::Plane::object).
    DmaBuf(Vec<DmaBuf>),
    /// One memory object of the exporting driver.
    OpaqueFd(OpaqueFd),
    /// A sealed memfd, which the CPU reads and writes.
    HostMemory(Memfd),
}

impl Memory {
    /// Which path of the ladder this memory takes.
    pub fn path(&self) -> MemoryPath {
        match self {
            Self::DmaBuf(_) => MemoryPath::DmaBuf,
            Self::OpaqueFd(_) => MemoryPath::OpaqueFd,
            Self::HostMemory(_) => MemoryPath::HostMemory,
        }
    }
}

/// A layout, the memory it lies in, and the device that memory belongs to.
///
/// Cloning shares the memory. Holding a frame is not permission to touch it: whose turn it is, is in the states
/// [`Free`](super::Free) to [`Reading`](super::Reading).
///
/// ```
/// use lucarne::kernel::Memfd;
/// use lucarne::{DeviceId, Extent, Format, Frame, FrameLayout, Memory, MemoryPath};
///
/// let (layout, size) = FrameLayout::linear(Extent::new(640, 480), Format::XRGB8888)?;
/// let memory = Memory::HostMemory(Memfd::create("frame", size)?);
/// let frame = Frame::new(layout, memory, DeviceId::default())?; // nothing is known of the device
/// assert_eq!(frame.memory().path(), MemoryPath::HostMemory);
/// # Ok::<(), lucarne::Error>(())
/// ```
#[doc(alias = "zero copy")]
#[doc(alias = "wl_buffer")]
#[doc(alias = "GstBuffer")]
#[derive(Clone, Debug)]
pub struct Frame {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    layout: FrameLayout,
    /// Shared with frames that show the same memory otherwise.
    memory: Arc<Memory>,
    device: DeviceId,
}

impl Frame {
    /// Joins a layout and the memory it describes, which `device` made. Owns the memory from here on.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when the memory is smaller than the layout needs, has another number of objects than
    /// the layout refers to, or holds one kernel buffer twice; the memory is then released.
    pub fn new(layout: FrameLayout, memory: Memory, device: DeviceId) -> Result<Self> {
        let sizes = match &memory {
            Memory::DmaBuf(buffers) => {
                check_distinct(buffers)?;
                buffers.iter().map(DmaBuf::size).collect()
            }
            Memory::OpaqueFd(_) => Vec::new(),
            Memory::HostMemory(memfd) => vec![memfd.size()],
        };
        let opaque = matches!(memory, Memory::OpaqueFd(_));
        // A frame of buffers without any buffer would pass for opaque memory otherwise.
        if opaque != layout.planes().is_empty() || opaque != sizes.is_empty() {
            return Err(Error::invalid(
                "memory",
                memory.path(),
                format!("of the kind that the layout describes: {layout}"),
            ));
        }
        if !sizes.is_empty() {
            // The layout may have been checked against sizes that somebody merely claimed.
            FrameLayout::new(
                layout.extent(),
                layout.format(),
                layout.tiling(),
                layout.planes(),
                &sizes,
            )?;
        }
        Ok(Self::of_parts(layout, Arc::new(memory), device))
    }

    /// Memory that a frame has already, with a layout that was checked against it.
    pub(super) fn of_parts(layout: FrameLayout, memory: Arc<Memory>, device: DeviceId) -> Self {
        Self {
            inner: Arc::new(Inner {
                layout,
                memory,
                device,
            }),
        }
    }

    /// The same memory with another colour description. No pixel changes.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when they contradict the format: those of
    /// [`ColorDescription::check`](ColorDescription::check).
    pub fn with_color(&self, color: ColorDescription) -> Result<Self> {
        let layout = self.layout().clone().with_color(color)?;
        let memory = Arc::clone(&self.inner.memory);
        Ok(Self::of_parts(layout, memory, self.device().clone()))
    }

    pub(super) fn shared_memory(&self) -> &Arc<Memory> {
        &self.inner.memory
    }

    /// The geometry.
    pub fn layout(&self) -> &FrameLayout {
        &self.inner.layout
    }

    /// The memory.
    pub fn memory(&self) -> &Memory {
        &self.inner.memory
    }

    /// The device whose memory it is.
    pub fn device(&self) -> &DeviceId {
        &self.inner.device
    }

    /// Whether any of the memory is an emulated dma-buf.
    pub fn is_emulated(&self) -> bool {
        match &*self.inner.memory {
            Memory::DmaBuf(buffers) => buffers
                .iter()
                .any(|buffer| buffer.kind() == DmaBufKind::Emulated),
            Memory::OpaqueFd(_) | Memory::HostMemory(_) => false,
        }
    }

    /// Which memory this is: the identity of the frame's first kernel buffer. Two frames of the same identity and layout
    /// can use one import. `None` for opaque memory: its descriptors may share one inode, so only clones of one frame
    /// are known to be the same.
    pub fn identity(&self) -> Option<BufferIdentity> {
        match &*self.inner.memory {
            Memory::DmaBuf(buffers) => buffers.first().map(DmaBuf::identity),
            Memory::OpaqueFd(_) => None,
            Memory::HostMemory(memfd) => Some(memfd.identity()),
        }
    }

    /// Whether anybody else holds a clone.
    #[cfg(feature = "egl")]
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.inner) > 1
    }

    /// A driver's refusal to import this frame, with what it was given.
    #[cfg(any(feature = "vulkan", feature = "egl"))]
    pub(crate) fn explain_refusal(&self, error: Error) -> Error {
        let sizes: Vec<String> = match self.memory() {
            Memory::DmaBuf(buffers) => buffers.iter().map(|one| one.size().to_string()).collect(),
            Memory::OpaqueFd(memory) => vec![memory.allocation_bytes().to_string()],
            Memory::HostMemory(memfd) => vec![memfd.size().to_string()],
        };
        let (layout, sizes) = (self.layout(), sizes.join(", "));
        error.with_help(format!("it was given {layout}, in {sizes} bytes"))
    }

    /// Whether both are the same picture in the same memory.
    pub fn same_memory(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.inner, &other.inner) {
            return true;
        }
        // Asked for every frame of a stream: nothing is allocated.
        let same = match (self.memory(), other.memory()) {
            (Memory::DmaBuf(mine), Memory::DmaBuf(others)) => {
                let others = others.iter().map(DmaBuf::identity);
                !mine.is_empty() && mine.iter().map(DmaBuf::identity).eq(others)
            }
            (Memory::HostMemory(mine), Memory::HostMemory(others)) => {
                mine.identity() == others.identity()
            }
            _ => false,
        };
        same && self.layout() == other.layout()
    }
}

fn check_distinct(buffers: &[DmaBuf]) -> Result<()> {
    for (index, buffer) in buffers.iter().enumerate() {
        if buffers[..index]
            .iter()
            .any(|earlier| earlier.identity() == buffer.identity())
        {
            return Err(Error::invalid(
                "buffers",
                format!("the same kernel buffer twice, at {index}"),
                "each kernel buffer once: planes refer to it by index",
            ));
        }
    }
    Ok(())
}
