//! Copying rows: without padding in the caller's memory, at the frame's pitch in the frame's.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::frame::{Frame, Memory};
use crate::kernel::{CpuRead, CpuWrite, DmaBufMapping, Mapping};
use crate::layout::FrameLayout;

/// Where the rows of one plane lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlaneRows {
    pub(super) object: usize,
    pub(super) offset: usize,
    pub(super) pitch: usize,
    /// Without padding.
    pub(super) row_bytes: usize,
    pub(super) rows: usize,
}

impl PlaneRows {
    /// The planes of a linear layout, which has one memory plane for each format plane.
    pub(super) fn of(layout: &FrameLayout) -> Result<Vec<Self>> {
        let extent = layout.extent();
        let info = layout.format_info();
        let too_big = || Error::invalid("extent", extent, "small enough for this machine");
        layout
            .planes()
            .iter()
            .enumerate()
            .map(|(index, plane)| {
                let row = info.row_bytes(index, extent.width).ok_or_else(too_big)?;
                let rows = info.rows(index, extent.height).ok_or_else(too_big)?;
                Ok(Self {
                    object: plane.object,
                    offset: usize::try_from(plane.offset).map_err(|_| too_big())?,
                    pitch: usize::try_from(plane.pitch).map_err(|_| too_big())?,
                    row_bytes: usize::try_from(row).map_err(|_| too_big())?,
                    rows: usize::try_from(rows).map_err(|_| too_big())?,
                })
            })
            .collect()
    }

    /// Where a row begins, if a slice of `bytes` bytes is what holds it.
    fn row(&self, row: usize, bytes: usize) -> Result<usize> {
        if row >= self.rows {
            let limit = format!("below {}, the rows of the plane", self.rows);
            return Err(Error::invalid("row", row, limit));
        }
        self.check_length(bytes, 1)?;
        // Cannot overflow: `FrameLayout` has found the plane to end within its object.
        Ok(self.offset + self.pitch * row)
    }

    fn check_length(&self, bytes: usize, rows: usize) -> Result<()> {
        let expected = self.row_bytes * rows;
        if bytes == expected {
            return Ok(());
        }
        let limit = format!("{expected} bytes: {rows} rows of {}", self.row_bytes);
        Err(Error::invalid("slice length", bytes, limit))
    }
}

pub(super) fn plane(planes: &[PlaneRows], index: usize) -> Result<&PlaneRows> {
    planes.get(index).ok_or_else(|| {
        let limit = format!("below {}, the planes of the format", planes.len());
        Error::invalid("plane", index, limit)
    })
}

/// One of the frame's memory objects, mapped.
#[derive(Debug)]
pub(super) enum Object {
    DmaBuf(DmaBufMapping),
    Host(Mapping),
}

impl Object {
    pub(super) fn map(frame: &Frame) -> Result<Vec<Self>> {
        match frame.memory() {
            Memory::DmaBuf(buffers) => buffers
                .iter()
                .map(|buffer| DmaBufMapping::new(buffer).map(Self::DmaBuf))
                .collect(),
            Memory::HostMemory(memfd) => Ok(vec![Self::Host(Mapping::as_allowed(memfd)?)]),
            Memory::OpaqueFd(_) => Err(Error::invalid(
                "memory",
                frame.memory().path(),
                "dma-buf or host-memory",
            )),
        }
    }
}

/// What is left of a timeout that several waits share.
struct Deadline {
    begun: Instant,
    timeout: Duration,
}

impl Deadline {
    fn new(timeout: Duration) -> Self {
        Self {
            begun: Instant::now(),
            timeout,
        }
    }

    fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.begun.elapsed())
    }
}

#[derive(Debug)]
enum Read<'a> {
    DmaBuf(CpuRead<'a>),
    Host(&'a Mapping),
}

/// The rows of a frame while the CPU reads it.
///
/// A process that breaks the rules of turns may write meanwhile. Then rows are torn; nothing worse happens.
#[derive(Debug)]
pub struct ReadRows<'a> {
    planes: &'a [PlaneRows],
    objects: Vec<Read<'a>>,
}

impl<'a> ReadRows<'a> {
    pub(super) fn begin(
        planes: &'a [PlaneRows],
        objects: &'a [Object],
        timeout: Duration,
    ) -> Result<Self> {
        let deadline = Deadline::new(timeout);
        let objects = objects
            .iter()
            .map(|object| match object {
                Object::DmaBuf(mapping) => mapping.read(deadline.left()).map(Read::DmaBuf),
                Object::Host(mapping) => Ok(Read::Host(mapping)),
            })
            .collect::<Result<_>>()?;
        Ok(Self { planes, objects })
    }

    /// Ends the access to every object, and tells the first error.
    pub(super) fn end(self) -> Result<()> {
        let mut ended = Ok(());
        for object in self.objects {
            if let Read::DmaBuf(access) = object {
                ended = ended.and(access.end());
            }
        }
        ended
    }

    /// Copies one row out to `target`, which has the length [`Image::row_bytes`](super::Image::row_bytes).
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a plane or row that there is not, or a slice of another length.
    pub fn read_row(&self, plane: usize, row: usize, target: &mut [u8]) -> Result<()> {
        let plane = self::plane(self.planes, plane)?;
        let offset = plane.row(row, target.len())?;
        match &self.objects[plane.object] {
            Read::DmaBuf(access) => access.copy_out(offset, target),
            Read::Host(mapping) => mapping.copy_out(offset, target),
        }
    }

    /// Copies a whole plane out to `target`, rows without padding
    /// ([`Image::plane_bytes`](super::Image::plane_bytes)).
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a plane that there is not, or a slice of another length.
    pub fn read_plane(&self, plane: usize, target: &mut [u8]) -> Result<()> {
        let geometry = self::plane(self.planes, plane)?;
        geometry.check_length(target.len(), geometry.rows)?;
        for (row, target) in target.chunks_exact_mut(geometry.row_bytes).enumerate() {
            self.read_row(plane, row, target)?;
        }
        Ok(())
    }
}

#[derive(Debug)]
enum Write<'a> {
    DmaBuf(CpuWrite<'a>),
    Host(&'a mut Mapping),
}

/// The rows of a frame while the CPU writes it.
#[derive(Debug)]
pub struct WriteRows<'a> {
    planes: &'a [PlaneRows],
    objects: Vec<Write<'a>>,
}

impl<'a> WriteRows<'a> {
    pub(super) fn begin(
        planes: &'a [PlaneRows],
        objects: &'a mut [Object],
        timeout: Duration,
    ) -> Result<Self> {
        let deadline = Deadline::new(timeout);
        let objects = objects
            .iter_mut()
            .map(|object| match object {
                Object::DmaBuf(mapping) => mapping.write(deadline.left()).map(Write::DmaBuf),
                Object::Host(mapping) => Ok(Write::Host(mapping)),
            })
            .collect::<Result<_>>()?;
        Ok(Self { planes, objects })
    }

    /// Ends the access to every object, and tells the first error.
    pub(super) fn end(self) -> Result<()> {
        let mut ended = Ok(());
        for object in self.objects {
            if let Write::DmaBuf(access) = object {
                ended = ended.and(access.end());
            }
        }
        ended
    }

    /// Copies `source`, which has the length [`Image::row_bytes`](super::Image::row_bytes), to one row. The padding
    /// after it is left alone.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a plane or row that there is not, or a slice of another length.
    pub fn write_row(&mut self, plane: usize, row: usize, source: &[u8]) -> Result<()> {
        let plane = self::plane(self.planes, plane)?;
        let offset = plane.row(row, source.len())?;
        match &mut self.objects[plane.object] {
            Write::DmaBuf(access) => access.copy_in(offset, source),
            Write::Host(mapping) => mapping.copy_in(offset, source),
        }
    }

    /// Copies `source`, rows without padding ([`Image::plane_bytes`](super::Image::plane_bytes)), to a whole plane.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a plane that there is not, or a slice of another length.
    pub fn write_plane(&mut self, plane: usize, source: &[u8]) -> Result<()> {
        let geometry = *self::plane(self.planes, plane)?;
        geometry.check_length(source.len(), geometry.rows)?;
        for (row, source) in source.chunks_exact(geometry.row_bytes).enumerate() {
            self.write_row(plane, row, source)?;
        }
        Ok(())
    }
}
