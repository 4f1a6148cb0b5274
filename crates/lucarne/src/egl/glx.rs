//! Whether the context of this thread is GLX's, of which EGL knows nothing.

use std::ffi::c_void;

use libloading::os::unix::{Library, RTLD_LAZY};

/// A toolkit that uses GLX has loaded one of these.
const LIBRARIES: [&str; 2] = ["libGLX.so.0", "libGL.so.1"];

/// What such a program can do.
pub(super) const HELP: &str = "have the toolkit make its contexts with EGL: SDL_VIDEO_FORCE_EGL=1 for SDL 3, \
     SDL_VIDEO_X11_FORCE_EGL=1 for SDL 2, GLFW_EGL_CONTEXT_API for GLFW, QT_XCB_GL_INTEGRATION=xcb_egl for Qt, \
     GDK_DEBUG=gl-egl for GTK 4, DisplayApiPreference::Egl for glutin";

/// Whether a context of GLX is current on this thread. Loads nothing: who has not loaded GLX has no context of it.
pub(super) fn is_current() -> bool {
    LIBRARIES.into_iter().any(is_current_in)
}

fn is_current_in(name: &str) -> bool {
    type GetCurrentContext = unsafe extern "C" fn() -> *mut c_void;
    let flags = RTLD_LAZY | libc::RTLD_NOLOAD;
    // SAFETY: dlopen with RTLD_NOLOAD runs no initialisers: it finds a library that is loaded, or nothing.
    let Ok(library) = (unsafe { Library::open(Some(name), flags) }) else {
        return false;
    };
    // SAFETY: GLX 1.0 declares the function so, and the library is the one that has it.
    let Ok(current) = (unsafe { library.get::<GetCurrentContext>(b"glXGetCurrentContext\0") })
    else {
        return false;
    };
    // SAFETY: glXGetCurrentContext has no preconditions.
    let context = unsafe { current() };
    !context.is_null()
}
