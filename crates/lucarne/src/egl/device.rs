//! An EGL context that is open, the caller's or Lucarne's.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use glow::HasContext;
use khronos_egl as egl;

use super::adapter::Adapter;
use super::raw::{self, EglImage, GlFunctions, Library};
use super::texture::{Texture, Trash};
use super::{context, export, fence, handoff, host, import, offer};
use crate::device_id::DeviceId;
use crate::error::{Error, Requirement, Result, Support};
use crate::frame::{Fence, Frame};
use crate::negotiate::{Agreement, FenceSupport, MemoryPath, Offer};
use crate::quirks::{self, Active, Driver, Quirks};

/// An `EGLDisplay` and an `EGLContext`, with the textures imported into it.
///
/// Belongs to the thread on which the context is current, as do the textures.
pub struct Device {
    inner: Rc<DeviceInner>,
    cache: RefCell<Vec<Rc<Texture>>>,
    imports: Cell<u64>,
}

pub(super) struct DeviceInner {
    pub(super) library: &'static Library,
    pub(super) display: egl::Display,
    pub(super) context: egl::Context,
    pub(super) gl: glow::Context,
    pub(super) functions: GlFunctions,
    pub(super) max_texture: u32,
    /// Textures dropped while the context was not current.
    pub(super) trash: RefCell<Vec<Trash>>,
    egl_extensions: BTreeSet<String>,
    gl_extensions: BTreeSet<String>,
    egl_device: Option<Adapter>,
    renderer: String,
    version: String,
    id: DeviceId,
    quirks: Quirks,
    offer: OnceCell<Offer>,
    /// Looked up once, as every frame asks.
    fences: OnceCell<FenceSupport>,
    /// Whether memfds pass for dma-bufs, once it was tried.
    memfds: OnceCell<bool>,
    owned: bool,
}

impl Device {
    pub(super) fn new(inner: DeviceInner) -> Self {
        Self {
            inner: Rc::new(inner),
            cache: RefCell::new(Vec::new()),
            imports: Cell::new(0),
        }
    }

    /// Wraps the display and context that are current on this thread, whichever toolkit made them; OpenGL ES 3 and
    /// desktop OpenGL both do.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`] when no context is current; [`Error::Unsupported`] without libEGL.
    ///
    /// # Safety
    ///
    /// The display must not be terminated, nor the context destroyed, until the device and every texture imported
    /// by it is dropped.
    pub unsafe fn from_current() -> Result<Self> {
        context::current(raw::library()?)
    }

    pub(super) fn inner(&self) -> &Rc<DeviceInner> {
        &self.inner
    }

    /// Makes the context current on this thread, without a surface.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] when it is current on another thread, or EGL refuses.
    pub fn make_current(&self) -> Result<()> {
        let inner = &self.inner;
        inner
            .library
            .egl
            .make_current(inner.display, None, None, Some(inner.context))
            .map_err(|error| Error::driver("eglMakeCurrent", error))
    }

    /// OpenGL's functions, for this context.
    pub fn glow(&self) -> &glow::Context {
        &self.inner.gl
    }

    /// `GL_RENDERER`.
    pub fn renderer(&self) -> &str {
        &self.inner.renderer
    }

    /// `GL_VERSION`.
    pub fn version(&self) -> &str {
        &self.inner.version
    }

    /// The device's identity.
    pub fn id(&self) -> &DeviceId {
        &self.inner.id
    }

    /// The driver faults that are worked around in this context, and why each.
    pub fn quirks(&self) -> &[Active] {
        self.inner.quirks.active()
    }

    /// Whether this driver puts the fences of its work on dma-bufs and heeds those it finds there, so that
    /// [`Frame::implicit_fence`] and [`Frame::attach_fence`] mean something to it. Lucarne itself never relies on it.
    pub fn implicit_sync(&self) -> Support {
        if self.inner.quirk(&quirks::NO_IMPLICIT_SYNC) {
            let renderer = self.renderer();
            return Support::no(Requirement::Quirk {
                name: quirks::NO_IMPLICIT_SYNC.name,
                effect: format!("{renderer} neither puts fences on dma-bufs nor heeds them"),
            });
        }
        Support::Yes(())
    }

    /// What this context can import. Asked of the driver once.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Driver`] when the driver does not answer.
    pub fn offer(&self) -> Result<Offer> {
        self.inner.require_current("egl::Device::offer")?;
        self.inner.offer().cloned()
    }

    /// Imports a frame as a texture, or returns the one that was made of the same memory before.
    ///
    /// The frame's descriptors are lent; the texture keeps the frame's memory alive. Do not sample the texture
    /// before [`Device::read`] says so. Textures of frames that nobody else holds any more are let go at the next
    /// import.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::ForeignDevice`] when the memory means nothing to this device;
    /// [`Error::Unsupported`] when this context cannot import this path, format or modifier (the error lists what it
    /// can); [`Error::Driver`] when the driver refuses.
    #[doc(alias = "eglCreateImage")]
    #[doc(alias = "glImportMemoryFdEXT")]
    pub fn import(&self, frame: &Frame) -> Result<Rc<Texture>> {
        self.inner.require_current("egl::Device::import")?;
        self.inner.empty_trash();
        let mut cache = self.cache.borrow_mut();
        if let Some(known) = cache
            .iter()
            .find(|texture| texture.frame().same_memory(frame))
        {
            return Ok(Rc::clone(known));
        }
        cache.retain(|texture| Rc::strong_count(texture) > 1 || texture.frame().is_shared());
        let texture = Rc::new(import::import(&self.inner, frame)?);
        self.imports.set(self.imports.get() + 1);
        cache.push(Rc::clone(&texture));
        Ok(texture)
    }

    /// How many frames have really been imported, that is, were not found in the cache.
    pub fn imports(&self) -> u64 {
        self.imports.get()
    }

    /// Makes a texture as agreed, in memory of its own, and exports that memory as a dma-buf.
    ///
    /// OpenGL chooses the modifier alone; the frame's layout says which. Draw into the texture through a framebuffer
    /// object; wait with [`Device::wait`] before, and pass [`Device::fence`] on after. Row 0 of the frame is what
    /// OpenGL calls the bottom, and others take for the top: draw upside down, or say so with
    /// [`Frame::with_color`](crate::Frame::with_color) and [`Orientation::Flipped180`](crate::color::Orientation::Flipped180).
    /// The frame owns the exported descriptors.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Unsupported`] without `EGL_MESA_image_dma_buf_export`; [`Error::Invalid`] for
    /// another path than dma-buf; [`Error::Driver`] when the driver refuses, chooses something that was not agreed, or
    /// answers success without a descriptor.
    #[doc(alias = "eglExportDMABUFImageMESA")]
    pub fn export(&self, agreement: &Agreement) -> Result<Texture> {
        self.inner.require_current("egl::Device::export")?;
        self.inner.empty_trash();
        export::export(&self.inner, agreement)
    }

    /// Waits for a fence: commands issued after this run when it has signalled.
    ///
    /// The GPU waits where the context can wait for sync_files; otherwise this thread does, `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Timeout`]; [`Error::Driver`].
    pub fn wait(&self, fence: &Fence, timeout: Duration) -> Result<()> {
        self.inner.require_current("egl::Device::wait")?;
        handoff::wait(&self.inner, fence, timeout)
    }

    /// Begins reading: commands issued after this see what the writer wrote.
    ///
    /// `acquire` is the fence that came with [`Received::acquire`](crate::Received::acquire). Where the context can
    /// wait for sync_files, the GPU does; otherwise this thread waits, `timeout` at most. On the host memory path the
    /// pixels are uploaded, which needs the wait to be over.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Timeout`] when the fence does not signal in time; [`Error::Driver`].
    pub fn read(&self, texture: &Texture, acquire: &Fence, timeout: Duration) -> Result<()> {
        self.inner.require_current("egl::Device::read")?;
        if texture.copies_per_frame() > 0 {
            acquire.wait(timeout)?;
            return import::upload(&self.inner, texture);
        }
        handoff::wait(&self.inner, acquire, timeout)
    }

    /// Ends reading: a fence that signals when all commands issued so far have finished.
    ///
    /// A sync_file where the context can export one; otherwise this thread waits, `timeout` at most, and the fence
    /// is already signalled.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Timeout`]; [`Error::Driver`].
    pub fn fence(&self, timeout: Duration) -> Result<Fence> {
        self.inner.require_current("egl::Device::fence")?;
        fence::release(&self.inner, timeout)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("renderer", &self.inner.renderer)
            .field("version", &self.inner.version)
            .field("id", &self.inner.id)
            .field("imports", &self.imports)
            .finish_non_exhaustive()
    }
}

impl DeviceInner {
    pub(super) fn new(
        library: &'static Library,
        display: egl::Display,
        context: egl::Context,
        owned: bool,
    ) -> Result<Self> {
        let load = |name: &str| {
            library
                .egl
                .get_proc_address(name)
                .map_or(std::ptr::null(), |function| function as *const _)
        };
        // SAFETY: glow's from_loader_function wants pointers to the functions of the current context's API: its
        // callers have checked that `context` is current, and eglGetProcAddress returns those.
        let gl = unsafe { glow::Context::from_loader_function(load) };
        let functions = GlFunctions::load(&library.egl);
        let gl_extensions: BTreeSet<String> = gl.supported_extensions().iter().cloned().collect();
        let egl_extensions = context::display_extensions(library, display)
            .into_iter()
            .collect();
        let egl_device = offer::egl_device(library, display);
        let text = |name| {
            // SAFETY: glGetString with a name that every version knows; the context is current.
            unsafe { gl.get_parameter_string(name) }
        };
        let renderer = text(glow::RENDERER);
        let version = text(glow::VERSION);
        let driver = Driver::of_gl(&text(glow::VENDOR), &renderer, &version);
        // SAFETY: glGetIntegerv with a name that every version knows.
        let max_texture = unsafe { gl.get_parameter_i32(glow::MAX_TEXTURE_SIZE) };
        let mut inner = Self {
            library,
            display,
            context,
            gl,
            functions,
            max_texture: u32::try_from(max_texture).unwrap_or(0),
            trash: RefCell::new(Vec::new()),
            egl_extensions,
            gl_extensions,
            egl_device,
            renderer,
            version,
            id: DeviceId::default(),
            quirks: Quirks::default(),
            offer: OnceCell::new(),
            fences: OnceCell::new(),
            memfds: OnceCell::new(),
            owned,
        };
        inner.quirks = Quirks::of(&driver, &inner.observed())?;
        inner.id = offer::identify(&inner)?;
        Ok(inner)
    }

    /// The quirks that the display itself shows.
    fn observed(&self) -> Vec<&'static quirks::Quirk> {
        let mut observed = Vec::new();
        if quirks::is_software(&self.renderer) {
            observed.push(&quirks::SOFTWARE_WAITS_FOR_EVER);
            let on_node = self
                .egl_device
                .as_ref()
                .is_some_and(|one| !one.is_software());
            if on_node {
                observed.push(&quirks::KMS_SWRAST);
            }
        }
        observed
    }

    /// Whether a quirk is active here.
    pub(super) fn quirk(&self, quirk: &'static quirks::Quirk) -> bool {
        self.quirks.has(quirk)
    }

    pub(super) fn quirks(&self) -> &Quirks {
        &self.quirks
    }

    /// Whether the display lists an extension.
    pub(super) fn has_egl(&self, name: &str) -> bool {
        self.egl_extensions.contains(name)
    }

    /// Whether the context lists an extension.
    pub(super) fn has_gl(&self, name: &str) -> bool {
        self.gl_extensions.contains(name)
    }

    pub(super) fn egl_device(&self) -> Option<&Adapter> {
        self.egl_device.as_ref()
    }

    pub(super) fn renderer(&self) -> &str {
        &self.renderer
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn id(&self) -> &DeviceId {
        &self.id
    }

    pub(super) fn offer(self: &Rc<Self>) -> Result<&Offer> {
        if let Some(offer) = self.offer.get() {
            return Ok(offer);
        }
        let offer = offer::offer(self)?;
        Ok(self.offer.get_or_init(|| offer))
    }

    pub(super) fn takes_memfds(self: &Rc<Self>) -> bool {
        *self.memfds.get_or_init(|| host::canary(self))
    }

    pub(super) fn path(&self, path: MemoryPath) -> Support {
        offer::path_support(self, path)
    }

    pub(super) fn fences(&self) -> &FenceSupport {
        self.fences.get_or_init(|| fence::support(self))
    }

    pub(super) fn is_current(&self) -> bool {
        self.library.egl.get_current_context() == Some(self.context)
    }

    pub(super) fn require_current(&self, call: &'static str) -> Result<()> {
        match self.library.egl.get_current_context() {
            Some(context) if context == self.context => Ok(()),
            Some(_) => Err(Error::NotCurrent {
                call,
                found: "another context is",
            }),
            None => Err(Error::NotCurrent {
                call,
                found: "no context is",
            }),
        }
    }

    /// Deletes what could not be deleted when it was dropped. The context is current.
    pub(super) fn empty_trash(&self) {
        for trash in self.trash.take() {
            trash.delete(self);
        }
    }

    pub(super) fn destroy_image(&self, image: EglImage) {
        if let Some(destroy) = self.library.ext.destroy_image {
            // SAFETY: eglDestroyImageKHR of an image of this display, once: its owner is being dropped.
            unsafe { destroy(self.display.as_ptr(), image) };
        }
    }

    /// The first GL error since the last call; takes all of them away.
    pub(super) fn gl_error(&self) -> Option<u32> {
        let mut first = None;
        // A lost context may repeat its error for ever.
        for _ in 0..16 {
            // SAFETY: glGetError with a current context.
            let error = unsafe { self.gl.get_error() };
            if error == glow::NO_ERROR {
                break;
            }
            first.get_or_insert(error);
        }
        first
    }

    /// Turns a GL error into an [`Error`].
    pub(super) fn check_gl(&self, call: &'static str) -> Result<()> {
        match self.gl_error() {
            None => Ok(()),
            Some(code) => Err(Error::driver(call, gl_error_name(code))),
        }
    }
}

impl Drop for DeviceInner {
    fn drop(&mut self) {
        if self.is_current() {
            self.empty_trash();
        }
        if self.owned {
            let egl = &self.library.egl;
            if self.is_current() {
                // Failing to release only delays the destruction below.
                let _released = egl.make_current(self.display, None, None, None);
            }
            // The display is shared by everything in the process that uses this EGL device, so it stays initialised.
            let _destroyed = egl.destroy_context(self.display, self.context);
        }
    }
}

fn gl_error_name(code: u32) -> String {
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
