//! A private PipeWire daemon, and the two ends of a link in it.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of it"
)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use lucarne::{Extent, Fence, Format, Offer, Reading, Request, Usage, cpu};
use lucarne_pipewire::{
    Consumer, ConsumerOptions, Delivery, Metadata, NodeFrame, Producer, ProducerOptions, Slot,
};
use lucarne_tests::skip;
use tempfile::TempDir;

pub const SOON: Duration = Duration::from_secs(20);
pub const TICK: Duration = Duration::from_millis(5);

/// A daemon of this test's own: no session manager, no D-Bus, nobody else.
pub struct Daemon {
    folder: TempDir,
    child: Child,
}

/// `None`, said, where the machine has no PipeWire.
pub fn daemon() -> Option<Daemon> {
    for program in ["pipewire", "pw-link", "pw-dump"] {
        if !is_there(program) {
            skip::skip("pipewire", &format!("there is no {program}"));
            return None;
        }
    }
    Some(Daemon::start())
}

pub fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn spawn(folder: &Path) -> Child {
    let socket = folder.join("pipewire-0");
    _ = std::fs::remove_file(&socket);
    let child = command("pipewire", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("pipewire starts");
    wait_for("the daemon's socket", || socket.exists());
    child
}

/// A peer that is not ours: it sees no emulation.
fn command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("XDG_RUNTIME_DIR", folder)
        .env("PIPEWIRE_RUNTIME_DIR", folder)
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
        .env_remove("LD_PRELOAD")
        .stdin(Stdio::null());
    command
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let child = spawn(folder.path());
        Self { folder, child }
    }

    pub fn socket(&self) -> String {
        let path = self.folder.path().join("pipewire-0");
        path.to_str().expect("plain letters").to_owned()
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.folder.path());
    }

    pub fn command(&self, program: &str) -> Command {
        command(program, self.folder.path())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program)
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"))
    }

    /// Ports as `NODE:PORT`, of outputs (`-o`) or inputs (`-i`).
    pub fn ports(&self, direction: &str) -> Vec<String> {
        let output = self.run("pw-link", &[direction]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    fn port(&self, direction: &str, node: &str) -> Option<String> {
        let mut ports = self.ports(direction).into_iter();
        ports.find(|port| port.starts_with(&format!("{node}:")))
    }

    /// Links the one port of each node, when both are there.
    pub fn link(&self, from: &str, to: &str, mut meanwhile: impl FnMut()) {
        let mut found = None;
        wait_for("the ports of both nodes", || {
            meanwhile();
            found = self.port("-o", from).zip(self.port("-i", to));
            found.is_some()
        });
        let (output, input) = found.expect("both are there");
        // It waits for the link's negotiation, which both ends must take part in.
        let mut linking = Peer::start({
            let mut command = self.command("pw-link");
            command.args([&output, &input]);
            command
        });
        wait_for("the link", || {
            meanwhile();
            linking.has_ended()
        });
        assert_eq!(linking.said(), [""; 0], "{output} to {input}");
    }

    pub fn unlink(&self, from: &str, to: &str) {
        let (output, input) = self
            .port("-o", from)
            .zip(self.port("-i", to))
            .expect("both are there");
        let unlinked = self.run("pw-link", &["-d", &output, &input]);
        assert!(unlinked.status.success());
    }

    /// All objects, as `pw-dump` tells them.
    pub fn dump(&self) -> Vec<serde_json::Value> {
        let output = self.run("pw-dump", &["--no-colors"]);
        serde_json::from_slice(&output.stdout).expect("a list of objects")
    }

    /// What the daemon says a node has negotiated.
    pub fn format(&self, node: &str) -> serde_json::Value {
        let dump = self.dump();
        let is_it = |object: &&serde_json::Value| {
            object["type"] == "PipeWire:Interface:Node"
                && object["info"]["props"]["node.name"] == node
        };
        let object = dump.iter().find(is_it).expect("the node is listed");
        object["info"]["params"]["Format"][0].clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A program that runs beside the test, and ends with it.
pub struct Peer {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Peer {
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (sender, lines) = std::sync::mpsc::channel();
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let read = |stream: Option<Box<dyn std::io::Read + Send>>,
                    sender: std::sync::mpsc::Sender<String>| {
            let stream = BufReader::new(stream.expect("a pipe"));
            std::thread::spawn(move || {
                for line in stream.lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        };
        read(out.map(|one| Box::new(one) as _), sender.clone());
        read(err.map(|one| Box::new(one) as _), sender);
        Self { child, lines }
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    pub fn said(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within {SOON:?}");
        std::thread::sleep(TICK);
    }
}

/// The CPU with an allocator that this machine has.
pub fn device(allocator: cpu::Allocator) -> Option<cpu::Device> {
    let adapter = cpu::Adapter::new(allocator);
    if let lucarne::Support::No(why) = adapter.support() {
        let why: Vec<String> = why.iter().map(ToString::to_string).collect();
        skip::skip("dma-buf", &why.join("; "));
        return None;
    }
    Some(adapter.open().expect("it is supported"))
}

pub type Source = Producer<cpu::Image>;
pub type Sink = Consumer<cpu::Image>;

pub fn source(daemon: &Daemon, name: &str, device: &cpu::Device, request: Request) -> Source {
    let options = ProducerOptions::new(request).remote(daemon.socket());
    source_with(name, device, options)
}

pub fn source_with(name: &str, device: &cpu::Device, options: ProducerOptions) -> Source {
    let offer = device.offer(Usage::RENDER).expect("an offer");
    let device = device.clone();
    Producer::new(name, &offer, options, move |agreement| {
        let image = device.export(agreement)?;
        let frame = image.frame().clone();
        Ok((image, frame))
    })
    .expect("a producer")
}

pub fn sink(daemon: &Daemon, name: &str, formats: &[Format]) -> Sink {
    let options = ConsumerOptions::new(Delivery::Every)
        .formats(formats)
        .remote(daemon.socket());
    sink_with(name, options)
}

pub fn sink_with(name: &str, options: ConsumerOptions) -> Sink {
    let device = cpu::Adapter::new(cpu::Allocator::HostMemory);
    let device = device.open().expect("the CPU");
    let offer: Offer = device.offer(Usage::SAMPLE).expect("an offer");
    Consumer::new(name, &offer, options, move |frame| device.import(frame)).expect("a consumer")
}

/// Bytes that differ in each frame, plane, row and column.
pub fn stamp(frame: u32, plane: usize, bytes: usize) -> Vec<u8> {
    let seed = frame.wrapping_mul(0x9e37_79b9) ^ u32::try_from(plane).expect("few planes");
    let mut state = seed | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..bytes).map(next).collect()
}

/// Writes frame `number` into a slot.
pub fn write(slot: &Slot<cpu::Image>, number: u32) -> Fence {
    let image = slot.image();
    image
        .write(slot.gate(), SOON, |rows| {
            for plane in 0..image.planes() {
                rows.write_plane(plane, &stamp(number, plane, image.plane_bytes(plane)))?;
            }
            Ok(())
        })
        .expect("written")
}

/// Every byte of a frame's planes.
pub fn read(reading: &Reading<NodeFrame<cpu::Image>>, acquire: &Fence) -> Vec<Vec<u8>> {
    let image = reading.image();
    let mut planes = Vec::new();
    let _ = image
        .read(acquire, SOON, |rows| {
            for plane in 0..image.planes() {
                let mut bytes = vec![0; image.plane_bytes(plane)];
                rows.read_plane(plane, &mut bytes)?;
                planes.push(bytes);
            }
            Ok(())
        })
        .expect("read");
    planes
}

/// Compares every byte with what frame `number` must be.
pub fn assert_is(planes: &[Vec<u8>], number: u32) {
    for (index, plane) in planes.iter().enumerate() {
        let must = stamp(number, index, plane.len());
        let wrong = plane.iter().zip(&must).position(|(is, must)| is != must);
        assert_eq!(
            wrong, None,
            "frame {number}, plane {index}: first wrong byte"
        );
    }
}

/// Sends frames, numbered, as long as there is a free one, and looks at all that arrive.
pub struct Pair {
    pub source: Source,
    pub sink: Sink,
    pub sent: u32,
    pub seen: u32,
    /// The number of the last frame that was seen.
    pub last: Option<u32>,
    pub pixels: u64,
    /// What happened on both sides.
    pub events: Vec<String>,
}

impl Pair {
    pub fn new(source: Source, sink: Sink) -> Self {
        Self {
            source,
            sink,
            sent: 0,
            seen: 0,
            last: None,
            pixels: 0,
            events: Vec::new(),
        }
    }

    pub fn dispatch(&mut self) {
        self.source.dispatch(TICK).expect("dispatched");
        self.sink.dispatch(TICK).expect("dispatched");
        self.note();
    }

    pub fn note(&mut self) {
        while let Some(event) = self.source.event() {
            self.events.push(format!("source: {event:?}"));
        }
        while let Some(event) = self.sink.event() {
            self.events.push(format!("sink: {event:?}"));
        }
    }

    /// One round: a frame sent if one is free, and one looked at if one is there.
    pub fn turn(&mut self) {
        self.dispatch();
        if let Some(slot) = self.source.try_acquire() {
            let fence = write(&slot, self.sent);
            let metadata = Metadata {
                pts: Some(i64::from(self.sent) * 1000),
                ..Metadata::default()
            };
            if let Some(_way) = self.source.send(slot, fence, metadata).expect("sent") {
                self.sent += 1;
            }
        }
        if let Some(received) = self.sink.try_receive() {
            let number = received.metadata().pts.map(|pts| pts / 1000);
            let number = u32::try_from(number.expect("a time")).expect("a number");
            assert!(
                self.last.is_none_or(|last| number > last),
                "{:?}, then {number}",
                self.last
            );
            self.last = Some(number);
            let (reading, acquire) = received.acquire();
            let planes = read(&reading, &acquire);
            assert_is(&planes, number);
            let extent = reading.frame().layout().extent();
            self.pixels += u64::from(extent.width) * u64::from(extent.height);
            self.seen += 1;
            reading.release(Fence::Signaled);
        }
    }

    /// Turns until so many frames have been seen since now.
    pub fn see(&mut self, frames: u32) {
        let (start, end) = (self.seen, Instant::now() + SOON);
        while self.seen < start + frames {
            assert!(
                Instant::now() < end,
                "{} of {frames} frames seen, {} sent; {:#?}",
                self.seen - start,
                self.sent,
                self.events
            );
            self.turn();
        }
    }
}

pub fn request(extent: Extent, format: Format) -> Request {
    Request::new(extent)
        .formats(&[format])
        .usage(Usage::RENDER, Usage::SAMPLE)
}

/// As the test that runs: descriptors of one process are counted, and daemons cost time.
pub fn alone() -> std::sync::MutexGuard<'static, ()> {
    lucarne_tests::fds::alone()
}

pub const EXTENT: Extent = Extent::new(70, 34);

/// A pair that is linked, in `format`, with a producer that allocates as told.
pub fn linked(daemon: &Daemon, allocator: cpu::Allocator, format: Format) -> Option<Pair> {
    let device = device(allocator)?;
    let source = source(daemon, "from", &device, request(EXTENT, format));
    let mut pair = Pair::new(source, sink(daemon, "to", &[format]));
    daemon.link("from", "to", || pair.dispatch());
    Some(pair)
}
