//! Contexts: one of Lucarne's own, and whichever is current.

use khronos_egl as egl;

use super::device::{Device, DeviceInner};
use super::raw::Library;
use crate::error::{Error, Requirement, Result};

/// Creates an OpenGL ES 3 context without a surface and makes it current.
pub(super) fn headless(library: &'static Library, display: egl::Display) -> Result<Device> {
    let egl = &library.egl;
    let failed = |call: &'static str| move |error: egl::Error| Error::driver(call, error);
    egl.initialize(display).map_err(failed("eglInitialize"))?;
    let extensions = display_extensions(library, display);
    if !extensions
        .iter()
        .any(|one| one == "EGL_KHR_surfaceless_context")
    {
        return Err(Error::unsupported(
            "rendering without a window",
            vec![Requirement::Extension {
                api: "EGL display",
                name: "EGL_KHR_surfaceless_context",
                available: false,
            }],
        ));
    }
    egl.bind_api(egl::OPENGL_ES_API)
        .map_err(failed("eglBindAPI"))?;
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
    let context = egl
        .create_context(display, config, None, &version)
        .map_err(failed("eglCreateContext"))?;
    if let Err(error) = egl.make_current(display, None, None, Some(context)) {
        // Nothing can be done about a context that cannot be destroyed either.
        let _destroyed = egl.destroy_context(display, context);
        return Err(Error::driver("eglMakeCurrent", error));
    }
    let device = DeviceInner::new(library, display, context, true);
    if device.is_err() {
        let _released = egl.make_current(display, None, None, None);
        let _destroyed = egl.destroy_context(display, context);
    }
    Ok(Device::new(device?))
}

/// Wraps the display and context that are current on this thread.
pub(super) fn current(library: &'static Library) -> Result<Device> {
    let nothing = Error::NotCurrent {
        call: "egl::Device::from_current",
        found: "no context is",
    };
    let (Some(display), Some(context)) = (
        library.egl.get_current_display(),
        library.egl.get_current_context(),
    ) else {
        return Err(nothing);
    };
    Ok(Device::new(DeviceInner::new(
        library, display, context, false,
    )?))
}

pub(super) fn display_extensions(library: &Library, display: egl::Display) -> Vec<String> {
    library
        .egl
        .query_string(Some(display), egl::EXTENSIONS)
        .map(|text| text.to_string_lossy().into_owned())
        .unwrap_or_default()
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect()
}
