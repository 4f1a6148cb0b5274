//! A small compositor: it takes dma-bufs through `lucarne_wayland::import`, and reads what is committed with the CPU.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod capture;
mod dmabuf;
mod surfaces;

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use lucarne::color::Orientation;
use lucarne::kernel::TimelineDevice;
use lucarne::{Extent, Format, Tiling, cpu};
use rustix::event::{PollFd, PollFlags, Timespec};
use wayland_protocols::wp::linux_dmabuf::zv1::server::zwp_linux_dmabuf_feedback_v1::ZwpLinuxDmabufFeedbackV1;
use wayland_protocols::wp::linux_dmabuf::zv1::server::zwp_linux_dmabuf_v1::ZwpLinuxDmabufV1;
use wayland_protocols::wp::linux_drm_syncobj::v1::server::wp_linux_drm_syncobj_manager_v1::WpLinuxDrmSyncobjManagerV1;
use wayland_protocols::ext::image_capture_source::v1::server::ext_output_image_capture_source_manager_v1::ExtOutputImageCaptureSourceManagerV1;
use wayland_protocols::ext::image_copy_capture::v1::server::ext_image_copy_capture_frame_v1::ExtImageCopyCaptureFrameV1;
use wayland_protocols::ext::image_copy_capture::v1::server::ext_image_copy_capture_manager_v1::ExtImageCopyCaptureManagerV1;
use wayland_server::protocol::wl_buffer::WlBuffer;
use wayland_server::protocol::wl_compositor::WlCompositor;
use wayland_server::protocol::wl_output::WlOutput;
use capture::Screen;
use wayland_server::{Client, Display, DisplayHandle, ListeningSocket};

/// The compositor's socket in its folder.
pub(crate) const SOCKET: &str = "compositor";

/// How it behaves.
#[derive(Clone, Debug)]
pub(crate) struct Behaviour {
    /// Best first.
    pub(crate) pairs: Vec<(Format, Tiling)>,
    /// What it composes with, as a `dev_t`.
    pub(crate) device: u64,
    /// It answers `failed` for these formats.
    pub(crate) fails: Vec<Format>,
    /// It never answers requests for buffers.
    pub(crate) is_mute: bool,
}

impl Behaviour {
    /// Takes these formats, linear.
    pub(crate) fn linear(formats: &[Format]) -> Self {
        let linear = Tiling::from_code(0);
        Self {
            pairs: formats.iter().map(|format| (*format, linear)).collect(),
            device: rustix::fs::makedev(226, 200),
            fails: Vec::new(),
            is_mute: false,
        }
    }
}

/// What was committed.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) extent: Extent,
    pub(crate) format: Format,
    pub(crate) orientation: Orientation,
    /// The first plane, rows without padding.
    pub(crate) bytes: Vec<u8>,
    /// Whether it came with points of timelines.
    pub(crate) has_points: bool,
}

/// What the test sees of it, and tells it.
#[derive(Debug, Default)]
struct Told {
    seen: Vec<Seen>,
    screen: Option<Screen>,
    behaviour: Option<Behaviour>,
}

/// It runs on a thread of its own until it is dropped.
pub(crate) struct Compositor {
    pub(crate) folder: tempfile::TempDir,
    told: Arc<Mutex<Told>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Compositor {
    pub(crate) fn start(behaviour: Behaviour, timelines: Option<TimelineDevice>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listening = ListeningSocket::bind_absolute(folder.path().join(SOCKET));
        let listening = listening.expect("a socket");
        let told = Arc::new(Mutex::new(Told::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let server = Server::new(behaviour, timelines, Arc::clone(&told));
        // Here, so that whoever counts descriptors counts them all.
        let display = display(server.timelines.is_some());
        let asked = Arc::clone(&stop);
        let thread = std::thread::spawn(move || serve(&listening, display, server, &asked));
        Self {
            folder,
            told,
            stop,
            thread: Some(thread),
        }
    }

    pub(crate) fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join(SOCKET)
    }

    /// What was committed since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.told.lock().expect("no panic").seen)
    }

    /// Its screen is this from now on; none where it has gone.
    pub(crate) fn screen(&self, screen: Option<Screen>) {
        self.told.lock().expect("no panic").screen = screen;
    }

    /// Behaves otherwise from now on, and says so to its clients.
    pub(crate) fn change(&self, behaviour: Behaviour) {
        self.told.lock().expect("no panic").behaviour = Some(behaviour);
    }
}

impl Drop for Compositor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().expect("a thread").join();
        assert!(
            ended.is_ok() || std::thread::panicking(),
            "the compositor failed"
        );
    }
}

/// Its state.
struct Server {
    behaviour: Behaviour,
    table: File,
    /// Who is told of changes.
    feedbacks: Vec<ZwpLinuxDmabufFeedbackV1>,
    timelines: Option<TimelineDevice>,
    cpu: cpu::Device,
    told: Arc<Mutex<Told>>,
    /// Frames that wait for a new picture.
    capturing: Vec<(ExtImageCopyCaptureFrameV1, WlBuffer)>,
}

impl Server {
    fn new(
        behaviour: Behaviour,
        timelines: Option<TimelineDevice>,
        told: Arc<Mutex<Told>>,
    ) -> Self {
        Self {
            table: table(&behaviour.pairs),
            behaviour,
            feedbacks: Vec::new(),
            timelines,
            cpu: lucarne_tests::cpu::open(&cpu::Allocator::HostMemory),
            told,
            capturing: Vec::new(),
        }
    }

    fn change(&mut self) {
        let new = self.told.lock().expect("no panic").behaviour.take();
        let Some(behaviour) = new else { return };
        self.table = table(&behaviour.pairs);
        self.behaviour = behaviour;
        for feedback in &self.feedbacks {
            self.tell(feedback);
        }
    }
}

fn table(pairs: &[(Format, Tiling)]) -> File {
    let mut table = tempfile::tempfile().expect("a file");
    for (format, tiling) in pairs {
        let (format, modifier) = (format.fourcc(), tiling.code());
        let row = [&format.to_ne_bytes()[..], &[0; 4], &modifier.to_ne_bytes()].concat();
        table.write_all(&row).expect("written");
    }
    table
}

fn display(has_timelines: bool) -> Display<Server> {
    let display = Display::<Server>::new().expect("a display");
    let handle = display.handle();
    handle.create_global::<Server, WlCompositor, ()>(5, ());
    handle.create_global::<Server, ZwpLinuxDmabufV1, ()>(5, ());
    handle.create_global::<Server, WlOutput, ()>(1, ());
    handle.create_global::<Server, ExtOutputImageCaptureSourceManagerV1, ()>(1, ());
    handle.create_global::<Server, ExtImageCopyCaptureManagerV1, ()>(1, ());
    if has_timelines {
        handle.create_global::<Server, WpLinuxDrmSyncobjManagerV1, ()>(1, ());
    }
    display
}

fn serve(
    listening: &ListeningSocket,
    mut display: Display<Server>,
    mut server: Server,
    stop: &AtomicBool,
) {
    let mut handle = display.handle();
    while !stop.load(Ordering::Relaxed) {
        if let Some(stream) = listening.accept().expect("a listening socket") {
            insert(&mut handle, stream);
        }
        server.change();
        display.dispatch_clients(&mut server).expect("requests");
        server.capture();
        display.flush_clients().expect("events");
        rest(listening, &display);
    }
}

/// Until somebody wants something, or the test may have changed something.
fn rest(listening: &ListeningSocket, display: &Display<Server>) {
    let fds = [listening.as_fd(), display.as_fd()];
    let mut fds = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let time = Timespec::try_from(Duration::from_millis(5)).ok();
    rustix::event::poll(&mut fds, time.as_ref()).expect("descriptors that are open");
}

fn insert(handle: &mut DisplayHandle, stream: UnixStream) -> Client {
    handle
        .insert_client(stream, Arc::new(()))
        .expect("a client")
}

/// Whether the compositor still answers a new client.
pub(crate) fn is_alive(socket: &Path) -> bool {
    let connection = crate::common::connect(socket);
    lucarne_wayland::Display::wrap(&connection, lucarne_tests::TIMEOUT).is_ok()
}
