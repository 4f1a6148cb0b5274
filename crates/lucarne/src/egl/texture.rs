//! A texture whose pixels are a frame's.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use glow::HasContext;

use super::device::DeviceInner;
use super::raw::EglImage;
use crate::frame::Frame;
use crate::kernel::Mapping;

/// A GL texture made of a [`Frame`].
///
/// Its first row is the frame's first row, which Vulkan and most of Linux call the top. Reads alpha 1 for formats
/// without alpha, and red, green and blue in their places for every byte order. On the opaque and host memory paths a
/// swizzle sees to that, which works for sampling only: as a framebuffer's attachment such a texture of a blue-first
/// format shows red and blue exchanged.
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
    Upload(RefCell<Mapping>),
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
    pub fn name(&self) -> glow::NativeTexture {
        self.name
    }

    /// What to bind it to: `GL_TEXTURE_2D`, or `GL_TEXTURE_EXTERNAL_OES` where the driver can only sample it so
    /// (then with `samplerExternalOES` in the shader).
    pub fn target(&self) -> u32 {
        self.target
    }

    /// The frame it shows.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// How often this side copies each frame: 0 where the texture's pixels lie in the shared memory itself, which a software
    /// rasteriser can do with host memory too; 1 where host memory is uploaded.
    pub fn copies_per_frame(&self) -> u32 {
        u32::from(matches!(self.source, Source::Upload(_)))
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }
}

impl Drop for Texture {
    fn drop(&mut self) {
        let mut trash = Trash {
            texture: Some(self.name),
            image: match self.source {
                Source::Image(image) | Source::Exported(image) => Some(image),
                _ => None,
            },
            memory_object: match self.source {
                Source::MemoryObject(object) => Some(object),
                _ => None,
            },
            ..Trash::default()
        };
        if self.device.is_current() {
            trash.delete(&self.device);
        } else {
            // An image belongs to the display and can go now; nobody would destroy it once the device is gone.
            if let Some(image) = trash.image.take() {
                self.device.destroy_image(image);
            }
            // GL can only delete while the context is current: the device does it at its next import, or its end.
            self.device.trash.borrow_mut().push(trash);
        }
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

/// GL and EGL objects to delete. Also guards half-made imports.
#[derive(Default)]
pub(super) struct Trash {
    pub(super) texture: Option<glow::NativeTexture>,
    pub(super) image: Option<EglImage>,
    pub(super) memory_object: Option<u32>,
    pub(super) semaphore: Option<u32>,
    pub(super) programs: Vec<glow::NativeProgram>,
    pub(super) vertex_array: Option<glow::NativeVertexArray>,
    pub(super) framebuffer: Option<glow::NativeFramebuffer>,
}

impl Trash {
    /// Deletes everything; the context is current.
    pub(super) fn delete(self, device: &DeviceInner) {
        if let Some(texture) = self.texture {
            // SAFETY: glDeleteTextures of a texture of this context, once.
            unsafe { device.gl.delete_texture(texture) };
        }
        if let Some(object) = self.memory_object
            && let Some(delete) = device.functions.delete_memory_objects
        {
            // SAFETY: glDeleteMemoryObjectsEXT reads one name, of an object of this context.
            unsafe { delete(1, &raw const object) };
        }
        if let Some(semaphore) = self.semaphore
            && let Some(delete) = device.functions.delete_semaphores
        {
            // SAFETY: glDeleteSemaphoresEXT reads one name, of a semaphore of this context.
            unsafe { delete(1, &raw const semaphore) };
        }
        if let Some(image) = self.image {
            device.destroy_image(image);
        }
        for program in self.programs {
            // SAFETY: glDeleteProgram of a program of this context, once.
            unsafe { device.gl.delete_program(program) };
        }
        if let Some(vertex_array) = self.vertex_array {
            // SAFETY: glDeleteVertexArrays, as above.
            unsafe { device.gl.delete_vertex_array(vertex_array) };
        }
        if let Some(framebuffer) = self.framebuffer {
            // SAFETY: glDeleteFramebuffers, as above.
            unsafe { device.gl.delete_framebuffer(framebuffer) };
        }
    }
}
