//! One image for three APIs, and its pixels.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use lucarne::{Fence, Frame, cpu, egl, gbm, vulkan};

use crate::failure::{Failure, Result};
use crate::ffi::lucarne_status;

/// An image that was exported or imported.
#[derive(Debug)]
pub(crate) enum Image {
    Vulkan(vulkan::Device, Box<vulkan::Image>),
    Gl(Rc<egl::Device>, Rc<egl::Texture>),
    Cpu(Arc<cpu::Image>),
    Gbm(Box<gbm::Buffer>),
}

impl Image {
    pub(crate) fn frame(&self) -> &Frame {
        match self {
            Self::Vulkan(_, image) => image.frame(),
            Self::Gl(_, texture) => texture.frame(),
            Self::Cpu(image) => image.frame(),
            Self::Gbm(buffer) => buffer.frame(),
        }
    }

    pub(crate) fn copies_per_frame(&self) -> u32 {
        match self {
            Self::Vulkan(_, image) => image.copies_per_frame(),
            Self::Gl(_, texture) => texture.copies_per_frame(),
            Self::Cpu(image) => image.copies_per_frame(),
            Self::Gbm(_) => 0,
        }
    }

    pub(crate) fn vulkan(&self) -> Result<(&vulkan::Device, &vulkan::Image)> {
        match self {
            Self::Vulkan(device, image) => Ok((device, image)),
            other => Err(Failure::argument("image", other.name(), "Vulkan's")),
        }
    }

    pub(crate) fn gl(&self) -> Result<(&egl::Device, &egl::Texture)> {
        match self {
            Self::Gl(device, texture) => Ok((device, texture)),
            other => Err(Failure::argument("image", other.name(), "EGL's")),
        }
    }

    pub(crate) fn cpu(&self) -> Result<&Arc<cpu::Image>> {
        match self {
            Self::Cpu(image) => Ok(image),
            other => Err(Failure::argument("image", other.name(), "the CPU's")),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Vulkan(..) => "Vulkan's",
            Self::Gl(..) => "EGL's",
            Self::Cpu(_) => "the CPU's",
            Self::Gbm(_) => "GBM's",
        }
    }

    pub(crate) fn gbm(&self) -> Option<&gbm::Buffer> {
        match self {
            Self::Gbm(buffer) => Some(buffer),
            _ => None,
        }
    }

    /// Writes a plane's rows without padding, and says when that is done.
    pub(crate) fn write_plane(
        &self,
        gate: &Fence,
        timeout: Duration,
        plane: usize,
        bytes: &[u8],
    ) -> Result<Fence> {
        match self {
            Self::Cpu(image) => {
                Ok(image.write(gate, timeout, |rows| rows.write_plane(plane, bytes))?)
            }
            Self::Vulkan(device, image) => {
                only_plane(plane)?;
                Ok(device.upload(image, gate, timeout, bytes)?)
            }
            Self::Gl(device, texture) => {
                only_plane(plane)?;
                device.wait(gate, timeout)?;
                device.upload(texture, bytes)?;
                Ok(device.fence(timeout)?)
            }
            Self::Gbm(_) => Err(allocates_only()),
        }
    }

    /// Reads a plane's rows without padding, and says when that is done.
    pub(crate) fn read_plane(
        &self,
        acquire: &Fence,
        timeout: Duration,
        plane: usize,
        bytes: &mut [u8],
    ) -> Result<Fence> {
        match self {
            Self::Cpu(image) => {
                Ok(image.read(acquire, timeout, |rows| rows.read_plane(plane, bytes))?)
            }
            Self::Vulkan(device, image) => {
                only_plane(plane)?;
                check_length(bytes.len(), self.plane_bytes(0))?;
                let pixels = device.download(image, acquire, timeout)?;
                check_length(bytes.len(), pixels.len())?;
                bytes.copy_from_slice(&pixels);
                Ok(Fence::Signaled)
            }
            Self::Gl(..) => Err(Failure::new(
                lucarne_status::Unsupported,
                "OpenGL gives no bytes of a texture: lucarne_egl_download says what a shader reads",
            )),
            Self::Gbm(_) => Err(allocates_only()),
        }
    }

    fn plane_bytes(&self, plane: usize) -> usize {
        plane_size(self.frame(), plane).map_or(0, |size| size.bytes())
    }
}

/// The rows of one plane of a format, without padding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlaneSize {
    pub(crate) row_bytes: u32,
    pub(crate) rows: u32,
}

impl PlaneSize {
    pub(crate) fn bytes(self) -> usize {
        let bytes = u64::from(self.row_bytes) * u64::from(self.rows);
        usize::try_from(bytes).unwrap_or(0)
    }
}

/// `None` for a plane that the frame's format has not.
pub(crate) fn plane_size(frame: &Frame, plane: usize) -> Option<PlaneSize> {
    let (info, extent) = (frame.layout().format_info(), frame.layout().extent());
    Some(PlaneSize {
        row_bytes: info.row_bytes(plane, extent.width)?,
        rows: info.rows(plane, extent.height)?,
    })
}

fn allocates_only() -> Failure {
    let message =
        "libgbm allocates only: import the image's frame into a device that draws or shows";
    Failure::new(lucarne_status::Unsupported, message)
}

fn only_plane(plane: usize) -> Result<()> {
    if plane == 0 {
        return Ok(());
    }
    let limit = "0: Vulkan and OpenGL take images of one plane here";
    Err(Failure::argument("plane", plane, limit))
}

fn check_length(got: usize, wanted: usize) -> Result<()> {
    if got == wanted {
        return Ok(());
    }
    Err(Failure::argument("size", got, format!("{wanted} bytes")))
}
