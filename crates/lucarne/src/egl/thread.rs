//! What EGL keeps for each thread: which API is bound, which context is current, and with which surfaces. It is the caller's,
//! as GL state is, and put back after ours.

use khronos_egl as egl;

use super::glx;
use super::raw::{Egl, Library, error_name};
use crate::error::{Error, Result};

/// A context that is current on a thread, with what it draws to and reads from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Current {
    display: egl::Display,
    draw: Option<egl::Surface>,
    read: Option<egl::Surface>,
    context: egl::Context,
}

impl Current {
    /// What is current on this thread, if anything.
    pub(super) fn here(library: &Library) -> Option<Self> {
        let egl = &library.egl;
        Some(Self {
            display: egl.get_current_display()?,
            draw: egl.get_current_surface(egl::DRAW),
            read: egl.get_current_surface(egl::READ),
            context: egl.get_current_context()?,
        })
    }

    /// A context that draws to framebuffer objects alone.
    pub(super) fn surfaceless(display: egl::Display, context: egl::Context) -> Self {
        Self {
            display,
            draw: None,
            read: None,
            context,
        }
    }

    /// Makes it current on this thread.
    pub(super) fn make(self, library: &Library) -> Result<()> {
        let context = Some(self.context);
        library
            .egl
            .make_current(self.display, self.draw, self.read, context)
            .map_err(refused)
    }
}

fn refused(error: egl::Error) -> Error {
    let help = match error {
        egl::Error::BadAccess if glx::is_current() => {
            format!("a context of GLX is current on this thread; {}", glx::HELP)
        }
        egl::Error::BadAccess => {
            "the context is current on another thread: make nothing current there first".to_owned()
        }
        egl::Error::BadContext => "the context has been destroyed".to_owned(),
        egl::Error::BadMatch => {
            "this display has no contexts without a surface (EGL_KHR_surfaceless_context): make the context current first, \
             with a surface of yours"
                .to_owned()
        }
        _ => String::new(),
    };
    Error::Driver {
        call: "eglMakeCurrent",
        code: error_name(error).to_owned(),
        help,
    }
}

/// The error of a call that needs one context, where `current` is.
pub(super) fn not_current(call: &'static str, current: Option<egl::Context>) -> Error {
    let (found, help) = match current {
        Some(_) => ("another context is", ""),
        None if glx::is_current() => ("a context of GLX is, not of EGL", glx::HELP),
        None => ("no context is", ""),
    };
    Error::NotCurrent { call, found, help }
}

/// Runs `body` while a context is current on this thread that is not so yet, and puts back what was.
pub(super) fn visit(library: &Library, visited: Current, body: impl FnOnce()) -> Result<()> {
    let previous = Current::here(library);
    visited.make(library)?;
    body();
    put_back(library, visited.display, previous);
    Ok(())
}

/// Makes current again what was. Where that has been destroyed meanwhile, EGL refuses it, and nothing is current then.
pub(super) fn put_back(library: &Library, display: egl::Display, previous: Option<Current>) {
    // Also where nothing has been replaced: making it current once more would only flush it.
    if Current::here(library) == previous {
        return;
    }
    if previous.is_none_or(|previous| previous.make(library).is_err()) {
        // Nothing can be done about a context that cannot be let go of either.
        let _released = library.egl.make_current(display, None, None, None);
    }
}

/// The API that `eglCreateContext` makes contexts of. What was bound before is bound again on drop.
pub(super) struct BoundApi<'a> {
    egl: &'a Egl,
    previous: egl::Enum,
}

impl<'a> BoundApi<'a> {
    pub(super) fn bind(library: &'a Library, api: egl::Enum) -> Result<Self> {
        let egl = &library.egl;
        let previous = egl.query_api();
        egl.bind_api(api)
            .map_err(|error| Error::driver("eglBindAPI", error_name(error)))?;
        Ok(Self { egl, previous })
    }
}

impl Drop for BoundApi<'_> {
    fn drop(&mut self) {
        // It was bound before, or it is EGL_NONE, which a display without OpenGL ES begins with and nobody can bind.
        let _bound = self.egl.bind_api(self.previous);
    }
}
