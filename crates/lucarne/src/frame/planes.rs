//! Frames as other APIs pass them: a descriptor, an offset and a pitch for each plane.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use super::frame::{Frame, Memory};
use crate::device_id::DeviceId;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::kernel::DmaBuf;
use crate::layout::{Extent, FrameLayout, Plane, Tiling};

/// One memory plane as other APIs pass it: a dma-buf's descriptor, and where the plane lies in that buffer.
///
/// Planes may share a buffer. Each then has a descriptor for it, the same one or a duplicate.
///
/// Offset and pitch have 32 bits, as in `linux-dmabuf`, EGL, V4L2, PipeWire and KMS. Every plane of a [`Frame`] fits: its
/// end is below [`MAX_REACH`](crate::MAX_REACH).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DmaBufPlane<Fd = OwnedFd> {
    /// The buffer that the plane lies in.
    pub fd: Fd,
    /// Where the plane starts in the buffer, in bytes.
    pub offset: u32,
    /// From one row to the next, in bytes.
    #[doc(alias = "stride")]
    pub pitch: u32,
}

impl Frame {
    /// A frame of dma-bufs that came from elsewhere: a `wl_buffer`, a camera, PipeWire, another library.
    ///
    /// Give one entry for each memory plane, in the planes' order. The frame owns the descriptors from here on. Planes in one
    /// buffer are found by the buffer's identity, and the buffer is then held once. Does not block.
    ///
    /// The colours are the format's default ([`Frame::with_color`] sets others). Nothing is known of the device
    /// ([`DeviceId::default`]): an import tries, and the driver may refuse a layout of another GPU. Where you know the device,
    /// use [`Frame::new`].
    ///
    /// The frame says nothing of whose turn it is. Before you read, wait for the fence that came with the buffer; where none
    /// came, take [`Frame::implicit_fence`]. `docs/interop.md` in the repository has recipes.
    ///
    /// ```
    /// use lucarne::kernel::Memfd;
    /// use lucarne::{DmaBufPlane, Extent, Format, Frame, Tiling};
    /// # use std::os::fd::{AsFd as _, OwnedFd};
    /// # let memfd = Memfd::create("frame", 4 << 20)?; // sealed: it stands in for a dma-buf
    /// # let fd_from_elsewhere = || memfd.as_fd().try_clone_to_owned();
    ///
    /// // What came: NV12, two planes in one buffer, a descriptor for each, and DRM's numbers for format and modifier.
    /// let (fourcc, modifier) = (0x3231_564e, 0);
    /// let planes = vec![
    ///     DmaBufPlane { fd: fd_from_elsewhere()?, offset: 0, pitch: 1280 },
    ///     DmaBufPlane { fd: fd_from_elsewhere()?, offset: 1280 * 720, pitch: 1280 },
    /// ];
    ///
    /// let (format, tiling) = (Format::from_fourcc(fourcc), Tiling::from_code(modifier));
    /// let frame = Frame::from_dma_bufs(Extent::new(1280, 720), format, tiling, planes)?;
    /// assert_eq!(frame.layout().objects(), 1); // one buffer, held once
    ///
    /// // And out again, for another API. The descriptors stay the frame's.
    /// let planes = frame.dma_buf_planes()?;
    /// assert_eq!((planes[1].offset, planes[1].pitch), (1280 * 720, 1280));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], naming the field, its value and its limit, for a descriptor that is no dma-buf ([`DmaBuf::new`]) and
    /// for planes that do not fit the format, the modifier or their buffers ([`FrameLayout::new`]); [`Error::Os`] when the
    /// kernel does not answer. Every descriptor is closed then.
    #[doc(alias = "import")]
    #[doc(alias = "wl_buffer")]
    #[doc(alias = "PRIME")]
    #[doc(alias = "V4L2")]
    pub fn from_dma_bufs(
        extent: Extent,
        format: Format,
        tiling: Tiling,
        planes: Vec<DmaBufPlane>,
    ) -> Result<Self> {
        let places: Vec<(u32, u32)> = planes.iter().map(|one| (one.offset, one.pitch)).collect();
        let fds = planes.into_iter().map(|plane| plane.fd).collect();
        let (buffers, objects) = DmaBuf::of_planes(fds)?;
        let planes: Vec<Plane> = places
            .into_iter()
            .zip(objects)
            .map(|((offset, pitch), object)| Plane {
                object,
                offset: u64::from(offset),
                pitch: u64::from(pitch),
            })
            .collect();
        let sizes: Vec<u64> = buffers.iter().map(DmaBuf::size).collect();
        let layout = FrameLayout::new(extent, format, tiling, &planes, &sizes)?;
        Self::new(layout, Memory::DmaBuf(buffers), DeviceId::default())
    }

    /// The frame's memory planes as other APIs take them: one entry for each, in the planes' order.
    ///
    /// The descriptors are lent: they stay the frame's, and are closed with it. Where the other API keeps or closes what it
    /// is given, give it `plane.fd.try_clone_to_owned()`. Planes in one buffer have the same descriptor.
    ///
    /// The rest of what such an API asks for is in [`Frame::layout`]: [`FrameLayout::extent`], [`Format::fourcc`] and
    /// [`Tiling::code`].
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a frame of other memory than dma-bufs.
    #[doc(alias = "export")]
    #[doc(alias = "wl_buffer")]
    #[doc(alias = "stride")]
    #[doc(alias = "PRIME")]
    #[expect(
        clippy::missing_panics_doc,
        reason = "a layout's planes end below MAX_REACH, which is below 2^31"
    )]
    pub fn dma_buf_planes(&self) -> Result<Vec<DmaBufPlane<BorrowedFd<'_>>>> {
        let Memory::DmaBuf(buffers) = self.memory() else {
            return Err(Error::invalid(
                "frame.memory",
                self.memory().path(),
                "dma-buf: ask for it with Request::paths(&[MemoryPath::DmaBuf])",
            ));
        };
        let narrow = |bytes: u64| u32::try_from(bytes).expect("below MAX_REACH");
        let planes = self.layout().planes().iter();
        Ok(planes
            .map(|plane| DmaBufPlane {
                fd: buffers[plane.object].as_fd(),
                offset: narrow(plane.offset),
                pitch: narrow(plane.pitch),
            })
            .collect())
    }
}
