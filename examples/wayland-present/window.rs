//! A window by hand: a connection, a surface, and a role for it. A toolkit does this for you.

use std::error::Error;

use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::wl_compositor::WlCompositor;
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::protocol::wl_surface::WlSurface;
use wayland_client::{Connection, Dispatch, EventQueue, QueueHandle, delegate_noop};
use wayland_protocols::xdg::shell::client::xdg_surface::{self, XdgSurface};
use wayland_protocols::xdg::shell::client::xdg_toplevel::{self, XdgToplevel};
use wayland_protocols::xdg::shell::client::xdg_wm_base::{self, XdgWmBase};

pub(crate) struct Window {
    connection: Connection,
    queue: EventQueue<Events>,
    events: Events,
    surface: WlSurface,
    role: XdgSurface,
    toplevel: XdgToplevel,
}

#[derive(Debug, Default)]
struct Events {
    is_configured: bool,
    is_closed: bool,
}

impl Window {
    /// Opens one on this connection.
    pub(crate) fn open(
        connection: Connection,
        title: &str,
        full_screen: bool,
    ) -> Result<Self, Box<dyn Error>> {
        let (globals, mut queue) = registry_queue_init::<Events>(&connection)?;
        let handle = queue.handle();
        let compositor: WlCompositor = globals.bind(&handle, 4..=4, ())?;
        let shell: XdgWmBase = globals.bind(&handle, 1..=1, ())?;
        let surface = compositor.create_surface(&handle, ());
        let role = shell.get_xdg_surface(&surface, &handle, ());
        let toplevel = role.get_toplevel(&handle, ());
        toplevel.set_title(title.to_owned());
        if full_screen {
            toplevel.set_fullscreen(None);
        }
        surface.commit();
        let mut events = Events::default();
        while !events.is_configured {
            queue.blocking_dispatch(&mut events)?;
        }
        Ok(Self {
            connection,
            queue,
            events,
            surface,
            role,
            toplevel,
        })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn surface(&self) -> &WlSurface {
        &self.surface
    }

    /// Handles the window's events. Does not block.
    pub(crate) fn is_open(&mut self) -> Result<bool, Box<dyn Error>> {
        self.queue.dispatch_pending(&mut self.events)?;
        Ok(!self.events.is_closed)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.toplevel.destroy();
        self.role.destroy();
        self.surface.destroy();
    }
}

impl Dispatch<XdgWmBase, ()> for Events {
    fn event(
        _: &mut Self,
        shell: &XdgWmBase,
        event: xdg_wm_base::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_wm_base::Event::Ping { serial } = event {
            shell.pong(serial);
        }
    }
}

impl Dispatch<XdgSurface, ()> for Events {
    fn event(
        events: &mut Self,
        role: &XdgSurface,
        event: xdg_surface::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_surface::Event::Configure { serial } = event {
            role.ack_configure(serial);
            events.is_configured = true;
        }
    }
}

impl Dispatch<XdgToplevel, ()> for Events {
    fn event(
        events: &mut Self,
        _: &XdgToplevel,
        event: xdg_toplevel::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        events.is_closed |= matches!(event, xdg_toplevel::Event::Close);
    }
}

impl Dispatch<WlRegistry, GlobalListContents> for Events {
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

delegate_noop!(Events: WlCompositor);
delegate_noop!(Events: ignore WlSurface);
