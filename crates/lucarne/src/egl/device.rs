//! Opening a context, or wrapping the caller's.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

use glow::HasContext;
use khronos_egl as egl;

use super::adapter::{Adapter, require_client_extensions};
use super::inner::{DeviceInner, first_error};
use super::raw::{self, GlFunctions, Library, loaded};
use super::texture::Texture;
use super::thread::{self, BoundApi, Current};
use crate::device_id::DeviceId;
use crate::error::{Error, Requirement, Result, Support};
use crate::quirks::{self, Active, Driver, Quirks};

/// An `EGLDisplay` and an `EGLContext`, with the textures imported into it.
///
/// Belongs to the thread on which the context is current, as do the textures.
///
/// # Examples
///
/// A consumer: what it offers, and one turn of a frame that came from elsewhere.
///
/// ```no_run
/// use std::time::Duration;
///
/// use lucarne::{Fence, Frame, Result, Usage, egl};
///
/// const TIMEOUT: Duration = Duration::from_secs(1);
///
/// fn show(frame: &Frame, acquire: &Fence, draw: impl Fn(&egl::Texture)) -> Result<Fence> {
///     // SAFETY: the toolkit's context and display outlive the device and its textures.
///     let device = unsafe { egl::Device::from_current() }?;
///     let offer = device.offer(Usage::SAMPLE)?;
///     println!("{}: {} entries", offer.name, offer.entries.len());
///
///     let texture = device.import(frame)?;
///     device.read(&texture, acquire, TIMEOUT)?;
///     draw(&texture);
///     device.fence(TIMEOUT)
/// }
/// ```
///
/// # References
///
/// - [EGL 1.5](https://registry.khronos.org/EGL/specs/eglspec.1.5.pdf), section 3.7: contexts and threads
/// - [`EGL_EXT_device_enumeration`](https://registry.khronos.org/EGL/extensions/EXT/EGL_EXT_device_enumeration.txt),
///   [`EGL_EXT_platform_device`](https://registry.khronos.org/EGL/extensions/EXT/EGL_EXT_platform_device.txt): what
///   [`Adapter`] uses
/// - [`EGL_EXT_image_dma_buf_import_modifiers`](https://registry.khronos.org/EGL/extensions/EXT/EGL_EXT_image_dma_buf_import_modifiers.txt):
///   dma-bufs, in and listed
/// - [`EGL_MESA_image_dma_buf_export`](https://registry.khronos.org/EGL/extensions/MESA/EGL_MESA_image_dma_buf_export.txt):
///   dma-bufs, out
/// - [`EGL_ANDROID_native_fence_sync`](https://registry.khronos.org/EGL/extensions/ANDROID/EGL_ANDROID_native_fence_sync.txt):
///   fences
/// - [`GL_EXT_external_objects_fd`](https://registry.khronos.org/OpenGL/extensions/EXT/EXT_external_objects_fd.txt):
///   opaque memory and semaphores
pub struct Device {
    inner: Rc<DeviceInner>,
    /// What [`Device::import`] has made.
    pub(super) cache: RefCell<Vec<Rc<Texture>>>,
    pub(super) imports: Cell<u64>,
}

impl Adapter {
    /// Opens the device without a window system, with an OpenGL ES 3 context that is made current on this thread.
    ///
    /// A context of the caller's that was current is so no more. It is current again, with its surfaces, when the device is
    /// dropped while its own context is current. The bound API (`eglBindAPI`) stays what it is.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] without `EGL_EXT_platform_device` or surfaceless contexts; [`Error::Driver`] when EGL
    /// refuses. What was current is still so.
    pub fn open(&self) -> Result<Device> {
        let library = raw::library()?;
        require_client_extensions(library, &["EGL_EXT_platform_device"])?;
        let get = loaded(library.ext.get_platform_display, "eglGetPlatformDisplayEXT")?;
        // SAFETY: eglGetPlatformDisplayEXT with EGL_PLATFORM_DEVICE_EXT (its extension is listed) takes an
        // EGLDeviceEXT of eglQueryDevicesEXT and no attributes.
        let display = unsafe { get(raw::PLATFORM_DEVICE_EXT, self.raw(), std::ptr::null()) };
        if display.is_null() {
            return Err(library.failed("eglGetPlatformDisplayEXT"));
        }
        // SAFETY: Display::from_ptr: EGL has just returned this display.
        let display = unsafe { egl::Display::from_ptr(display) };
        let _api = BoundApi::bind(library, egl::OPENGL_ES_API)?;
        let previous = Current::here(library);
        let context = headless(library, display)?;
        let device = Current::surfaceless(display, context)
            .make(library)
            .and_then(|()| Device::new(library, display, context, true))
            .inspect_err(|_| {
                thread::put_back(library, display, previous);
                // Nothing can be done about a context that cannot be destroyed either.
                let _destroyed = library.egl.destroy_context(display, context);
            })?;
        device.inner.replaced.set(previous);
        Ok(device)
    }
}

impl Device {
    /// Wraps the display and context that are current on this thread, whichever toolkit made them. The context may be of
    /// OpenGL ES 3 or of desktop OpenGL.
    ///
    /// What Lucarne makes in the context is deleted again, at the latest when the device and its textures are dropped. Where the
    /// context is not current on the thread then, it is made current for that moment, without a surface, and what was current
    /// is put back. EGL refuses that while the context is current on another thread, and on a display without
    /// `EGL_KHR_surfaceless_context`: what is left then stays until the context is destroyed. Call [`Device::trim`] before to
    /// know, or drop everything while the context is current.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`] when no context is current, or one of GLX, which EGL does not know: the error says how toolkits
    /// are asked for EGL; [`Error::Unsupported`] without libEGL.
    ///
    /// # Safety
    ///
    /// The display must not be terminated, nor the context destroyed, until the device and every texture imported
    /// by it is dropped.
    pub unsafe fn from_current() -> Result<Self> {
        let library = raw::library()?;
        let display = library.egl.get_current_display();
        let context = library.egl.get_current_context();
        let (Some(display), Some(context)) = (display, context) else {
            return Err(thread::not_current("egl::Device::from_current", context));
        };
        Self::new(library, display, context, false)
    }

    /// Asks the context, which is current, what is needed to know of it.
    fn new(
        library: &'static Library,
        display: egl::Display,
        context: egl::Context,
        owned: bool,
    ) -> Result<Self> {
        let gl = load(library);
        let functions = GlFunctions::load(&library.egl);
        let gl_extensions: BTreeSet<String> = gl.supported_extensions().iter().cloned().collect();
        let egl_device = Adapter::of_display(library, display);
        let text = |name| {
            // SAFETY: glGetString with a name that every version knows; the context is current.
            unsafe { gl.get_parameter_string(name) }
        };
        let (renderer, version) = (text(glow::RENDERER), text(glow::VERSION));
        let driver = Driver::of_gl(&text(glow::VENDOR), &renderer, &version);
        // SAFETY: glGetIntegerv with a name that every version knows.
        let max_texture = unsafe { gl.get_parameter_i32(glow::MAX_TEXTURE_SIZE) };
        let has_gl = |name| gl_extensions.contains(name);
        let mut id = DeviceId {
            render_node: egl_device.as_ref().and_then(Adapter::render_node),
            primary_node: egl_device.as_ref().and_then(Adapter::primary_node),
            software: quirks::is_software(&renderer),
            ..DeviceId::default()
        };
        if has_gl("GL_EXT_memory_object") {
            (id.device_uuid, id.driver_uuid) = uuids(&gl, &functions)?;
        }
        let inner = DeviceInner {
            library,
            display,
            context,
            max_texture: u32::try_from(max_texture).unwrap_or(0),
            samples_external: has_gl("GL_OES_EGL_image_external_essl3"),
            has_framebuffer_srgb: !gl.version().is_embedded || has_gl("GL_EXT_sRGB_write_control"),
            quirks: Quirks::of(&driver, &observed(id.software, egl_device.as_ref()))?,
            gl,
            functions,
            egl_extensions: display_extensions(library, display),
            gl_extensions,
            renderer,
            version,
            id,
            offer: OnceCell::new(),
            fences: OnceCell::new(),
            memfds: OnceCell::new(),
            owned,
            replaced: Cell::default(),
            trash: RefCell::default(),
        };
        Ok(Self {
            inner: Rc::new(inner),
            cache: RefCell::default(),
            imports: Cell::default(),
        })
    }

    pub(super) fn inner(&self) -> &Rc<DeviceInner> {
        &self.inner
    }

    /// Makes the context current on this thread, without a surface. Where it is current already, nothing changes: it keeps
    /// its surfaces.
    ///
    /// What was current is so no more. For a device of [`Adapter::open`] it is current again, with its surfaces, when the
    /// device is dropped while its own context is current. The bound API (`eglBindAPI`) stays what it is.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] when it is current on another thread, or EGL refuses.
    pub fn make_current(&self) -> Result<()> {
        let inner = &self.inner;
        if inner.is_current() {
            return Ok(());
        }
        let previous = Current::here(inner.library);
        inner.surfaceless().make(inner.library)?;
        inner.replaced.set(previous);
        Ok(())
    }

    /// Deletes what nobody needs any more and was not deleted yet: textures of frames that nobody else holds, and everything
    /// that was dropped while the context was not current.
    ///
    /// The next import does the same; call this when none comes soon. Where the context is not current on this thread, it is
    /// made current for that moment, without a surface, and what was current is put back.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] when the context cannot be made current: it is current on another thread, has been destroyed, or
    /// cannot do without a surface. What is left waits for the next import, the next call, or the end of the device.
    pub fn trim(&self) -> Result<()> {
        self.forget_unused();
        self.inner.empty_trash_anywhere()
    }

    /// Lets go of textures of frames that nobody else holds.
    pub(super) fn forget_unused(&self) {
        self.cache
            .borrow_mut()
            .retain(|texture| Rc::strong_count(texture) > 1 || texture.frame().is_shared());
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
    /// [`Frame::implicit_fence`](crate::Frame::implicit_fence) and [`Frame::attach_fence`](crate::Frame::attach_fence)
    /// mean something to it. Lucarne itself never relies on it.
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

/// Creates an OpenGL ES 3 context that needs no surface. That API is bound.
fn headless(library: &Library, display: egl::Display) -> Result<egl::Context> {
    let egl = &library.egl;
    let failed =
        |call: &'static str| move |error: egl::Error| Error::driver(call, raw::error_name(error));
    egl.initialize(display).map_err(failed("eglInitialize"))?;
    let surfaceless = "EGL_KHR_surfaceless_context";
    if !display_extensions(library, display).contains(surfaceless) {
        return Err(Error::unsupported(
            "rendering without a window",
            vec![Requirement::Extension {
                api: "EGL display",
                name: surfaceless,
                available: false,
            }],
        ));
    }
    // A device display may have no window or pbuffer configs at all, so none is asked for.
    let attributes = [
        egl::SURFACE_TYPE,
        0,
        egl::RENDERABLE_TYPE,
        egl::OPENGL_ES3_BIT,
        egl::NONE,
    ];
    let config = egl
        .choose_first_config(display, &attributes)
        .map_err(failed("eglChooseConfig"))?
        .ok_or_else(|| Error::driver("eglChooseConfig", "no OpenGL ES 3 configuration"))?;
    let version = [egl::CONTEXT_CLIENT_VERSION, 3, egl::NONE];
    egl.create_context(display, config, None, &version)
        .map_err(failed("eglCreateContext"))
}

/// OpenGL's functions, for the context that is current.
fn load(library: &Library) -> glow::Context {
    let load = |name: &str| {
        library
            .egl
            .get_proc_address(name)
            .map_or(std::ptr::null(), |function| function as *const _)
    };
    // SAFETY: glow's from_loader_function wants pointers to the functions of the current context's API: the caller knows
    // that one is current, and eglGetProcAddress returns those.
    unsafe { glow::Context::from_loader_function(load) }
}

fn display_extensions(library: &Library, display: egl::Display) -> BTreeSet<String> {
    library
        .egl
        .query_string(Some(display), egl::EXTENSIONS)
        .map(|text| text.to_string_lossy().into_owned())
        .unwrap_or_default()
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect()
}

/// The quirks that the display itself shows.
fn observed(software: bool, egl_device: Option<&Adapter>) -> Vec<&'static quirks::Quirk> {
    let mut observed = Vec::new();
    if software {
        observed.push(&quirks::SOFTWARE_WAITS_FOR_EVER);
        if egl_device.is_some_and(|one| !one.is_software()) {
            observed.push(&quirks::KMS_SWRAST);
        }
    }
    observed
}

type Uuid = [u8; 16];

/// The device's and the driver's (`GL_EXT_memory_object`, which is listed).
fn uuids(gl: &glow::Context, functions: &GlFunctions) -> Result<(Option<Uuid>, Option<Uuid>)> {
    let indexed = loaded(functions.unsigned_bytes_indexed, "glGetUnsignedBytei_vEXT")?;
    let plain = loaded(functions.unsigned_bytes, "glGetUnsignedBytevEXT")?;
    let _stale = first_error(gl);
    // SAFETY: glGetIntegerv with a name of GL_EXT_memory_object.
    let devices = unsafe { gl.get_parameter_i32(raw::GL_NUM_DEVICE_UUIDS_EXT) };
    let mut uuid = [0_u8; 16];
    let mut device = None;
    // A context that spans several devices has no one identity.
    if devices == 1 {
        // SAFETY: glGetUnsignedBytei_vEXT writes GL_UUID_SIZE_EXT, 16, bytes.
        unsafe { indexed(raw::GL_DEVICE_UUID_EXT, 0, uuid.as_mut_ptr()) };
        device = first_error(gl).is_none().then_some(uuid);
    }
    // SAFETY: glGetUnsignedBytevEXT writes 16 bytes for this name.
    unsafe { plain(raw::GL_DRIVER_UUID_EXT, uuid.as_mut_ptr()) };
    let driver = first_error(gl).is_none().then_some(uuid);
    Ok((device, driver))
}
