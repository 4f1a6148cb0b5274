//! Turns in the frame's memory itself: addresses instead of copies.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLockReadGuard};
use std::time::{Duration, Instant};

use super::image::Image;
use super::rows::{Object, plane};
use super::turn::{exclusive, shared};
use crate::error::{Error, Result};
use crate::frame::Fence;
use crate::kernel::CpuAccess;
use crate::layout::MAX_PLANES;

/// What [`Image::mapped`] holds while a [`Mapped`] writes.
const WRITER: isize = -1;

/// A turn of the CPU in the frame's own memory, for callers that read and write there by themselves: another language, a
/// library that takes pointers.
///
/// The addresses stay valid as long as the [`Image`] lives, but are to be touched until [`end`](Self::end) alone: then the
/// next one has the turn. Another process that breaks the rules of turns may write at any time. So make no reference of
/// an address in Rust; read and write through raw pointers.
///
/// Threads may share it. Dropping it ends the turn too, and hides an error.
#[derive(Debug)]
#[must_use = "the turn ends when this is dropped"]
pub struct Mapped {
    // Dropped in this order: the access to every object ends first.
    accesses: [Option<CpuAccess>; MAX_PLANES],
    turn: Turn,
}

/// One plane of a [`Mapped`] frame.
#[derive(Clone, Copy, Debug)]
pub struct MappedPlane {
    /// The first byte of the first row.
    pub address: *mut u8,
    /// From one row to the next, in bytes.
    pub pitch: usize,
    /// Bytes in a row, without padding.
    pub row_bytes: usize,
    /// How many rows there are.
    pub rows: usize,
}

/// The image's turn, which no other one overlaps.
#[derive(Debug)]
struct Turn {
    image: Arc<Image>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mapped = &self.image.mapped;
        if mapped.load(Ordering::Acquire) == WRITER {
            mapped.store(0, Ordering::Release);
        } else {
            mapped.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Image {
    /// Begins to write a frame in its memory: waits for `gate`, and announces the access to a dma-buf. All waiting
    /// together ends after `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`Image::write`].
    pub fn map_write(self: &Arc<Self>, gate: &Fence, timeout: Duration) -> Result<Mapped> {
        let turn = {
            let _objects = exclusive(self)?;
            self.mapped.store(WRITER, Ordering::Release);
            Turn {
                image: Arc::clone(self),
            }
        };
        Mapped::begin(turn, gate, timeout, true)
    }

    /// Begins to read a frame in its memory. Otherwise as [`Image::map_write`].
    ///
    /// # Errors
    ///
    /// As for [`Image::read`].
    pub fn map_read(self: &Arc<Self>, acquire: &Fence, timeout: Duration) -> Result<Mapped> {
        let turn = {
            let _objects = shared(self)?;
            self.mapped.fetch_add(1, Ordering::AcqRel);
            Turn {
                image: Arc::clone(self),
            }
        };
        Mapped::begin(turn, acquire, timeout, false)
    }
}

/// During a turn nobody keeps the lock: a turn that would is refused.
fn objects(image: &Image) -> RwLockReadGuard<'_, Vec<Object>> {
    let objects = image.objects.read();
    objects.unwrap_or_else(PoisonError::into_inner)
}

impl Mapped {
    fn begin(turn: Turn, fence: &Fence, timeout: Duration, writes: bool) -> Result<Self> {
        let begun = Instant::now();
        fence.wait(timeout)?;
        let mut accesses = [const { None }; MAX_PLANES];
        let objects = objects(&turn.image);
        for (place, object) in accesses.iter_mut().zip(objects.iter()) {
            let left = timeout.saturating_sub(begun.elapsed());
            *place = match object {
                Object::DmaBuf(mapping) => Some(mapping.access(writes, left)?),
                Object::Host(mapping) if writes && !mapping.is_writable() => {
                    return Err(Error::invalid("mapping", "read-only", "writable"));
                }
                Object::Host(_) => None,
            };
        }
        std::mem::drop(objects);
        Ok(Self { accesses, turn })
    }

    /// Where a plane of the format lies.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a plane that the format has not.
    pub fn plane(&self, index: usize) -> Result<MappedPlane> {
        let image = &self.turn.image;
        let plane = plane(&image.planes, index)?;
        let objects = objects(image);
        let first = match &objects[plane.object] {
            Object::DmaBuf(mapping) => mapping.address(),
            Object::Host(mapping) => mapping.address(),
        };
        Ok(MappedPlane {
            // Within the object: `FrameLayout` has found the plane to end there.
            address: first.as_ptr().wrapping_add(plane.offset),
            pitch: plane.pitch,
            row_bytes: plane.row_bytes,
            rows: plane.rows,
        })
    }

    /// The image, which keeps the memory where it is.
    pub fn image(&self) -> &Arc<Image> {
        &self.turn.image
    }

    /// Ends the turn, and returns the fence for the next one, which has signalled already.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the kernel refuses to end the access to a dma-buf; the turn is over all the same.
    pub fn end(self) -> Result<Fence> {
        let mut ended = Ok(());
        for access in self.accesses.into_iter().flatten() {
            ended = ended.and(access.end());
        }
        ended.map(|()| Fence::Signaled)
    }
}
