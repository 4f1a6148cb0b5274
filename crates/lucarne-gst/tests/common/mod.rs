//! Streams in a folder of their own, and pipelines beside them.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::missing_panics_doc,
    reason = "each test program uses a part of it, and a test may panic"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_video::prelude::*;
use gst_video::{VideoFrameRef, VideoInfo};
use lucarne::color::ColorDescription;
use lucarne::{Extent, Format, MemoryPath, Request, Usage, cpu};
use lucarne_stream::{Consumer, ConsumerOptions, Delivery, Producer, ProducerOptions};
use tempfile::TempDir;

pub const SOON: Duration = Duration::from_secs(20);
pub const TICK: Duration = Duration::from_millis(5);
/// Nothing in it is even, nor a multiple of anything.
pub const ODD: Extent = Extent::new(71, 35);

/// GStreamer, with our elements.
pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().expect("GStreamer");
        gstlucarne::plugin_register_static().expect("our elements");
    });
}

/// Whether this machine has dma-bufs and these elements, beside those that every test takes; said where it has not.
pub fn can(elements: &[&str]) -> bool {
    init();
    if !lucarne_tests::memory::can(&cpu::Allocator::Udmabuf) {
        return false;
    }
    let always = [
        "videotestsrc",
        "videoconvert",
        "appsrc",
        "appsink",
        "filesink",
    ];
    let lacks = |name: &&&str| gst::ElementFactory::find(name).is_none();
    let Some(missing) = always.iter().chain(elements).find(lacks) else {
        return true;
    };
    lucarne_tests::skip::skip("gst", &format!("GStreamer has no {missing}"));
    false
}

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Bytes of a plane, rows without padding, that tell planes, rows, columns and the first 251 frames apart.
pub fn stamp(format: Format, extent: Extent, plane: usize, frame: u64) -> Vec<u8> {
    let info = format.info().expect("a known format");
    let row = info.row_bytes(plane, extent.width).expect("a row") as usize;
    let rows = info.rows(plane, extent.height).expect("rows") as usize;
    (0..row * rows)
        .map(|index| {
            let (x, y) = (index % row, index / row);
            let value =
                x * 7 + y * 31 + plane * 101 + usize::try_from(frame).expect("few") * 53 + 1;
            u8::try_from(value % 251).expect("below 251")
        })
        .collect()
}

/// The planes of frame `number`.
pub fn stamps(format: Format, extent: Extent, number: u64) -> Vec<Vec<u8>> {
    let planes = format.info().expect("a known format").planes.len();
    (0..planes)
        .map(|plane| stamp(format, extent, plane, number))
        .collect()
}

/// A buffer's planes, rows without padding.
pub fn planes(buffer: &gst::BufferRef, caps: &gst::CapsRef, format: Format) -> Vec<Vec<u8>> {
    let info = VideoInfo::from_caps(caps).expect("a video");
    let frame = VideoFrameRef::from_buffer_ref_readable(buffer, &info).expect("mapped");
    let known = format.info().expect("a known format");
    (0..known.planes.len())
        .map(|plane| {
            let row = known.row_bytes(plane, info.width()).expect("a row") as usize;
            let rows = known.rows(plane, info.height()).expect("rows") as usize;
            let number = u32::try_from(plane).expect("few");
            let stride = usize::try_from(frame.plane_stride()[plane]).expect("positive");
            let data = frame.plane_data(number).expect("a plane");
            (0..rows)
                .flat_map(|y| data[y * stride..][..row].to_vec())
                .collect()
        })
        .collect()
}

pub fn assert_same(seen: &[Vec<u8>], must: &[Vec<u8>], what: &str) {
    assert_eq!(seen.len(), must.len(), "{what}");
    for (plane, (seen, must)) in seen.iter().zip(must).enumerate() {
        assert_eq!(seen.len(), must.len(), "{what}, plane {plane}");
        let wrong = seen.iter().zip(must).position(|(one, other)| one != other);
        assert_eq!(wrong, None, "{what}, plane {plane}: first wrong byte");
    }
}

/// A producer on the CPU in a thread of its own: frame after frame, with the number of each in its pixels.
pub struct Feeder {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

#[derive(Clone)]
pub struct Feed {
    pub name: &'static str,
    pub extent: Extent,
    pub format: Format,
    pub path: MemoryPath,
    pub color: Option<ColorDescription>,
    pub period: Duration,
    /// After so many frames, another size.
    pub resize: Option<(u64, Extent)>,
}

impl Feed {
    pub fn new(name: &'static str, extent: Extent, format: Format) -> Self {
        Self {
            name,
            extent,
            format,
            path: MemoryPath::DmaBuf,
            color: None,
            period: TICK,
            resize: None,
        }
    }

    pub fn start(self, folder: &Path) -> Feeder {
        let (folder, is_over) = (folder.to_owned(), Arc::new(AtomicBool::new(false)));
        let over = Arc::clone(&is_over);
        let mut producer = self.bind(&folder);
        let thread = std::thread::spawn(move || {
            let mut resize = self.resize;
            while !over.load(Ordering::Relaxed) {
                producer.dispatch().expect("dispatched");
                if let Some(slot) = producer.try_acquire().expect("a slot or none") {
                    let number = producer.sequence() + 1;
                    let layout = slot.frame().layout().clone();
                    let image = slot.image();
                    let written = image.write(slot.gate(), SOON, |rows| {
                        let planes = stamps(layout.format(), layout.extent(), number);
                        planes
                            .iter()
                            .enumerate()
                            .try_for_each(|(plane, bytes)| rows.write_plane(plane, bytes))
                    });
                    let fence = written.expect("written");
                    producer
                        .send(slot, fence, lucarne_stream::now())
                        .expect("sent");
                    if let Some((_, extent)) = resize.take_if(|(after, _)| number >= *after) {
                        let request = self.request().formats(&[self.format]);
                        producer
                            .reconfigure(Request { extent, ..request })
                            .expect("reconfigured");
                    }
                }
                std::thread::sleep(self.period);
            }
            let sent = producer.sequence();
            producer.end();
            sent
        });
        Feeder {
            is_over,
            thread: Some(thread),
        }
    }

    fn request(&self) -> Request {
        Request::new(self.extent)
            .formats(&[self.format])
            .paths(&[self.path])
            .usage(Usage::TRANSFER_DESTINATION, Usage::SAMPLE)
    }

    pub fn bind(
        &self,
        folder: &Path,
    ) -> Producer<
        impl FnMut(&lucarne::Agreement) -> lucarne::Result<(cpu::Image, lucarne::Frame)> + use<>,
    > {
        let allocator = match self.path {
            MemoryPath::DmaBuf => cpu::Allocator::Udmabuf,
            _ => cpu::Allocator::HostMemory,
        };
        let device = cpu::Adapter::new(allocator).open().expect("the CPU");
        let offer = device.offer(Usage::TRANSFER_DESTINATION).expect("an offer");
        let options = ProducerOptions::of(self.request())
            .slots(6)
            .patience(SOON)
            .directory(folder);
        let color = self.color;
        Producer::bind(self.name, &offer, options, move |agreement: &_| {
            let image = device.export(agreement)?;
            let frame = image.frame().clone();
            let frame = match color {
                Some(color) => frame.with_color(color)?,
                None => frame,
            };
            Ok((image, frame))
        })
        .expect("a producer")
    }
}

impl Feeder {
    /// Ends the stream; says how many frames were sent.
    pub fn stop(mut self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it runs");
        thread.join().expect("the feeder")
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A failed test says why by itself.
            let _ = thread.join();
        }
    }
}

/// A pipeline in this process, whose errors fail the test.
pub struct Pipeline(pub gst::Pipeline);

impl Pipeline {
    pub fn new(description: &str) -> Self {
        init();
        let element =
            gst::parse::launch(description).unwrap_or_else(|e| panic!("{description}: {e}"));
        Self(element.downcast().expect("a pipeline"))
    }

    pub fn play(description: &str) -> Self {
        let pipeline = Self::new(description);
        pipeline.0.set_state(gst::State::Playing).expect("it plays");
        pipeline
    }

    pub fn element(&self, name: &str) -> gst::Element {
        self.0.by_name(name).expect("an element")
    }

    /// A number out of an element's statistics.
    pub fn stat(&self, element: &str, field: &str) -> u64 {
        let stats: gst::Structure = self.element(element).property("stats");
        stats.get(field).expect("a number")
    }

    /// The text of the first error, if one has come.
    pub fn error(&self) -> Option<String> {
        let bus = self.0.bus().expect("a bus");
        let message = bus.pop_filtered(&[gst::MessageType::Error])?;
        match message.view() {
            gst::MessageView::Error(error) => {
                Some(format!("{} ({:?})", error.error(), error.debug()))
            }
            _ => None,
        }
    }

    /// The text of the first error.
    pub fn wait_for_error(&self) -> String {
        until("an error", || self.error())
    }

    /// The next sample of the appsink of this name.
    pub fn pull(&self, name: &str) -> Option<gst::Sample> {
        let sink = self.element(name).downcast::<gst_app::AppSink>();
        let sink = sink.expect("an appsink");
        let end = Instant::now() + SOON;
        loop {
            if let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(20)) {
                return Some(sample);
            }
            if sink.is_eos() {
                return None;
            }
            assert_eq!(self.error(), None);
            assert!(Instant::now() < end, "no sample within {SOON:?}");
        }
    }

    pub fn wait_for_eos(&self) {
        until("the end", || {
            let bus = self.0.bus().expect("a bus");
            let message = bus.pop_filtered(&[gst::MessageType::Eos, gst::MessageType::Error])?;
            if let gst::MessageView::Error(error) = message.view() {
                panic!("{} ({:?})", error.error(), error.debug());
            }
            Some(())
        });
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + SOON;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {SOON:?}");
        std::thread::sleep(TICK);
    }
}

/// A consumer on the CPU.
pub struct Watcher {
    consumer: Consumer<fn(&lucarne::Frame) -> lucarne::Result<cpu::Image>>,
}

fn import(frame: &lucarne::Frame) -> lucarne::Result<cpu::Image> {
    cpu::Adapter::new(cpu::Allocator::HostMemory)
        .open()?
        .import(frame)
}

/// What a consumer has seen of one frame.
pub struct Seen {
    pub planes: Vec<Vec<u8>>,
    pub layout: lucarne::FrameLayout,
    pub path: MemoryPath,
    pub is_emulated: bool,
}

impl Watcher {
    pub fn connect(name: &str, folder: &Path) -> Self {
        let device = cpu::Adapter::new(cpu::Allocator::HostMemory);
        let offer = device.open().expect("the CPU").offer(Usage::SAMPLE);
        let options = ConsumerOptions::new(Delivery::Every).directory(folder);
        let import: fn(&lucarne::Frame) -> lucarne::Result<cpu::Image> = import;
        let consumer =
            Consumer::connect_wait(name, &offer.expect("an offer"), options, import, SOON);
        Self {
            consumer: consumer.expect("a stream"),
        }
    }

    /// `None` once the stream has ended.
    pub fn see(&mut self) -> Option<Seen> {
        let received = match self.consumer.receive(SOON) {
            Ok(received) => received,
            Err(lucarne_stream::Error::Ended) => return None,
            Err(error) => panic!("{error}"),
        };
        let (reading, acquire) = received.acquire();
        let frame = reading.frame().clone();
        let (planes, release) = lucarne_tests::cpu::read(reading.image(), &acquire);
        reading.release(release).expect("released");
        Some(Seen {
            planes,
            layout: frame.layout().clone(),
            path: frame.memory().path(),
            is_emulated: frame.is_emulated(),
        })
    }
}

/// The plug-in's folder.
pub fn plugins() -> PathBuf {
    let program = std::env::current_exe().expect("this program");
    let deps = program.parent().expect("a folder");
    let places = [deps, deps.parent().expect("a folder")];
    let found = places
        .into_iter()
        .find(|folder| folder.join("libgstlucarne.so").exists());
    found.expect("libgstlucarne.so beside the test").to_owned()
}

/// One of GStreamer's programs, which finds the plug-in.
pub fn command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("GST_PLUGIN_PATH", plugins())
        .env("GST_REGISTRY", folder.join("registry.bin"))
        .stdin(Stdio::null());
    command
}

/// A program beside the test, ended with it.
pub struct Peer(pub Child);

impl Peer {
    pub fn launch(pipeline: &str, folder: &Path) -> Self {
        let mut command = command("gst-launch-1.0", folder);
        // As a shell splits it: no pipeline here has blanks within a word.
        command.arg("-q").args(pipeline.split_whitespace());
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.expect("gst-launch-1.0"))
    }

    /// Waits for its end, and fails if it failed.
    pub fn finish(mut self) -> Output {
        until("the end of gst-launch-1.0", || {
            self.0.try_wait().expect("a child")
        });
        let mut said = String::new();
        use std::io::Read as _;
        if let Some(mut error) = self.0.stderr.take() {
            let _ = error.read_to_string(&mut said);
        }
        let status = self.0.wait().expect("a child");
        assert!(status.success(), "{status}: {said}");
        Output {
            status,
            stdout: Vec::new(),
            stderr: said.into_bytes(),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
