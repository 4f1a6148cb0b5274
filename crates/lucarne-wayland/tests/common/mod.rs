//! A program that has a connection and a window already, and frames to show in it.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test program uses a part of it"
)]

mod bare;
mod captured;
#[path = "../../../../examples/wayland-present/window.rs"]
mod window;

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
use wayland_client::Connection;
use wayland_client::protocol::wl_surface::WlSurface;
pub(crate) use window::Window;

/// A connection to a compositor's socket.
pub(crate) fn connect(socket: &Path) -> Connection {
    let stream = UnixStream::connect(socket).expect("a compositor");
    Connection::from_socket(stream).expect("a connection")
}

/// A window that fills the screen, in a queue of the program's own.
pub(crate) fn window(socket: &Path) -> Window {
    Window::open(connect(socket), "a test", true).expect("a window")
}

/// Reads the socket and handles the program's own events, as its loop does.
pub(crate) fn handle_events(window: &mut Window) {
    let connection = window.connection().clone();
    connection.roundtrip().expect("a compositor that is there");
    assert!(window.is_open().expect("a compositor that is there"));
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
            window.connection(),
            window.surface(),
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
