//! Frames: geometry, and the memory behind it.

use std::mem::MaybeUninit;
use std::os::fd::IntoRawFd as _;
use std::time::Duration;

use lucarne::{DmaBufPlane, Extent, Format, Frame, Tiling};

use super::descriptor::{self, LUCARNE_NO_FD};
use super::error::{lucarne_error, lucarne_status};
use super::fence::lucarne_fence;
use super::guard::{self, given};
use super::words::LUCARNE_MAX_PLANES;
use crate::convert;
use crate::failure::{Failure, Result};
use crate::image::plane_size;

const PLANES: usize = LUCARNE_MAX_PLANES as usize;

/// A picture's geometry and the memory that it lies in. Holding one is no permission to touch it: whose turn it is, is in
/// `lucarne_writing` and `lucarne_reading`. End it with `lucarne_frame_free`, unless it was lent. Any thread, several at once.
#[derive(Clone, Debug)]
pub struct lucarne_frame(Frame);

impl lucarne_frame {
    pub(crate) fn new(frame: &Frame) -> Self {
        Self(frame.clone())
    }

    pub(super) fn frame(&self) -> &Frame {
        &self.0
    }
}

/// Where one memory plane lies.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_plane {
    /// Which of the frame's memory objects it lies in, from 0.
    pub object: u32,
    /// From one row to the next, in bytes.
    pub pitch: u32,
    /// Where it starts in the object, in bytes.
    pub offset: u64,
}

/// Where each byte of a frame lies.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_frame_layout {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// DRM's code of the format.
    pub format: u32,
    /// The memory: `LUCARNE_PATH_…`.
    pub path: u32,
    /// DRM's code of the layout; `LUCARNE_MODIFIER_INVALID` for one that only the driver knows.
    pub modifier: u64,
    /// How many of `planes` there are; 0 for opaque memory.
    pub plane_count: u32,
    /// How many memory objects the planes lie in.
    pub object_count: u32,
    /// 1 where the memory is an emulated dma-buf, which no GPU is given.
    pub emulated: u32,
    /// 1 where a software device made it.
    pub software: u32,
    /// The memory planes; those beyond `plane_count` are zero.
    pub planes: [lucarne_plane; 4],
}

/// One memory plane as other libraries pass it: a dma-buf's descriptor, and where the plane lies in that buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct lucarne_dma_buf_plane {
    /// The dma-buf, or `LUCARNE_NO_FD`.
    pub fd: i32,
    /// Where the plane starts in the buffer, in bytes.
    pub offset: u32,
    /// From one row to the next, in bytes.
    pub pitch: u32,
}

/// A frame of dma-bufs that came from elsewhere: a `wl_buffer`, a camera, PipeWire, another library. One entry of `planes` for each
/// memory plane, in order; planes in one buffer may have the same descriptor, or duplicates.
///
/// Takes the descriptors on success alone; after a failure they are still the caller's. Everything is compared with the format, the
/// modifier and the buffers' real sizes before any driver sees it. Make it once for each buffer, and keep it. Does not block.
/// Any thread.
///
/// # Safety
///
/// `planes` is `NULL`, or points to `count` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_frame_from_dma_bufs(
    width: u32,
    height: u32,
    format: u32,
    modifier: u64,
    planes: *const lucarne_dma_buf_plane,
    count: usize,
    frame: Option<&mut MaybeUninit<Option<Box<lucarne_frame>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(frame, "frame", error, || {
        // SAFETY: this function's contract.
        let given_planes = unsafe { guard::array(planes, count, "planes") }?;
        if count > PLANES {
            return Err(Failure::argument("count", count, format!("1 to {PLANES}")));
        }
        let own = |plane: &lucarne_dma_buf_plane| {
            Ok(DmaBufPlane {
                fd: descriptor::duplicate(plane.fd, "planes[].fd")?,
                offset: plane.offset,
                pitch: plane.pitch,
            })
        };
        let own = given_planes.iter().map(own).collect::<Result<_>>()?;
        let (extent, format) = (Extent::new(width, height), Format::from_fourcc(format));
        let frame = Frame::from_dma_bufs(extent, format, Tiling::from_code(modifier), own)?;
        let fds: Vec<i32> = given_planes.iter().map(|plane| plane.fd).collect();
        descriptor::close_given(&fds);
        Ok(lucarne_frame(frame))
    })
}

/// The frame's geometry.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_frame_describe(
    frame: Option<&lucarne_frame>,
    layout: Option<&mut MaybeUninit<lucarne_frame_layout>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(layout, "layout", error, || {
        let frame = given(frame, "frame")?.frame();
        let layout = frame.layout();
        let mut planes = [lucarne_plane::default(); PLANES];
        for (place, plane) in planes.iter_mut().zip(layout.planes()) {
            *place = lucarne_plane {
                object: narrow(plane.object),
                pitch: narrow(plane.pitch),
                offset: plane.offset,
            };
        }
        Ok(lucarne_frame_layout {
            width: layout.extent().width,
            height: layout.extent().height,
            format: layout.format().fourcc(),
            path: convert::path_code(frame.memory().path()),
            modifier: layout.tiling().code(),
            plane_count: narrow(layout.planes().len()),
            object_count: narrow(layout.objects()),
            emulated: u32::from(frame.is_emulated()),
            software: u32::from(frame.device().software),
            planes,
        })
    })
}

/// A layout's numbers are below 2^31.
fn narrow<T: TryInto<u32>>(number: T) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}

/// Bytes in a row of a plane of the format, without padding; 0 for a plane that the format has not, and for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_frame_row_bytes(frame: Option<&lucarne_frame>, plane: u32) -> u32 {
    size_of_plane(frame, plane).map_or(0, |size| size.row_bytes)
}

/// Rows of a plane of the format; 0 for a plane that the format has not, and for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_frame_rows(frame: Option<&lucarne_frame>, plane: u32) -> u32 {
    size_of_plane(frame, plane).map_or(0, |size| size.rows)
}

/// Bytes of a plane of the format whose rows follow each other without padding; 0 as above. What `lucarne_image_write_plane` and
/// `lucarne_image_read_plane` take.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_frame_plane_bytes(frame: Option<&lucarne_frame>, plane: u32) -> usize {
    size_of_plane(frame, plane).map_or(0, |size| size.bytes())
}

fn size_of_plane(frame: Option<&lucarne_frame>, plane: u32) -> Option<crate::image::PlaneSize> {
    guard::plain(None, || {
        plane_size(frame?.frame(), usize::try_from(plane).ok()?)
    })
}

/// The frame's dma-bufs for another library, one entry for each memory plane. Writes as many as there are into `planes`, whose
/// `capacity` of 4 (`LUCARNE_MAX_PLANES`) is always enough; the rest is `LUCARNE_NO_FD`.
///
/// The descriptors are new ones, close-on-exec, which the caller closes, one for each plane. The rest of what such a library asks
/// for is in `lucarne_frame_describe`. A frame of other memory than dma-bufs is refused.
///
/// # Safety
///
/// `planes` is `NULL`, or has room for `capacity` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_frame_dup_dma_bufs(
    frame: Option<&lucarne_frame>,
    planes: *mut lucarne_dma_buf_plane,
    capacity: usize,
    count: Option<&mut MaybeUninit<u32>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(count, "count", error, || {
        // SAFETY: this function's contract.
        let places = unsafe { guard::places(planes, capacity, "planes") }?;
        for place in places.iter_mut() {
            place.write(lucarne_dma_buf_plane {
                fd: LUCARNE_NO_FD,
                offset: 0,
                pitch: 0,
            });
        }
        let lent = given(frame, "frame")?.frame().dma_buf_planes()?;
        if places.len() < lent.len() {
            let limit = format!("at least {}, the frame's planes", lent.len());
            return Err(Failure::argument("capacity", capacity, limit));
        }
        // All of them, or none.
        let own = lent.iter().map(|plane| descriptor::duplicate_of(plane.fd));
        let own = own.collect::<Result<Vec<_>>>()?;
        for ((place, plane), fd) in places.iter_mut().zip(&lent).zip(own) {
            place.write(lucarne_dma_buf_plane {
                fd: fd.into_raw_fd(),
                offset: plane.offset,
                pitch: plane.pitch,
            });
        }
        Ok(narrow(lent.len()))
    })
}

/// The fence that the frame's dma-bufs carry, for a peer that passes none: `role` (`LUCARNE_FENCE_ROLE_…`) is whom it gates. Other
/// memory, and emulated dma-bufs, carry none: `LUCARNE_STATUS_UNSUPPORTED`. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_frame_implicit_fence(
    frame: Option<&lucarne_frame>,
    role: u32,
    fence: Option<&mut MaybeUninit<Option<Box<lucarne_fence>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(fence, "fence", error, || {
        let frame = given(frame, "frame")?.frame();
        let role = convert::fence_role(role)?;
        Ok(lucarne_fence::new(frame.implicit_fence(role)?))
    })
}

/// Puts a fence on the frame's dma-bufs, for a peer that looks nowhere else: a writer's work as `LUCARNE_FENCE_ROLE_ACQUIRE`, a
/// reader's as `LUCARNE_FENCE_ROLE_RELEASE`. The fence stays the caller's. `timeout` is in nanoseconds; this waits only for a fence that
/// nobody has submitted work for yet.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_frame_attach_fence(
    frame: Option<&lucarne_frame>,
    role: u32,
    fence: Option<&lucarne_fence>,
    timeout: u64,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let frame = given(frame, "frame")?.frame();
        let fence = given(fence, "fence")?.fence();
        let role = convert::fence_role(role)?;
        Ok(frame.attach_fence(role, fence, Duration::from_nanos(timeout))?)
    })
}

/// The same frame once more: it shares the memory. For keeping one that was lent.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_frame_clone(
    frame: Option<&lucarne_frame>,
    clone: Option<&mut MaybeUninit<Option<Box<lucarne_frame>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(clone, "clone", error, || Ok(given(frame, "frame")?.clone()))
}

/// Ends a frame: closes its descriptors, where nobody else has them. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_frame_free(frame: Option<Box<lucarne_frame>>) {
    guard::free(frame);
}
