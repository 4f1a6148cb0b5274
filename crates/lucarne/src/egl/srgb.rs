//! Textures that decode sRGB when they are sampled.

use super::device::Device;
use super::texture::{Texture, gl_format};
use super::{host, import};
use crate::color::Transfer;
use crate::error::{Error, Requirement, Result};
use crate::frame::{Frame, Memory};

impl Device {
    /// Imports a frame as a texture whose samplers read light: `GL_SRGB8_ALPHA8`, which decodes red, green and blue, and not
    /// alpha, before it filters. The texture is the caller's: nothing is cached. Otherwise as [`Device::import`].
    ///
    /// On the host memory path only. OpenGL has a name for the internal format of memory that it did not allocate in
    /// `EGL_EXT_image_gl_colorspace` alone, which Mesa (25.0) does not have: decode in the shader for dma-bufs, or
    /// import the frame into Vulkan.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a frame whose colour description is not sRGB's; [`Error::Unsupported`] on the other paths, and
    /// for formats without an sRGB sibling whose bytes are in OpenGL's order; otherwise as for [`Device::import`].
    #[doc(alias = "GL_SRGB8_ALPHA8")]
    pub fn import_srgb(&self, frame: &Frame) -> Result<Texture> {
        self.inner().require_current("egl::Device::import_srgb")?;
        self.inner().empty_trash();
        let layout = frame.layout();
        let transfer = layout.color().transfer;
        if transfer != Transfer::Srgb {
            return Err(Error::invalid("color.transfer", transfer, "sRGB"));
        }
        let what = || format!("decoding {layout} when sampling");
        let Memory::HostMemory(memory) = frame.memory() else {
            let reason = "needs the host-memory path: a dma-buf's internal format is the driver's to choose without \
                          EGL_EXT_image_gl_colorspace, and a memory object's is the exporter's";
            return Err(Error::unsupported(what(), vec![Requirement::other(reason)]));
        };
        import::offered(self.inner(), frame)?;
        let gl = gl_format(layout.format_info())?;
        let Some(internal_format) = gl.internal_format_srgb else {
            let reason = "OpenGL has no sRGB sibling of the format";
            return Err(Error::unsupported(what(), vec![Requirement::other(reason)]));
        };
        host::uploaded(self.inner(), frame, memory, gl, internal_format)
    }
}
