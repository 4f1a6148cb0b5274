//! A texture whose pixels are a frame's.

use std::fmt;
use std::rc::Rc;

use glow::HasContext;

use super::inner::{DeviceInner, Trash};
use super::raw::EglImage;
use crate::error::{Error, Result};
use crate::format::{FormatInfo, GlFormat};
use crate::frame::Frame;
use crate::kernel::Mapping;
use crate::layout::Extent;

/// A GL texture made of a [`Frame`].
///
/// Its first row is the frame's first row, which Vulkan and most of Linux call the top. A shader that samples it reads alpha
/// 1 for formats without alpha, and red, green and blue in their places for every byte order.
///
/// **A framebuffer may read something else.** On the opaque-fd and host memory paths a swizzle puts the colours of
/// `XRGB8888` and `ARGB8888` in their places, and attachments know no swizzle: `glReadPixels` and `glBlitFramebuffer` get
/// red and blue exchanged, without an error. [`Texture::is_swizzled`] tells. To be given frames that read right, give
/// [`Request::usage`](crate::Request::usage) the consumer's [`TRANSFER_SOURCE`](crate::Usage::TRANSFER_SOURCE) as well. Alpha of formats with padding is 1 only when sampled.
///
/// # Examples
///
/// ```no_run
/// use lucarne::egl;
/// use lucarne::glow::{self, HasContext};
///
/// /// Draws with a program whose sampler fits the texture's target.
/// fn draw(gl: &glow::Context, program: glow::NativeProgram, texture: &egl::Texture) {
///     // SAFETY: the device's context is current, and `Device::read` has returned.
///     unsafe {
///         gl.use_program(Some(program));
///         gl.bind_texture(texture.target(), Some(texture.name()));
///         gl.draw_arrays(glow::TRIANGLES, 0, 3);
///     }
/// }
/// ```
///
/// # References
///
/// - [`GL_OES_EGL_image`](https://registry.khronos.org/OpenGL/extensions/OES/OES_EGL_image.txt),
///   [`GL_EXT_EGL_image_storage`](https://registry.khronos.org/OpenGL/extensions/EXT/EXT_EGL_image_storage.txt): textures of
///   dma-bufs
/// - [`GL_OES_EGL_image_external_essl3`](https://registry.khronos.org/OpenGL/extensions/OES/OES_EGL_image_external_essl3.txt):
///   `samplerExternalOES`
/// - [`GL_EXT_memory_object`](https://registry.khronos.org/OpenGL/extensions/EXT/EXT_external_objects.txt): textures of
///   opaque memory
#[doc(alias = "EGLImage")]
pub struct Texture {
    device: Rc<DeviceInner>,
    name: glow::NativeTexture,
    target: u32,
    source: Source,
    frame: Frame,
}

/// Where the texture's pixels are.
pub(super) enum Source {
    /// In the frame, through an `EGLImage` of it.
    Image(EglImage),
    /// In the texture's own storage, which is the frame's, through an `EGLImage` of the texture.
    Exported(EglImage),
    /// In the frame, through a GL memory object.
    MemoryObject(u32),
    /// In the texture's own storage, uploaded from the frame's memory at each read.
    Upload(Mapping),
}

impl Texture {
    pub(super) fn new(
        device: &Rc<DeviceInner>,
        name: glow::NativeTexture,
        target: u32,
        source: Source,
        frame: &Frame,
    ) -> Self {
        Self {
            device: Rc::clone(device),
            name,
            target,
            source,
            frame: frame.clone(),
        }
    }

    /// The texture's name. It stays Lucarne's: do not delete it.
    ///
    /// Sample it. Attached to a framebuffer and read, it shows red and blue exchanged where it
    /// [is swizzled](Self::is_swizzled).
    pub fn name(&self) -> glow::NativeTexture {
        self.name
    }

    /// What to bind it to: `GL_TEXTURE_2D`, or `GL_TEXTURE_EXTERNAL_OES` where the driver can only sample it so
    /// (then with `samplerExternalOES` in the shader).
    pub fn target(&self) -> u32 {
        self.target
    }

    /// Whether a swizzle puts red, green and blue in their places when it is sampled. Attached to a framebuffer, such a texture
    /// shows them in the order of the bytes in memory: red and blue exchanged.
    #[doc(alias = "GL_TEXTURE_SWIZZLE_RGBA")]
    pub fn is_swizzled(&self) -> bool {
        let gl = self.frame.layout().format_info().gl;
        // The driver knows the format behind an image.
        let by_driver = matches!(self.source, Source::Image(_));
        !by_driver && gl.is_some_and(|gl| gl.is_swizzled())
    }

    /// The frame it shows.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// How often this side copies each frame: 0 where the texture's pixels lie in the shared memory itself, which a software
    /// rasteriser can do with host memory too; 1 where host memory is uploaded.
    #[inline]
    pub fn copies_per_frame(&self) -> u32 {
        u32::from(matches!(self.source, Source::Upload(_)))
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }
}

impl Drop for Texture {
    fn drop(&mut self) {
        let (image, memory_object) = match self.source {
            Source::Image(image) | Source::Exported(image) => (Some(image), None),
            Source::MemoryObject(object) => (None, Some(object)),
            Source::Upload(_) => (None, None),
        };
        self.device.discard(Trash {
            texture: Some(self.name),
            image,
            memory_object,
            ..Trash::default()
        });
    }
}

impl fmt::Debug for Texture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texture")
            .field("name", &self.name)
            .field("target", &format_args!("{:#06x}", self.target))
            .field("frame", &self.frame)
            .finish_non_exhaustive()
    }
}

/// What an import or export has made so far; deletes it unless kept.
pub(super) struct Guard<'a> {
    device: &'a DeviceInner,
    pub(super) trash: Trash,
}

impl<'a> Guard<'a> {
    pub(super) fn new(device: &'a DeviceInner) -> Self {
        Self {
            device,
            trash: Trash::default(),
        }
    }

    /// Makes a texture and binds it.
    pub(super) fn texture(&mut self, target: u32) -> Result<glow::NativeTexture> {
        let gl = &self.device.gl;
        // SAFETY: glGenTextures with a current context.
        let name = unsafe { gl.create_texture() }
            .map_err(|error| Error::driver("glGenTextures", error))?;
        self.trash.texture = Some(name);
        // SAFETY: glBindTexture with a name that has no target yet.
        unsafe { gl.bind_texture(target, Some(name)) };
        Ok(name)
    }

    pub(super) fn keep(mut self) {
        self.trash = Trash::default();
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.device.delete(std::mem::take(&mut self.trash));
    }
}

/// Filtering without mipmaps, edges without wrapping, and colours in their places.
pub(super) fn sampling(device: &DeviceInner, target: u32, gl: Option<GlFormat>) {
    let mut parameters = vec![
        (glow::TEXTURE_MIN_FILTER, glow::LINEAR),
        (glow::TEXTURE_MAG_FILTER, glow::LINEAR),
        (glow::TEXTURE_WRAP_S, glow::CLAMP_TO_EDGE),
        (glow::TEXTURE_WRAP_T, glow::CLAMP_TO_EDGE),
    ];
    if let Some(gl) = gl {
        let names = [
            glow::TEXTURE_SWIZZLE_R,
            glow::TEXTURE_SWIZZLE_G,
            glow::TEXTURE_SWIZZLE_B,
            glow::TEXTURE_SWIZZLE_A,
        ];
        parameters.extend(names.into_iter().zip(gl.swizzle));
    }
    for (name, value) in parameters {
        // SAFETY: glTexParameteri with core names on the bound texture.
        unsafe {
            device
                .gl
                .tex_parameter_i32(target, name, value.cast_signed());
        }
    }
}

pub(super) fn gl_format(info: &FormatInfo) -> Result<GlFormat> {
    info.gl.ok_or_else(|| {
        Error::invalid(
            "format",
            info.format,
            "one that OpenGL has a texture format for",
        )
    })
}

pub(super) fn gl_size(extent: Extent) -> Result<(i32, i32)> {
    let side = |value: u32| {
        i32::try_from(value).map_err(|_| Error::invalid("extent", extent, "at most 31 bits"))
    };
    Ok((side(extent.width)?, side(extent.height)?))
}
