//! What a toolkit has of its own: an EGL context with a surface to draw to and one to read from.

use std::ffi::{CStr, c_char, c_void};

use khronos_egl as egl;

use crate::skip::skip;

type Egl = egl::DynamicInstance<egl::EGL1_5>;

/// `EGL_PLATFORM_DEVICE_EXT`.
const PLATFORM_DEVICE: egl::Enum = 0x313F;

/// A toolkit's context, on the display of the software device. Taken down on drop.
#[derive(Debug)]
pub struct Toolkit {
    /// EGL, as the toolkit calls it.
    pub egl: Egl,
    display: egl::Display,
    config: egl::Config,
    version: &'static [egl::Int],
    draw: egl::Surface,
    read: egl::Surface,
    /// Its context.
    pub context: egl::Context,
}

// SAFETY: EGL 1.5, section 3.7: handles of displays, surfaces and contexts may be used on every thread, and calls with them are
// serialised by EGL. A context is current on one thread, or EGL refuses.
#[expect(unsafe_code, reason = "handles are pointers")]
unsafe impl Sync for Toolkit {}

/// What EGL keeps for a thread.
#[derive(Debug, PartialEq, Eq)]
pub struct ThreadState {
    /// The bound API, of which `eglCreateContext` makes contexts.
    pub api: egl::Enum,
    /// The display of the current context.
    pub display: Option<egl::Display>,
    /// The current context.
    pub context: Option<egl::Context>,
    /// What it draws to.
    pub draw: Option<egl::Surface>,
    /// What it reads from.
    pub read: Option<egl::Surface>,
}

const DESKTOP: [egl::Int; 5] = [
    egl::CONTEXT_MAJOR_VERSION,
    3,
    egl::CONTEXT_MINOR_VERSION,
    3,
    egl::NONE,
];
const EMBEDDED: [egl::Int; 3] = [egl::CONTEXT_CLIENT_VERSION, 3, egl::NONE];

impl Toolkit {
    /// A context of desktop OpenGL, current on this thread; that API stays bound. `None`, said aloud, without the software
    /// device.
    ///
    /// # Panics
    ///
    /// When EGL refuses.
    pub fn desktop() -> Option<Self> {
        Self::open(egl::OPENGL_API, egl::OPENGL_BIT, &DESKTOP)
    }

    /// As [`Toolkit::desktop`], of OpenGL ES.
    ///
    /// # Panics
    ///
    /// When EGL refuses.
    pub fn embedded() -> Option<Self> {
        Self::open(egl::OPENGL_ES_API, egl::OPENGL_ES3_BIT, &EMBEDDED)
    }

    fn open(api: egl::Enum, renderable: egl::Int, version: &'static [egl::Int]) -> Option<Self> {
        // SAFETY: loads the system's EGL, which is trusted to initialise soundly.
        #[expect(unsafe_code, reason = "loading a library")]
        let egl = unsafe { Egl::load_required() }.expect("EGL 1.5");
        let Some(display) = software_display(&egl) else {
            skip("mesa", "no software EGL device");
            return None;
        };
        egl.initialize(display).expect("a display");
        egl.bind_api(api).expect("an API of this driver");
        let wanted = [
            egl::SURFACE_TYPE,
            egl::PBUFFER_BIT,
            egl::RENDERABLE_TYPE,
            renderable,
            egl::NONE,
        ];
        let config = egl.choose_first_config(display, &wanted).expect("configs");
        let config = config.expect("one with surfaces");
        let size = [egl::WIDTH, 16, egl::HEIGHT, 16, egl::NONE];
        let surface = || egl.create_pbuffer_surface(display, config, &size);
        let (draw, read) = (surface().expect("a surface"), surface().expect("another"));
        let context = egl.create_context(display, config, None, version);
        let toolkit = Self {
            display,
            config,
            version,
            draw,
            read,
            context: context.expect("a context"),
            egl,
        };
        toolkit.make_current();
        Some(toolkit)
    }

    /// Makes its context current on this thread, with its surfaces.
    ///
    /// # Panics
    ///
    /// When EGL refuses.
    pub fn make_current(&self) {
        let (draw, read) = (Some(self.draw), Some(self.read));
        let current = self
            .egl
            .make_current(self.display, draw, read, Some(self.context));
        current.expect("the toolkit's context is current");
    }

    /// OpenGL's functions, for its context, which is current.
    #[expect(unsafe_code, reason = "entry points")]
    pub fn gl(&self) -> glow::Context {
        let load = |name: &str| {
            let function = self.egl.get_proc_address(name);
            function.map_or(std::ptr::null(), |function| function as *const c_void)
        };
        // SAFETY: glow's from_loader_function: a context is current, and EGL gives its functions.
        unsafe { glow::Context::from_loader_function(load) }
    }

    /// Makes nothing current on this thread.
    ///
    /// # Panics
    ///
    /// When EGL refuses.
    pub fn release(&self) {
        let released = self.egl.make_current(self.display, None, None, None);
        released.expect("nothing is current");
    }

    /// What EGL keeps for this thread.
    pub fn thread_state(&self) -> ThreadState {
        ThreadState {
            api: self.egl.query_api(),
            display: self.egl.get_current_display(),
            context: self.egl.get_current_context(),
            draw: self.egl.get_current_surface(egl::DRAW),
            read: self.egl.get_current_surface(egl::READ),
        }
    }

    /// Creates a context of the API that is bound, as a toolkit does for its next window, and destroys it.
    ///
    /// # Errors
    ///
    /// EGL's.
    pub fn next_context(&self) -> Result<(), egl::Error> {
        let (display, config) = (self.display, self.config);
        let next = self
            .egl
            .create_context(display, config, None, self.version)?;
        self.egl.destroy_context(display, next)
    }
}

impl Drop for Toolkit {
    fn drop(&mut self) {
        // What cannot be taken down ends with the process.
        if self.egl.get_current_context() == Some(self.context) {
            let _released = self.egl.make_current(self.display, None, None, None);
        }
        let _destroyed = self.egl.destroy_context(self.display, self.context);
        for surface in [self.draw, self.read] {
            let _destroyed = self.egl.destroy_surface(self.display, surface);
        }
    }
}

/// The display of the first device that is a software rasteriser.
#[expect(unsafe_code, reason = "entry points of extensions")]
fn software_display(egl: &Egl) -> Option<egl::Display> {
    type QueryDevices = unsafe extern "system" fn(i32, *mut *mut c_void, *mut i32) -> u32;
    type QueryString = unsafe extern "system" fn(*mut c_void, i32) -> *const c_char;
    let query_devices = egl.get_proc_address("eglQueryDevicesEXT")?;
    // SAFETY: EGL_EXT_device_enumeration declares the function so.
    let query_devices: QueryDevices = unsafe { std::mem::transmute(query_devices) };
    let query_string = egl.get_proc_address("eglQueryDeviceStringEXT")?;
    // SAFETY: EGL_EXT_device_query declares the function so.
    let query_string: QueryString = unsafe { std::mem::transmute(query_string) };
    let (mut devices, mut count) = ([std::ptr::null_mut(); 16], 0);
    // SAFETY: eglQueryDevicesEXT writes as many devices as there is room for, and their count.
    let answer = unsafe { query_devices(16, devices.as_mut_ptr(), &raw mut count) };
    assert_eq!(answer, egl::TRUE, "eglQueryDevicesEXT");
    let found = &devices[..usize::try_from(count).expect("a count")];
    let device = found.iter().copied().find(|device| {
        // SAFETY: eglQueryDeviceStringEXT of a device of the query above.
        let text = unsafe { query_string(*device, egl::EXTENSIONS) };
        // SAFETY: a static, NUL-terminated string: every device has extensions.
        let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
        text.contains("EGL_MESA_device_software")
    })?;
    let none = [egl::ATTRIB_NONE];
    // SAFETY: eglGetPlatformDisplay: EGL_EXT_platform_device takes a device of the query above and an ended list.
    let display = unsafe { egl.get_platform_display(PLATFORM_DEVICE, device, &none) };
    Some(display.expect("the device's display"))
}
