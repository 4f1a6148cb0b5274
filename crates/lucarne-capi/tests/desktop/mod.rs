//! What tests of toolkits share: a stream of a known picture, display servers of the test's own, and what they show.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use lucarne::{Agreement, Extent, Format, MemoryPath, Request, Usage, cpu, negotiate};
use lucarne_stream::{Error, Producer, ProducerOptions};
use lucarne_tests::display::{self, Backend, Running, SOCKET};
use lucarne_tests::engine::{self, Direction, Seen};
pub(crate) use lucarne_tests::picture::{Picture, weston_shot};
use tempfile::TempDir;

use crate::common::succeed;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const PERIOD: Duration = Duration::from_millis(20);
/// What stands for a screen.
pub(crate) const WIDTH: u32 = 640;
pub(crate) const HEIGHT: u32 = 480;

/// A stream named "scene" of one picture, which a thread sends again and again.
pub(crate) struct Served {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn start(folder: &Path, picture: &Picture) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (asked, folder, picture) = (Arc::clone(&stop), folder.to_owned(), picture.clone());
        let (bound, is_bound) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            serve(&folder, &picture, &asked, || {
                bound.send(()).expect("somebody waits");
            })
        });
        is_bound.recv().expect("a producer");
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

/// As a producer that dies: it says nothing.
impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().expect("a thread").join();
        assert!(
            ended.is_ok() || std::thread::panicking(),
            "the producer failed"
        );
    }
}

/// The first allocator that opens: dma-bufs before host memory.
fn allocator() -> cpu::Device {
    let mut opened = cpu::Adapter::enumerate()
        .into_iter()
        .filter_map(|one| one.open().ok());
    opened.next().expect("host memory is everywhere")
}

fn serve(folder: &Path, picture: &Picture, stop: &AtomicBool, bound: impl FnOnce()) {
    let device = allocator();
    let offer = device.offer(Usage::RENDER).expect("an offer");
    let request = Request::new(Extent::new(picture.width, picture.height));
    let request = request
        .usage(Usage::RENDER, Usage::SAMPLE)
        .formats(&[Format::XBGR8888]);
    let options = ProducerOptions::of(request).directory(folder);
    let allocate = |agreement: &Agreement| {
        let image = device.export(agreement)?;
        let frame = image.frame().clone();
        Ok((image, frame))
    };
    let mut producer = Producer::bind("scene", &offer, options, allocate).expect("a name");
    bound();
    let bytes: Vec<u8> = picture
        .pixels
        .iter()
        .flat_map(|[red, green, blue]| [*red, *green, *blue, 0])
        .collect();
    while !stop.load(Ordering::Relaxed) {
        let slot = match producer.acquire(PERIOD) {
            Ok(slot) => slot,
            Err(Error::Timeout { .. }) => continue,
            Err(error) => panic!("no slot: {error}"),
        };
        let drawn = slot
            .image()
            .write(slot.gate(), PATIENCE, |rows| rows.write_plane(0, &bytes));
        producer
            .send(slot, drawn.expect("written"), lucarne_stream::now())
            .expect("sent");
        std::thread::sleep(PERIOD);
    }
}

/// A compositor without a screen, which draws with OpenGL and lets everybody take pictures of it.
pub(crate) struct Weston {
    pub(crate) runtime: TempDir,
    _server: Running,
}

impl Weston {
    pub(crate) fn start() -> Option<Self> {
        let runtime = tempfile::tempdir().expect("a folder");
        let size = [format!("--width={WIDTH}"), format!("--height={HEIGHT}")];
        let arguments = ["--debug", &size[0], &size[1]];
        let server = display::weston(runtime.path(), Backend::Headless, &arguments)?;
        Some(Self {
            runtime,
            _server: server,
        })
    }

    /// Has a program show itself here.
    pub(crate) fn shows<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("XDG_RUNTIME_DIR", self.runtime.path())
            .env("WAYLAND_DISPLAY", SOCKET)
            .env_remove("DISPLAY")
    }

    /// What the screen shows now.
    pub(crate) fn shot(&self) -> Picture {
        weston_shot(self.runtime.path())
    }
}

/// A row of the table of engines, of frames of [`Served`].
pub(crate) fn record(engine: &str, package: &str, path: MemoryPath, copies: u32) {
    let mut asked = Command::new("pkg-config");
    let version = succeed(asked.args(["--modversion", package])).stdout;
    let gl = lucarne::egl::Adapter::enumerate().expect("EGL devices");
    let gl = gl[0].open().expect("a context");
    engine::record(&Seen {
        engine: engine.to_owned(),
        version: String::from_utf8_lossy(&version).trim().to_owned(),
        direction: Direction::Import,
        path,
        fences: "not told".to_owned(),
        copies,
        pixels: u64::from(WIDTH * HEIGHT),
        driver: engine::driver(gl.version(), path == MemoryPath::DmaBuf && is_emulated()),
    });
}

fn is_emulated() -> bool {
    let device = allocator();
    let offer = device.offer(Usage::RENDER).expect("an offer");
    let agreed = negotiate(&offer, &offer, &Request::new(Extent::new(1, 1)));
    let image = device.export(&agreed.expect("with itself"));
    image.expect("an image").frame().is_emulated()
}
