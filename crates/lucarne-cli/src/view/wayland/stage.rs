//! Surfaces of the window's: the picture's and those of the panels, each in its place over the black ground.

use lucarne::Extent;
use lucarne_wayland::Buffer;
use lucarne_wayland::wayland_client::globals::{GlobalListContents, registry_queue_init};
use lucarne_wayland::wayland_client::protocol::wl_compositor::WlCompositor;
use lucarne_wayland::wayland_client::protocol::wl_registry::{self, WlRegistry};
use lucarne_wayland::wayland_client::protocol::wl_subcompositor::WlSubcompositor;
use lucarne_wayland::wayland_client::protocol::wl_subsurface::WlSubsurface;
use lucarne_wayland::wayland_client::protocol::wl_surface::WlSurface;
use lucarne_wayland::wayland_client::{
    Connection, Dispatch, EventQueue, QueueHandle, delegate_noop,
};
use wayland_protocols::wp::viewporter::client::wp_viewport::WpViewport;
use wayland_protocols::wp::viewporter::client::wp_viewporter::WpViewporter;

use super::super::scale::Place;
use crate::Failure;

/// Makes surfaces over the window's own.
pub(super) struct Stage {
    queue: EventQueue<Unheard>,
    compositor: WlCompositor,
    subcompositor: WlSubcompositor,
    viewporter: WpViewporter,
}

/// One of them. It shows with the next commit of the window's surface.
pub(super) struct Part {
    pub(super) surface: WlSurface,
    role: WlSubsurface,
    viewport: WpViewport,
}

/// None of these surfaces' events matter here.
struct Unheard;

impl Stage {
    pub(super) fn new(connection: &Connection) -> Result<Self, Failure> {
        let (globals, queue) = registry_queue_init::<Unheard>(connection)
            .map_err(|error| format!("the compositor's list of interfaces: {error}"))?;
        let handle = queue.handle();
        let lacks = |error| format!("the compositor lacks what places pictures: {error}");
        Ok(Self {
            compositor: globals.bind(&handle, 4..=4, ()).map_err(lacks)?,
            subcompositor: globals.bind(&handle, 1..=1, ()).map_err(lacks)?,
            viewporter: globals.bind(&handle, 1..=1, ()).map_err(lacks)?,
            queue,
        })
    }

    /// A surface over the others of `parent`. It hears of no pointer: that is the window's.
    pub(super) fn part(&self, parent: &WlSurface) -> Part {
        let handle = self.queue.handle();
        let surface = self.compositor.create_surface(&handle, ());
        let region = self.compositor.create_region(&handle, ());
        surface.set_input_region(Some(&region));
        region.destroy();
        Part {
            role: self
                .subcompositor
                .get_subsurface(&surface, parent, &handle, ()),
            viewport: self.viewporter.get_viewport(&surface, &handle, ()),
            surface,
        }
    }

    /// Drops what has come: outputs that a surface enters, releases of buffers that are not written again.
    pub(super) fn forget_events(&mut self) -> Result<(), Failure> {
        let handled = self.queue.dispatch_pending(&mut Unheard);
        handled.map(drop).map_err(|error| error.to_string().into())
    }
}

impl Part {
    /// Where its buffer is shown, in pixels of the display, `factor` of which are one of the window's units.
    pub(super) fn put(&self, place: Place, factor: f64) {
        let [x, y, width, height] =
            [place.x, place.y, place.width, place.height].map(|pixels| units(pixels, factor));
        self.viewport.set_destination(width.max(1), height.max(1));
        self.role.set_position(x, y);
    }

    /// Shows a buffer that nobody writes any more.
    pub(super) fn show(&self, buffer: Option<&Buffer>) {
        show(&self.surface, buffer);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.viewport.destroy();
        self.role.destroy();
        self.surface.destroy();
    }
}

/// Attaches a whole buffer, or none, and commits.
pub(super) fn show(surface: &WlSurface, buffer: Option<&Buffer>) {
    surface.attach(buffer.map(Buffer::object), 0, 0);
    surface.damage_buffer(0, 0, i32::MAX, i32::MAX);
    surface.commit();
}

/// Sizes of windows are far below what 31 bits hold.
#[expect(clippy::cast_possible_truncation, reason = "it is bounded first")]
fn units(pixels: u32, factor: f64) -> i32 {
    let units = f64::from(pixels) / factor.max(0.1);
    units.round().clamp(0.0, f64::from(u16::MAX)) as i32
}

/// A size in the window's units is `factor` times as many pixels.
pub(super) fn is_shown(window: Extent) -> bool {
    window.width > 0 && window.height > 0
}

impl Dispatch<WlRegistry, GlobalListContents> for Unheard {
    fn event(
        _: &mut Self,
        _: &WlRegistry,
        _: wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

delegate_noop!(Unheard: WlCompositor);
delegate_noop!(Unheard: WlSubcompositor);
delegate_noop!(Unheard: WlSubsurface);
delegate_noop!(Unheard: WpViewporter);
delegate_noop!(Unheard: WpViewport);
delegate_noop!(Unheard: lucarne_wayland::wayland_client::protocol::wl_region::WlRegion);
delegate_noop!(Unheard: ignore WlSurface);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_become_the_windows_units() {
        assert_eq!(units(640, 1.0), 640);
        assert_eq!(units(640, 2.0), 320);
        assert_eq!(units(641, 1.5), 427);
        assert_eq!(units(u32::MAX, 1.0), 65535);
    }
}
