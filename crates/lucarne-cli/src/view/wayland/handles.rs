//! The toolkit's connection and surface, taken as they are.
#![allow(
    unsafe_code,
    reason = "the toolkit gives them as pointers of libwayland-client"
)]

use lucarne_wayland::wayland_client::backend::{Backend, ObjectId};
use lucarne_wayland::wayland_client::protocol::wl_surface::WlSurface;
use lucarne_wayland::wayland_client::{Connection, Proxy};
use winit::raw_window_handle::{
    HasDisplayHandle, HasWindowHandle, RawDisplayHandle, RawWindowHandle,
};
use winit::window::Window;

use crate::Failure;

/// The connection that the toolkit has, and the window's surface. Neither may be used once the window has gone.
pub(super) fn of(window: &Window) -> Result<(Connection, WlSurface), Failure> {
    let display = window.display_handle().map_err(|error| error.to_string())?;
    let handle = window.window_handle().map_err(|error| error.to_string())?;
    let (RawDisplayHandle::Wayland(display), RawWindowHandle::Wayland(handle)) =
        (display.as_raw(), handle.as_raw())
    else {
        return Err(
            "`--api wayland` needs a Wayland compositor, and this window is on an X server; `--api gl` does without".into(),
        );
    };
    // SAFETY: Backend::from_foreign_display asks for a wl_display that outlives the backend: it is the event loop's, which outlives the
    // screen that keeps the connection.
    let backend = unsafe { Backend::from_foreign_display(display.display.as_ptr().cast()) };
    let connection = Connection::from_backend(backend);
    // SAFETY: ObjectId::from_ptr asks for a valid proxy while the id is used: it is the window's surface, and the screen keeps both.
    let id = unsafe { ObjectId::from_ptr(WlSurface::interface(), handle.surface.as_ptr().cast()) }
        .map_err(|error| error.to_string())?;
    let surface = WlSurface::from_id(&connection, id).map_err(|error| error.to_string())?;
    Ok((connection, surface))
}
