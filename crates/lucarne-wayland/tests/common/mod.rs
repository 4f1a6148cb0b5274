//! A program that has a connection and a window already, and frames to show in it.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test program uses a part of it"
)]

mod bare;
mod captured;

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) use bare::Bare;
pub(crate) use captured::{SHORT, allocate, read};
use lucarne::cpu::{Allocator, Image};
use lucarne::{
    Agreement, Extent, Format, ImportCache, Offer, Pool, PoolFrame, Request, Usage, negotiate,
};
use lucarne_tests::TIMEOUT;
use lucarne_tests::picture::Picture;
use lucarne_wayland::{Buffer, Display, Surface};
use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::wl_compositor::WlCompositor;
use wayland_client::protocol::wl_registry::{self, WlRegistry};
use wayland_client::protocol::wl_surface::WlSurface;
use wayland_client::{Connection, Dispatch, EventQueue, QueueHandle, delegate_noop};
use wayland_protocols::xdg::shell::client::xdg_surface::{self, XdgSurface};
use wayland_protocols::xdg::shell::client::xdg_toplevel::{self, XdgToplevel};
use wayland_protocols::xdg::shell::client::xdg_wm_base::{self, XdgWmBase};

/// A window that fills the screen, in a queue of the program's own.
pub(crate) struct Window {
    pub(crate) connection: Connection,
    pub(crate) surface: WlSurface,
    queue: EventQueue<Events>,
    events: Events,
    _toplevel: XdgToplevel,
}

/// What the compositor has said to the program itself.
#[derive(Debug, Default)]
struct Events {
    configured: bool,
}

/// A connection to a compositor's socket.
pub(crate) fn connect(socket: &Path) -> Connection {
    let stream = UnixStream::connect(socket).expect("a compositor");
    Connection::from_socket(stream).expect("a connection")
}

impl Window {
    pub(crate) fn open(socket: &Path) -> Self {
        let connection = connect(socket);
        let (globals, mut queue) = registry_queue_init::<Events>(&connection).expect("globals");
        let handle = queue.handle();
        let compositor: WlCompositor = globals.bind(&handle, 4..=4, ()).expect("a compositor");
        let shell: XdgWmBase = globals.bind(&handle, 1..=1, ()).expect("a shell");
        let surface = compositor.create_surface(&handle, ());
        let role = shell.get_xdg_surface(&surface, &handle, ());
        let toplevel = role.get_toplevel(&handle, ());
        toplevel.set_fullscreen(None);
        surface.commit();
        let mut events = Events::default();
        while !events.configured {
            queue.blocking_dispatch(&mut events).expect("a compositor");
        }
        Self {
            connection,
            surface,
            queue,
            events,
            _toplevel: toplevel,
        }
    }

    /// Reads the socket and handles the program's own events, as its loop does.
    pub(crate) fn handle_events(&mut self) {
        let handled = self.queue.roundtrip(&mut self.events);
        handled.expect("events of a compositor that is there");
    }
}

/// Frames that the CPU draws, shown on a surface.
pub(crate) struct Show {
    pub(crate) display: Display,
    pub(crate) surface: Surface<PoolFrame>,
    pub(crate) buffers: ImportCache<Buffer>,
    pub(crate) pool: Pool,
    pub(crate) agreement: Agreement,
    images: Vec<Image>,
}

/// What is agreed on with a compositor for frames that the CPU draws.
pub(crate) fn agree(allocator: &Allocator, offer: &Offer, extent: Extent) -> Agreement {
    let own = lucarne_tests::cpu::open(allocator)
        .offer(Usage::TRANSFER_DESTINATION)
        .expect("an offer");
    let request = Request::new(extent)
        .formats(&[Format::XRGB8888])
        .paths(&[lucarne_tests::cpu::path(allocator)])
        .usage(Usage::TRANSFER_DESTINATION, Usage::SAMPLE);
    negotiate(&own, offer, &request).expect("something in common")
}

impl Show {
    pub(crate) fn begin(
        window: &Window,
        allocator: &Allocator,
        extent: Extent,
        frames: usize,
    ) -> Self {
        Self::begin_on(
            &window.connection,
            &window.surface,
            allocator,
            extent,
            frames,
        )
    }

    pub(crate) fn begin_on(
        connection: &Connection,
        surface: &WlSurface,
        allocator: &Allocator,
        extent: Extent,
        frames: usize,
    ) -> Self {
        let display = Display::wrap(connection, TIMEOUT).expect("a display");
        let surface = display.surface(surface, TIMEOUT).expect("a surface");
        let agreement = agree(allocator, &surface.offer(), extent);
        let device = lucarne_tests::cpu::open(allocator);
        let images: Vec<Image> = (0..frames)
            .map(|_| device.export(&agreement).expect("an image"))
            .collect();
        let pool = Pool::new(images.iter().map(|image| image.frame().clone()).collect());
        Self {
            display,
            surface,
            buffers: ImportCache::new(frames),
            pool,
            agreement,
            images,
        }
    }

    /// Draws a picture and shows it. Waits for a frame that the compositor has released.
    pub(crate) fn show(&mut self, picture: &Picture) {
        let (writing, gate) = self.free(TIMEOUT).expect("a frame in time").acquire();
        let image = &self.images[writing.index()];
        let drawn = lucarne_tests::cpu::write(image, &gate, &[picture.xrgb8888()]);
        let sent = writing.send(drawn);
        let display = &self.display;
        let buffer = self
            .buffers
            .get_or_import(sent.frame(), |frame| display.export(frame, TIMEOUT))
            .expect("a buffer");
        self.surface
            .present(buffer, sent.receive(), TIMEOUT)
            .expect("presented");
    }

    /// Ends it; the pool stays.
    pub(crate) fn end(self) -> Pool {
        self.pool
    }

    pub(crate) fn free(&mut self, timeout: Duration) -> Option<lucarne::Free> {
        let begun = Instant::now();
        loop {
            self.surface.give_back().expect("a compositor");
            if let Some(free) = self.pool.acquire() {
                return Some(free);
            }
            if begun.elapsed() > timeout {
                return None;
            }
            self.display
                .wait(Duration::from_millis(100))
                .expect("a compositor");
        }
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
        surface: &XdgSurface,
        event: xdg_surface::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_surface::Event::Configure { serial } = event {
            surface.ack_configure(serial);
            events.configured = true;
        }
    }
}

impl Dispatch<XdgToplevel, ()> for Events {
    fn event(
        _: &mut Self,
        _: &XdgToplevel,
        _: xdg_toplevel::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
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
