//! Turns: the CPU waits, copies, and is done.

use std::sync::atomic::Ordering;
use std::sync::{RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::time::{Duration, Instant};

use super::image::Image;
use super::rows::{Object, ReadRows, WriteRows};
use crate::error::{Error, Result};
use crate::frame::Fence;

impl Image {
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
        let mut objects = exclusive(self)?;
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
        let objects = shared(self)?;
        let begun = Instant::now();
        acquire.wait(timeout)?;
        let left = timeout.saturating_sub(begun.elapsed());
        let rows = ReadRows::begin(&self.planes, &objects, left)?;
        copy(&rows)?;
        rows.end()?;
        Ok(Fence::Signaled)
    }
}

/// Turns exclude each other by themselves, so nobody waits here: a closure that uses its own image would do so
/// for ever.
pub(super) fn exclusive(image: &Image) -> Result<RwLockWriteGuard<'_, Vec<Object>>> {
    let objects = match image.objects.try_write() {
        Ok(objects) => objects,
        // The objects are the same after every access, whatever panics in a caller's closure.
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return Err(in_use()),
    };
    // Changed under the lock alone, but for the end of a turn.
    match image.mapped.load(Ordering::Acquire) {
        0 => Ok(objects),
        _ => Err(in_use()),
    }
}

pub(super) fn shared(image: &Image) -> Result<RwLockReadGuard<'_, Vec<Object>>> {
    let objects = match image.objects.try_read() {
        Ok(objects) => objects,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return Err(in_use()),
    };
    match image.mapped.load(Ordering::Acquire) {
        0.. => Ok(objects),
        _ => Err(in_use()),
    }
}

pub(super) fn in_use() -> Error {
    Error::invalid(
        "image",
        "in use",
        "read by any number at a time, or written by one: wait for the turn",
    )
}
