//! What tests of toolkits share: a stream of a known picture, display servers of the test's own, and what they show.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use lucarne::{Agreement, Extent, Format, MemoryPath, Request, Usage, cpu, negotiate};
use lucarne_stream::{Error, Producer, ProducerOptions};
use lucarne_tests::display::{self, Backend, Running, SOCKET};
use lucarne_tests::engine::{self, Direction, Seen};
use tempfile::TempDir;

use crate::common::succeed;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const PERIOD: Duration = Duration::from_millis(20);
/// What stands for a screen.
pub(crate) const WIDTH: u32 = 640;
pub(crate) const HEIGHT: u32 = 480;

/// Red, green and blue of each pixel, first row first.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// Neighbours differ, rows and columns too, and so do pictures of other seeds.
    pub(crate) fn of_many_colours(width: u32, height: u32, seed: u32) -> Self {
        let byte = |number: u32| u8::try_from(number % 251).expect("a byte");
        let pixel = |x: u32, y: u32| {
            [
                byte(x * 7 + y + seed),
                byte(y * 11 + 40 + 3 * seed),
                byte(x * 3 + y * 5 + 90),
            ]
        };
        let all = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Self {
            width,
            height,
            pixels: all.map(|(x, y)| pixel(x, y)).collect(),
        }
    }

    fn rows(&self, rows: std::ops::Range<u32>) -> &[[u8; 3]] {
        let at = |row: u32| (row * self.width) as usize;
        &self.pixels[at(rows.start)..at(rows.end)]
    }

    /// How many pixels of these rows differ; all of them where the pictures have another size.
    pub(crate) fn differences(&self, other: &Self, rows: std::ops::Range<u32>) -> usize {
        if (self.width, self.height) != (other.width, other.height) {
            return self.pixels.len();
        }
        let pairs = self.rows(rows.clone()).iter().zip(other.rows(rows));
        pairs.filter(|(one, other)| one != other).count()
    }

    pub(crate) fn of_ppm(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("a picture");
        let mut head = bytes.splitn(4, |byte| *byte == b'\n');
        assert_eq!(head.next(), Some(&b"P6"[..]));
        let size = String::from_utf8_lossy(head.next().expect("a size")).into_owned();
        assert_eq!(head.next(), Some(&b"255"[..]));
        let mut size = size.split(' ').map(|one| one.parse().expect("a number"));
        let (width, height) = (
            size.next().expect("a width"),
            size.next().expect("a height"),
        );
        Self::of_bytes(width, height, 3, head.next().expect("pixels"))
    }

    pub(crate) fn of_png(path: &Path) -> Self {
        let file = std::fs::File::open(path).expect("a picture");
        let decoder = png::Decoder::new(BufReader::new(file));
        let mut reader = decoder.read_info().expect("PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut bytes).expect("PNG");
        let channels = info.color_type.samples();
        Self::of_bytes(info.width, info.height, channels, &bytes)
    }

    fn of_bytes(width: u32, height: u32, channels: usize, bytes: &[u8]) -> Self {
        let pixels = bytes.chunks_exact(channels);
        let pixels: Vec<[u8; 3]> = pixels.map(|one| [one[0], one[1], one[2]]).collect();
        assert_eq!(pixels.len(), (width * height) as usize, "{width}x{height}");
        Self {
            width,
            height,
            pixels,
        }
    }
}

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
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("weston-screenshooter");
        succeed(self.shows(command.current_dir(folder.path())));
        let mut files = std::fs::read_dir(folder.path()).expect("a folder");
        let file: PathBuf = files.next().expect("a file").expect("a file").path();
        Picture::of_png(&file)
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
