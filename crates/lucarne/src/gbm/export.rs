//! Making buffers that others import.

use std::ffi::c_int;

use super::allocate::{Made, make};
use super::buffer::{Bo, Buffer};
use super::device::Device;
use super::inner::DeviceInner;
use super::{handoff, offer};
use crate::error::{Error, Result};
use crate::format::FormatInfo;
use crate::frame::{Frame, Memory};
use crate::kernel::DmaBuf;
use crate::layout::{Extent, FrameLayout, Plane, Tiling};
use crate::negotiate::{Agreement, MemoryPath};

impl Device {
    /// Makes a buffer as agreed and exports its memory. The device that draws must import the frame too, as the one that
    /// shows it does.
    ///
    /// The driver chooses among the agreed modifiers (`gbm_bo_create_with_modifiers2`); the frame's layout says which,
    /// and where each memory plane lies. A linear buffer is made wider and higher than the frame, so that its pitch is a
    /// multiple of [`LINEAR_PITCH_ALIGNMENT`](crate::layout::LINEAR_PITCH_ALIGNMENT) bytes and it has room for a multiple
    /// of [`LINEAR_HEIGHT_ALIGNMENT`](crate::layout::LINEAR_HEIGHT_ALIGNMENT) rows.
    /// The frame owns its descriptors; each kernel buffer is held once, however many planes lie in it.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] when another path than dma-buf was agreed on; [`Error::Invalid`] for an agreement without
    /// modifiers, an unknown format or an extent out of its limits; [`Error::Driver`] when the driver refuses, for
    /// example because the buffer is too large; [`Error::Os`] without descriptors.
    #[doc(alias = "gbm_bo_create_with_modifiers2")]
    pub fn export(&self, agreement: &Agreement) -> Result<Buffer> {
        let device = self.inner();
        let path = agreement.path();
        offer::path_support(path).require(&format!("allocating {path} frames with GBM"))?;
        if agreement.modifiers.is_empty() {
            return Err(Error::invalid(
                "agreement",
                "a dma-buf without any modifier",
                "one with the modifiers of Device::offer_for",
            ));
        }
        debug_assert_eq!(path, MemoryPath::DmaBuf, "the only path that is supported");
        agreement.extent.check()?;
        let info = agreement
            .format
            .info()
            .ok_or_else(|| Error::unknown_format(agreement.format))?;
        let usage = agreement.producer | agreement.consumer;
        let made = make(device, agreement.extent, info, &agreement.modifiers, usage)?;
        let frame = describe(device, &made, agreement.extent, info)?;
        Ok(made.bo.keep(device, frame))
    }
}

/// Exports every plane, and holds each kernel buffer once.
fn describe(
    device: &DeviceInner,
    made: &Made<'_>,
    extent: Extent,
    info: &FormatInfo,
) -> Result<Frame> {
    let mut buffers: Vec<DmaBuf> = Vec::new();
    let mut planes = Vec::new();
    for index in 0..c_int::from(made.planes) {
        let buffer = DmaBuf::new(handoff::plane_fd(device, &made.bo, index)?)?;
        let object = hold(&mut buffers, buffer);
        planes.push(plane(device, &made.bo, index, object));
    }
    let sizes: Vec<u64> = buffers.iter().map(DmaBuf::size).collect();
    let tiling = Tiling::Explicit(made.modifier);
    let layout = FrameLayout::new(extent, info.format, tiling, &planes, &sizes)?;
    Frame::new(layout, Memory::DmaBuf(buffers), device.id().clone())
}

/// The buffer's index among those that are held; a second descriptor of one is closed.
fn hold(buffers: &mut Vec<DmaBuf>, buffer: DmaBuf) -> usize {
    let known = buffers
        .iter()
        .position(|held| held.identity() == buffer.identity());
    known.unwrap_or_else(|| {
        buffers.push(buffer);
        buffers.len() - 1
    })
}

fn plane(device: &DeviceInner, bo: &Bo<'_>, index: c_int, object: usize) -> Plane {
    let _one = device.lock();
    // SAFETY: gbm_bo_get_offset of a live buffer, for a plane that it has.
    let offset = unsafe { (device.library.bo_get_offset)(bo.raw(), index) };
    // SAFETY: gbm_bo_get_stride_for_plane, as above.
    let pitch = unsafe { (device.library.bo_get_stride_for_plane)(bo.raw(), index) };
    Plane {
        object,
        offset: u64::from(offset),
        pitch: u64::from(pitch),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};

    use super::*;
    use crate::kernel::{Memfd, fd};

    fn memfd() -> OwnedFd {
        let memory = Memfd::create("lucarne-test", 4096).unwrap();
        fd::duplicate(memory.as_fd(), "a memfd").unwrap()
    }

    #[test]
    fn planes_of_one_buffer_share_it() {
        let first = memfd();
        let again = first.try_clone().unwrap();
        let other = memfd();
        let mut buffers = Vec::new();
        let objects: Vec<usize> = [first, again, other]
            .into_iter()
            .map(|fd| hold(&mut buffers, DmaBuf::new(fd).unwrap()))
            .collect();
        assert_eq!(objects, [0, 0, 1]);
        assert_eq!(buffers.len(), 2);
    }
}
