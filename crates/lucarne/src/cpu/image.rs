//! A frame that the CPU has mapped.

use std::sync::RwLock;
use std::sync::atomic::AtomicIsize;

use super::rows::{Object, PlaneRows};
use crate::error::Result;
use crate::frame::Frame;

/// A frame in the CPU's address space, made by [`Device::export`](super::Device::export) or over somebody else's
/// memory by [`Device::import`](super::Device::import).
///
/// Threads may share it; it is read by any number at once, or written by one.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use lucarne::{Extent, Fence, Request, Usage, cpu, negotiate};
///
/// const TIMEOUT: Duration = Duration::from_secs(1);
///
/// let device = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?;
/// let (from, to) = (device.offer(Usage::RENDER)?, device.offer(Usage::SAMPLE)?);
/// let agreement = negotiate(&from, &to, &Request::new(Extent::new(64, 16)))?;
///
/// // One end allocates and writes, the other maps the same memory and reads.
/// let written = device.export(&agreement)?;
/// let pixels = vec![0x55; written.plane_bytes(0)];
/// let acquire = written.write(&Fence::Signaled, TIMEOUT, |rows| rows.write_plane(0, &pixels))?;
///
/// let seen = device.import(written.frame())?;
/// let mut copy = vec![0; seen.plane_bytes(0)];
/// let _release = seen.read(&acquire, TIMEOUT, |rows| rows.read_plane(0, &mut copy))?;
/// assert_eq!(copy, pixels);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # References
///
/// - [dma-buf](https://docs.kernel.org/driver-api/dma-buf.html#cpu-access-to-dma-buffer-objects): the kernel's rules for
///   access by the CPU
#[derive(Debug)]
pub struct Image {
    // Dropped in this order.
    pub(super) objects: RwLock<Vec<Object>>,
    pub(super) planes: Vec<PlaneRows>,
    /// How many [`Mapped`](super::Mapped) read it; -1 while one writes.
    pub(super) mapped: AtomicIsize,
    frame: Frame,
}

impl Image {
    /// Maps a frame of linear planes.
    pub(super) fn new(frame: &Frame) -> Result<Self> {
        Ok(Self {
            objects: RwLock::new(Object::map(frame)?),
            planes: PlaneRows::of(frame.layout())?,
            mapped: AtomicIsize::new(0),
            frame: frame.clone(),
        })
    }

    /// The frame to pass on.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// How often this side copies each frame: once, between the caller's memory and the frame's. [`Image::map_read`] and
    /// [`Image::map_write`] do without.
    pub fn copies_per_frame(&self) -> u32 {
        1
    }

    /// How many planes the format has.
    pub fn planes(&self) -> usize {
        self.planes.len()
    }

    /// Bytes in a row of a plane, without padding; 0 for a plane that the format has not.
    pub fn row_bytes(&self, plane: usize) -> usize {
        self.planes.get(plane).map_or(0, |plane| plane.row_bytes)
    }

    /// Rows of a plane; 0 for a plane that the format has not.
    pub fn rows(&self, plane: usize) -> usize {
        self.planes.get(plane).map_or(0, |plane| plane.rows)
    }

    /// Bytes of a plane whose rows follow each other without padding.
    pub fn plane_bytes(&self, plane: usize) -> usize {
        self.row_bytes(plane) * self.rows(plane)
    }
}
