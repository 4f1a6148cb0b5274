//! A frame that the CPU has mapped.

use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::time::{Duration, Instant};

use super::rows::{Object, PlaneRows, ReadRows, WriteRows};
use crate::error::{Error, Result};
use crate::frame::{Fence, Frame};

/// A frame in the CPU's address space, made by [`Device::export`](super::Device::export) or over somebody else's
/// memory by [`Device::import`](super::Device::import).
///
/// Threads may share it; it is read by any number at once, or written by one.
#[derive(Debug)]
pub struct Image {
    // Dropped in this order.
    objects: RwLock<Vec<Object>>,
    planes: Vec<PlaneRows>,
    frame: Frame,
}

impl Image {
    /// Maps a frame of linear planes.
    pub(super) fn new(frame: &Frame) -> Result<Self> {
        Ok(Self {
            objects: RwLock::new(Object::map(frame)?),
            planes: PlaneRows::of(frame.layout())?,
            frame: frame.clone(),
        })
    }

    /// The frame to pass on.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// How often this side copies each frame: once, between the caller's memory and the frame's.
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

    /// Writes a frame: waits for `gate`, runs `copy`, and returns the acquire fence for the next reader, which has
    /// signalled already.
    ///
    /// `gate` is the release fence that came with [`Free::acquire`](crate::Free::acquire). What `copy` does not write
    /// keeps its contents, padding included. Around it a dma-buf's access is announced (`DMA_BUF_IOCTL_SYNC`). All
    /// waiting together ends after `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when the gate or another user of the dma-buf is not done in time; [`Error::FenceFailed`] when
    /// the work behind the gate has ended in an error; [`Error::Invalid`] while the image is in use, by `copy` itself for
    /// instance, or for memory that may only be read; [`Error::Os`]; and those of `copy`. The image can be written again
    /// after each.
    pub fn write(
        &self,
        gate: &Fence,
        timeout: Duration,
        copy: impl FnOnce(&mut WriteRows<'_>) -> Result<()>,
    ) -> Result<Fence> {
        let mut objects = self.exclusive()?;
        let begun = Instant::now();
        gate.wait(timeout)?;
        let left = timeout.saturating_sub(begun.elapsed());
        let mut rows = WriteRows::begin(&self.planes, &mut objects, left)?;
        copy(&mut rows)?;
        rows.end()?;
        Ok(Fence::Signaled)
    }

    /// Reads a frame: waits for `acquire`, runs `copy`, and returns the release fence for the next writer, which has
    /// signalled already.
    ///
    /// `acquire` is the fence that came with [`Received::acquire`](crate::Received::acquire). Otherwise as
    /// [`Image::write`].
    ///
    /// # Errors
    ///
    /// As for [`Image::write`]; memory that may only be read will do.
    pub fn read(
        &self,
        acquire: &Fence,
        timeout: Duration,
        copy: impl FnOnce(&ReadRows<'_>) -> Result<()>,
    ) -> Result<Fence> {
        let objects = self.shared()?;
        let begun = Instant::now();
        acquire.wait(timeout)?;
        let left = timeout.saturating_sub(begun.elapsed());
        let rows = ReadRows::begin(&self.planes, &objects, left)?;
        copy(&rows)?;
        rows.end()?;
        Ok(Fence::Signaled)
    }

    /// Turns exclude each other by themselves, so nobody waits here: a closure that uses its own image would do so
    /// for ever.
    fn exclusive(&self) -> Result<RwLockWriteGuard<'_, Vec<Object>>> {
        match self.objects.try_write() {
            Ok(objects) => Ok(objects),
            // The objects are the same after every access, whatever panics in a caller's closure.
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(in_use()),
        }
    }

    fn shared(&self) -> Result<RwLockReadGuard<'_, Vec<Object>>> {
        match self.objects.try_read() {
            Ok(objects) => Ok(objects),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(in_use()),
        }
    }
}

fn in_use() -> Error {
    Error::invalid(
        "image",
        "in use",
        "read by any number at a time, or written by one: wait for the turn",
    )
}
