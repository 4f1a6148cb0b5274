//! A program whose context is GLX's is told so, and keeps it.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use libloading::Library;
use lucarne::{Error, egl};
use lucarne_tests::display::Xvfb;
use lucarne_tests::skip::skip;

/// A toolkit's library; `None`, said aloud, where it is missing.
fn library(name: &str) -> Option<Library> {
    // SAFETY: loading a library runs its initialisers; the system's libraries are trusted to have sound ones.
    #[expect(unsafe_code, reason = "loading a library")]
    let loaded = unsafe { Library::new(name) };
    loaded
        .inspect_err(|error| skip("window", &error.to_string()))
        .ok()
}

/// A function of a library, by its C name and type.
macro_rules! function {
    ($library:expr, $name:literal, fn($($argument:ty),*) -> $result:ty) => {{
        // SAFETY: the library's headers declare the function so.
        let found = unsafe {
            $library.get::<unsafe extern "C" fn($($argument),*) -> $result>($name.as_bytes())
        };
        *found.expect($name)
    }};
}

/// Makes a context of GLX current on this thread, as a toolkit would; answers what asks for it. All of it ends with the process.
#[expect(unsafe_code, reason = "calls of libX11 and libGL")]
fn make_current(x11: &Library, glx: &Library, display: &CStr) -> impl Fn() -> *mut c_void {
    type Pointer = *mut c_void;
    let open = function!(x11, "XOpenDisplay", fn(*const c_char) -> Pointer);
    let choose = function!(
        glx,
        "glXChooseFBConfig",
        fn(Pointer, c_int, *const c_int, *mut c_int) -> *mut Pointer
    );
    let surface = function!(
        glx,
        "glXCreatePbuffer",
        fn(Pointer, Pointer, *const c_int) -> usize
    );
    let create = function!(
        glx,
        "glXCreateNewContext",
        fn(Pointer, Pointer, c_int, Pointer, c_int) -> Pointer
    );
    let make = function!(
        glx,
        "glXMakeContextCurrent",
        fn(Pointer, usize, usize, Pointer) -> c_int
    );
    let current = function!(glx, "glXGetCurrentContext", fn() -> Pointer);
    // SAFETY: XOpenDisplay reads a NUL-terminated name.
    let connection = unsafe { open(display.as_ptr()) };
    assert!(!connection.is_null(), "XOpenDisplay");
    // GLX_DRAWABLE_TYPE: GLX_PBUFFER_BIT; None.
    let wanted = [0x8010, 0x0004, 0];
    let mut count = 0;
    // SAFETY: glXChooseFBConfig reads an ended list, and writes one count.
    let configs = unsafe { choose(connection, 0, wanted.as_ptr(), &raw mut count) };
    assert!(!configs.is_null() && count > 0, "glXChooseFBConfig");
    // SAFETY: it has found at least one.
    let config = unsafe { *configs };
    // GLX_PBUFFER_WIDTH and GLX_PBUFFER_HEIGHT: 16; None.
    let size = [0x8041, 16, 0x8040, 16, 0];
    // SAFETY: glXCreatePbuffer reads an ended list.
    let drawable = unsafe { surface(connection, config, size.as_ptr()) };
    let (rgba_type, direct) = (0x8014, 1);
    // SAFETY: glXCreateNewContext with a configuration of this display, and nothing to share.
    let context = unsafe { create(connection, config, rgba_type, std::ptr::null_mut(), direct) };
    assert!(!context.is_null(), "glXCreateNewContext");
    // SAFETY: glXMakeContextCurrent with a drawable and a context of the same configuration.
    let made = unsafe { make(connection, drawable, drawable, context) };
    assert_eq!(made, 1, "glXMakeContextCurrent");
    move || {
        // SAFETY: glXGetCurrentContext has no preconditions.
        unsafe { current() }
    }
}

fn assert_told(error: &Error) {
    let said = error.to_string();
    for part in [
        "GLX",
        "SDL_VIDEO_X11_FORCE_EGL=1",
        "QT_XCB_GL_INTEGRATION=xcb_egl",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_context_of_glx_is_named_and_stays_current() {
    let Some(xvfb) = Xvfb::start(64, 64, None) else {
        return;
    };
    let display = CString::new(xvfb.name.as_str()).expect("no NUL");
    let (Some(x11), Some(glx)) = (library("libX11.so.6"), library("libGL.so.1")) else {
        return;
    };
    let device = egl::Adapter::enumerate()
        .expect("EGL devices")
        .into_iter()
        .find(egl::Adapter::is_software);
    let Some(adapter) = device else {
        skip("mesa", "no software EGL device");
        return;
    };
    // GLX is loaded, and has no context here yet.
    let error = borrow();
    let said = error.to_string();
    assert!(
        said.contains("no context is") && !said.contains("GLX"),
        "{said}"
    );

    let current = make_current(&x11, &glx, &display);
    let context = current();
    assert!(!context.is_null());
    let error = borrow();
    assert!(matches!(error, Error::NotCurrent { .. }), "{error}");
    assert_told(&error);
    // Nor does EGL take its place.
    let error = adapter.open().expect_err("GLX has the thread");
    assert_told(&error);
    assert_eq!(current(), context);
}

/// The error of wrapping what is current.
fn borrow() -> Error {
    // SAFETY: nothing of EGL's is current, so nothing is wrapped.
    #[expect(unsafe_code, reason = "wrapping a context")]
    let wrapped = unsafe { egl::Device::from_current() };
    wrapped.expect_err("no context of EGL's")
}
