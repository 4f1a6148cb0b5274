//! What EGL keeps for each thread: which API is bound, which context is current, and with which surfaces. It is the caller's,
//! as GL state is, and put back after ours.

use khronos_egl as egl;

use super::raw::{Egl, Library};
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
            .map_err(|error| Error::driver("eglMakeCurrent", error))
    }
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
            .map_err(|error| Error::driver("eglBindAPI", error))?;
        Ok(Self { egl, previous })
    }
}

impl Drop for BoundApi<'_> {
    fn drop(&mut self) {
        // It was bound before, or it is EGL_NONE, which a display without OpenGL ES begins with and nobody can bind.
        let _bound = self.egl.bind_api(self.previous);
    }
}
