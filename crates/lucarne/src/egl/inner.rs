//! What everything here stands on: a context, its functions, and what is known of it.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;

use glow::HasContext;
use khronos_egl as egl;

use super::raw::{EglImage, GlFunctions, Library};
use super::thread::{self, Current};
use crate::device_id::DeviceId;
use crate::error::{Error, Result};
use crate::negotiate::{FenceSupport, Offer};
use crate::quirks::{Quirk, Quirks};

/// An open context. Made by `device.rs`; textures, semaphores and passes keep it alive.
pub(super) struct DeviceInner {
    pub(super) library: &'static Library,
    pub(super) display: egl::Display,
    pub(super) context: egl::Context,
    pub(super) gl: glow::Context,
    pub(super) functions: GlFunctions,
    pub(super) egl_extensions: BTreeSet<String>,
    pub(super) gl_extensions: BTreeSet<String>,
    pub(super) renderer: String,
    pub(super) version: String,
    pub(super) id: DeviceId,
    pub(super) quirks: Quirks,
    /// `GL_MAX_TEXTURE_SIZE`.
    pub(super) max_texture: u32,
    /// `GL_OES_EGL_image_external_essl3`: looked up once, as draws ask.
    pub(super) samples_external: bool,
    /// Whether `GL_FRAMEBUFFER_SRGB` is a name here; as above.
    pub(super) has_framebuffer_srgb: bool,
    /// Filled by `offer.rs`.
    pub(super) offer: OnceCell<Offer>,
    /// Filled by `support.rs`.
    pub(super) fences: OnceCell<Fences>,
    /// Whether memfds pass for dma-bufs, once `probe/memfd.rs` has tried.
    pub(super) memfds: OnceCell<bool>,
    /// Whether the context is Lucarne's own.
    pub(super) owned: bool,
    /// What was current on the thread before Lucarne made this context so.
    pub(super) replaced: Cell<Option<Current>>,
    /// What was dropped while the context was not current.
    pub(super) trash: RefCell<Vec<Trash>>,
}

/// How this context takes part in turns. Every frame asks.
pub(super) struct Fences {
    pub(super) support: FenceSupport,
    /// Whether commands can be made to wait for a sync_file, instead of this thread.
    pub(super) gpu_waits: bool,
}

impl DeviceInner {
    /// Whether a quirk is active here.
    pub(super) fn quirk(&self, quirk: &'static Quirk) -> bool {
        self.quirks.has(quirk)
    }

    /// Whether the display lists an extension.
    pub(super) fn has_egl(&self, name: &str) -> bool {
        self.egl_extensions.contains(name)
    }

    /// Whether the context lists an extension.
    pub(super) fn has_gl(&self, name: &str) -> bool {
        self.gl_extensions.contains(name)
    }

    /// In a process that has just been woken, this costs about ten microseconds. So between waking up and sampling, only code
    /// that calls into the context asks.
    pub(super) fn is_current(&self) -> bool {
        self.library.egl.get_current_context() == Some(self.context)
    }

    pub(super) fn require_current(&self, call: &'static str) -> Result<()> {
        let current = self.library.egl.get_current_context();
        if current == Some(self.context) {
            return Ok(());
        }
        Err(thread::not_current(call, current))
    }

    /// The first GL error since the last call; takes all of them away.
    pub(super) fn gl_error(&self) -> Option<u32> {
        first_error(&self.gl)
    }

    /// Turns a GL error into an [`Error`].
    pub(super) fn check_gl(&self, call: &'static str) -> Result<()> {
        match self.gl_error() {
            None => Ok(()),
            Some(code) => Err(Error::driver(call, error_name(code))),
        }
    }

    pub(super) fn destroy_image(&self, image: EglImage) {
        if let Some(destroy) = self.library.ext.destroy_image {
            // SAFETY: eglDestroyImageKHR of an image of this display, once: its owner is being dropped.
            unsafe { destroy(self.display.as_ptr(), image) };
        }
    }

    /// The context, as Lucarne makes it current.
    pub(super) fn surfaceless(&self) -> Current {
        Current::surfaceless(self.display, self.context)
    }

    /// Deletes what nobody needs any more: now, or, as GL can only while the context is current, at the device's next
    /// import or its end. Another context that is current may be in the middle of a frame: a drop does not take its place.
    pub(super) fn discard(&self, mut trash: Trash) {
        if self.is_current() {
            return self.delete(trash);
        }
        // An image belongs to the display and can go now; nobody would destroy it once the device is gone.
        if let Some(image) = trash.image.take() {
            self.destroy_image(image);
        }
        self.trash.borrow_mut().push(trash);
    }

    /// Whether anything waits to be deleted. Asks nobody.
    pub(super) fn has_trash(&self) -> bool {
        !self.trash.borrow().is_empty()
    }

    /// Deletes what was discarded before. The context is current.
    pub(super) fn empty_trash(&self) {
        for trash in self.trash.take() {
            self.delete(trash);
        }
    }

    /// Deletes what was discarded before. Where the context is not current, it is for that moment.
    pub(super) fn empty_trash_anywhere(&self) -> Result<()> {
        if !self.has_trash() {
            return Ok(());
        }
        if self.is_current() {
            self.empty_trash();
            return Ok(());
        }
        thread::visit(self.library, self.surfaceless(), || self.empty_trash())
    }

    /// Deletes everything; the context is current.
    pub(super) fn delete(&self, trash: Trash) {
        if let Some(texture) = trash.texture {
            // SAFETY: glDeleteTextures of a texture of this context, once.
            unsafe { self.gl.delete_texture(texture) };
        }
        if let Some(object) = trash.memory_object
            && let Some(delete) = self.functions.delete_memory_objects
        {
            // SAFETY: glDeleteMemoryObjectsEXT reads one name, of an object of this context.
            unsafe { delete(1, &raw const object) };
        }
        if let Some(semaphore) = trash.semaphore
            && let Some(delete) = self.functions.delete_semaphores
        {
            // SAFETY: glDeleteSemaphoresEXT reads one name, of a semaphore of this context.
            unsafe { delete(1, &raw const semaphore) };
        }
        if let Some(image) = trash.image {
            self.destroy_image(image);
        }
        for program in trash.programs {
            // SAFETY: glDeleteProgram of a program of this context, once.
            unsafe { self.gl.delete_program(program) };
        }
        if let Some(vertex_array) = trash.vertex_array {
            // SAFETY: glDeleteVertexArrays, as above.
            unsafe { self.gl.delete_vertex_array(vertex_array) };
        }
        if let Some(framebuffer) = trash.framebuffer {
            // SAFETY: glDeleteFramebuffers, as above.
            unsafe { self.gl.delete_framebuffer(framebuffer) };
        }
    }
}

impl Drop for DeviceInner {
    fn drop(&mut self) {
        if !self.owned {
            // The context lives on, and nobody else would delete them. It may be current on another thread, or destroyed
            // already: EGL says so, and they end with it.
            let _deleted = self.empty_trash_anywhere().inspect_err(|_error| {
                #[cfg(feature = "tracing")]
                tracing::warn!(%_error, "textures and other objects stay in the caller's context");
            });
            return;
        }
        // What lies in the trash goes with the context.
        if self.is_current() {
            thread::put_back(self.library, self.display, self.replaced.take());
        }
        // The display is shared by everything in the process that uses this EGL device, so it stays initialised.
        let _destroyed = self.library.egl.destroy_context(self.display, self.context);
    }
}

/// GL and EGL objects to delete.
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

/// The first GL error since the last call; takes all of them away.
pub(super) fn first_error(gl: &glow::Context) -> Option<u32> {
    let mut first = None;
    // A lost context may repeat its error for ever.
    for _ in 0..16 {
        // SAFETY: glGetError with a current context.
        let error = unsafe { gl.get_error() };
        if error == glow::NO_ERROR {
            break;
        }
        first.get_or_insert(error);
    }
    first
}

fn error_name(code: u32) -> String {
    let name = match code {
        glow::INVALID_ENUM => "GL_INVALID_ENUM",
        glow::INVALID_VALUE => "GL_INVALID_VALUE",
        glow::INVALID_OPERATION => "GL_INVALID_OPERATION",
        glow::INVALID_FRAMEBUFFER_OPERATION => "GL_INVALID_FRAMEBUFFER_OPERATION",
        glow::OUT_OF_MEMORY => "GL_OUT_OF_MEMORY",
        _ => return format!("GL error {code:#06x}"),
    };
    name.to_owned()
}
