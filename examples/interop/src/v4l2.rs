//! V4L2: a camera's or a decoder's buffer as a frame.

// begin
use std::error::Error;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd};

use lucarne::{DmaBufPlane, Extent, Format, Frame, Modifier, Tiling};
use rustix::fs::OFlags;
use rustix::ioctl::{Updater, ioctl, opcode};

/// `struct v4l2_exportbuffer` of `linux/videodev2.h`.
#[repr(C)]
#[derive(Default)]
struct ExportBuffer {
    kind: u32,
    index: u32,
    plane: u32,
    flags: u32,
    fd: i32,
    reserved: [u32; 11],
}

/// `VIDIOC_EXPBUF`: the dma-buf of one plane of one buffer. `kind` is a `v4l2_buf_type`, such as 1 for a camera's.
pub fn export(device: BorrowedFd<'_>, kind: u32, index: u32, plane: u32) -> io::Result<OwnedFd> {
    let mut request = ExportBuffer {
        kind,
        index,
        plane,
        flags: (OFlags::CLOEXEC | OFlags::RDWR).bits(),
        ..ExportBuffer::default()
    };
    const EXPBUF: u32 = opcode::read_write::<ExportBuffer>(b'V', 16) as u32;
    // SAFETY: VIDIOC_EXPBUF reads and writes one `struct v4l2_exportbuffer`, which `ExportBuffer` is.
    let update = unsafe { Updater::<{ EXPBUF as _ }, _>::new(&mut request) };
    // SAFETY: as above; `device` is open.
    unsafe { ioctl(device, update) }?;
    // SAFETY: the request has succeeded: this is a new descriptor, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(request.fd) })
}

/// DRM's name for a V4L2 format. Most have the same four characters; these have not.
pub fn format(pixelformat: u32) -> Format {
    match &pixelformat.to_le_bytes() {
        b"BGR3" => Format::RGB888,
        b"RGB3" => Format::BGR888,
        b"GREY" => Format::R8,
        b"RGBP" => Format::RGB565,
        b"NM12" => Format::NV12,
        b"NM16" => Format::NV16,
        b"YM12" => Format::YUV420,
        same => Format::from_characters(same),
    }
}

/// The frame of one buffer in the single-planar API, as `VIDIOC_G_FMT` told its format: all planes are in `fd`, one
/// behind the other. Make it once for each buffer, after `VIDIOC_REQBUFS`.
pub fn frame(
    fd: OwnedFd,
    extent: Extent,
    pixelformat: u32,
    bytesperline: u32,
) -> Result<Frame, Box<dyn Error>> {
    let format = format(pixelformat);
    let shapes = format.info().map_or(&[][..], |info| info.planes);
    let mut offset = 0;
    let mut planes = Vec::new();
    for shape in shapes {
        // V4L2 tells the first plane's pitch only. The others' follow from the format.
        let share = u32::from(shape.block_bytes) * bytesperline / u32::from(shapes[0].block_bytes);
        let pitch = share / u32::from(shape.horizontal_subsampling);
        let fd = fd.try_clone()?;
        planes.push(DmaBufPlane { fd, offset, pitch });
        offset += pitch * shape.rows(extent.height);
    }
    let tiling = Tiling::Explicit(Modifier::LINEAR);
    Ok(Frame::from_dma_bufs(extent, format, tiling, planes)?)
}
// end
