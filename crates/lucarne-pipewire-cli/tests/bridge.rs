//! `lucarne-pipewire`: a stream becomes a node, and that node a stream again.

#[path = "../../lucarne-pipewire/tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Daemon, Peer, SOON, alone, daemon, device, read, sink_with, stamp, wait_for};
use lucarne::{Agreement, Extent, Fence, Format, Frame, MemoryPath, Request, Usage, cpu};
use lucarne_pipewire::{ConsumerOptions, Delivery};
use lucarne_stream::{Consumer, Error, Producer, ProducerOptions};
use tempfile::TempDir;

const EXTENT: Extent = Extent::new(70, 34);

fn bridge(daemon: &Daemon, folder: &Path, arguments: &[&str]) -> Peer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lucarne-pipewire"));
    command
        .args(arguments)
        .args(["--json", "--remote", &daemon.socket(), "--folder"])
        .arg(folder);
    Peer::start(command)
}

type Made = Box<dyn FnMut(&Agreement) -> lucarne::Result<(cpu::Image, Frame)>>;

/// A stream that sends numbered frames, one in ten milliseconds.
struct Stream {
    producer: Producer<Made>,
    sent: u32,
    next: Instant,
}

impl Stream {
    fn new(folder: &Path, device: &cpu::Device, format: Format) -> Self {
        let request = Request::new(EXTENT).formats(&[format]);
        let options = ProducerOptions::of(request.usage(Usage::RENDER, Usage::SAMPLE));
        let offer = device.offer(Usage::RENDER).expect("an offer");
        let device = device.clone();
        let allocate: Made = Box::new(move |agreement| {
            let image = device.export(agreement)?;
            let frame = image.frame().clone();
            Ok((image, frame))
        });
        let producer = Producer::bind("in", &offer, options.directory(folder), allocate);
        Self {
            producer: producer.expect("a stream"),
            sent: 0,
            next: Instant::now(),
        }
    }

    fn turn(&mut self) {
        self.producer.dispatch().expect("dispatched");
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + Duration::from_millis(10);
        let Some(slot) = self.producer.try_acquire().expect("a producer") else {
            return;
        };
        let image = slot.image();
        let write = |rows: &mut cpu::WriteRows<'_>| {
            for plane in 0..image.planes() {
                let bytes = stamp(self.sent, plane, image.plane_bytes(plane));
                rows.write_plane(plane, &bytes)?;
            }
            Ok(())
        };
        let fence = image.write(slot.gate(), SOON, write).expect("written");
        self.producer
            .send(slot, fence, lucarne_stream::now())
            .expect("sent");
        self.sent += 1;
    }
}

/// Which of the first frames this is, every byte of every plane.
fn number_of(planes: &[Vec<u8>], sent: u32) -> Option<u32> {
    (0..sent).find(|number| {
        let mut planes = planes.iter().zip(0..);
        planes.all(|(plane, index)| *plane == stamp(*number, index, plane.len()))
    })
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_stream_is_published_in_its_own_memory() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    for (allocator, path) in [
        (cpu::Allocator::Udmabuf, MemoryPath::DmaBuf),
        (cpu::Allocator::HostMemory, MemoryPath::HostMemory),
    ] {
        let Some(device) = device(allocator) else {
            continue;
        };
        for format in [Format::XRGB8888, Format::NV12] {
            let folder = folder();
            let mut stream = Stream::new(folder.path(), &device, format);
            let publish = bridge(
                &daemon,
                folder.path(),
                &["publish", "in", "--node", "camera"],
            );
            let options = ConsumerOptions::new(Delivery::Every).formats(&[format]);
            let mut sink = sink_with("to", options.remote(daemon.socket()));
            daemon.link("camera", "to", || {
                stream.turn();
                sink.dispatch(Duration::from_millis(2)).expect("dispatched");
            });
            let (mut seen, mut last) = (0, None);
            wait_for("thirty frames", || {
                stream.turn();
                sink.dispatch(Duration::from_millis(2)).expect("dispatched");
                if let Some(received) = sink.try_receive() {
                    let (reading, acquire) = received.acquire();
                    let number = number_of(&read(&reading, &acquire), stream.sent);
                    let number = number.expect("a frame of the stream's, every byte of it");
                    assert!(
                        last.is_none_or(|last| number > last),
                        "{last:?}, then {number}"
                    );
                    last = Some(number);
                    seen += 1;
                    reading.release(Fence::Signaled);
                }
                seen == 30
            });
            let said = publish.said().join("\n");
            assert!(said.contains("\"copies\":0"), "{said}");
            assert_eq!(sink.negotiated().expect("a format").path, path);
        }
    }
}

#[test]
fn a_peer_without_dma_bufs_gets_copies() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    let Some(device) = device(cpu::Allocator::Udmabuf) else {
        return;
    };
    let folder = folder();
    let mut stream = Stream::new(folder.path(), &device, Format::XRGB8888);
    let publish = bridge(&daemon, folder.path(), &["publish", "in"]);
    let options = ConsumerOptions::new(Delivery::Every)
        .formats(&[Format::XRGB8888])
        .paths(&[MemoryPath::HostMemory]);
    let mut sink = sink_with("to", options.remote(daemon.socket()));
    daemon.link("in", "to", || {
        stream.turn();
        sink.dispatch(Duration::from_millis(2)).expect("dispatched");
    });
    let mut seen = 0;
    wait_for("ten frames", || {
        stream.turn();
        sink.dispatch(Duration::from_millis(2)).expect("dispatched");
        if let Some(received) = sink.try_receive() {
            let (reading, acquire) = received.acquire();
            let number = number_of(&read(&reading, &acquire), stream.sent);
            number.expect("a frame of the stream's, every byte of it");
            seen += 1;
            reading.release(Fence::Signaled);
        }
        seen == 10
    });
    let said = publish.said().join("\n");
    assert!(said.contains("\"copies\":1"), "{said}");
}

/// The stream that `watch` makes, once it is there.
fn out(folder: &Path) -> Option<Consumer<impl FnMut(&Frame) -> lucarne::Result<cpu::Image>>> {
    let device = cpu::Adapter::new(cpu::Allocator::HostMemory)
        .open()
        .expect("the CPU");
    let offer = device.offer(Usage::SAMPLE).expect("an offer");
    let options = lucarne_stream::ConsumerOptions::new(lucarne_stream::Delivery::Latest);
    let import = move |frame: &Frame| device.import(frame);
    match Consumer::connect("out", &offer, options.directory(folder), import) {
        Ok(consumer) => Some(consumer),
        Err(Error::NotFound { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_stream_comes_back_as_a_stream() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    let Some(device) = device(cpu::Allocator::Udmabuf) else {
        return;
    };
    for format in [Format::XRGB8888, Format::NV12] {
        let folder = folder();
        let mut stream = Stream::new(folder.path(), &device, format);
        let publish = bridge(
            &daemon,
            folder.path(),
            &["publish", "in", "--node", "camera"],
        );
        let watch = bridge(&daemon, folder.path(), &["watch", "camera", "out"]);
        daemon.link("camera", "lucarne-out", || stream.turn());
        let mut consumer = None;
        wait_for("the stream", || {
            stream.turn();
            consumer = out(folder.path());
            consumer.is_some()
        });
        let mut consumer = consumer.expect("it is there");
        let mut seen = 0;
        wait_for("twenty frames", || {
            stream.turn();
            let received = match consumer.receive(Duration::from_millis(2)) {
                Ok(received) => received,
                Err(Error::Timeout { .. }) => return false,
                Err(error) => panic!("{error}: {:?} {:?}", publish.said(), watch.said()),
            };
            let (reading, acquire) = received.acquire();
            let image = reading.image();
            assert_eq!(image.frame().layout().format(), format);
            let mut planes = Vec::new();
            let done = image.read(&acquire, SOON, |rows| {
                for plane in 0..image.planes() {
                    let mut bytes = vec![0; image.plane_bytes(plane)];
                    rows.read_plane(plane, &mut bytes)?;
                    planes.push(bytes);
                }
                Ok(())
            });
            number_of(&planes, stream.sent).expect("a frame of the stream's, every byte of it");
            reading.release(done.expect("read")).expect("given back");
            seen += 1;
            seen == 20
        });
        let said = watch.said().join("\n");
        assert!(said.contains("\"copies\":1"), "{said}");
    }
}

#[test]
fn a_node_that_is_not_there_is_told() {
    let _alone = alone();
    let Some(daemon) = daemon() else { return };
    let folder = folder();
    let watch = bridge(&daemon, folder.path(), &["watch", "nobody", "out"]);
    let mut said = String::new();
    wait_for("a word of it", || {
        said.extend(watch.said());
        said.contains("there is no node")
    });
    assert!(
        said.contains("nobody") && said.contains("connected to PipeWire"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_done_is_said() {
    let program = env!("CARGO_BIN_EXE_lucarne-pipewire");
    let folder = folder();
    let output = Command::new(program)
        .args(["publish", "nothing", "--folder"])
        .arg(folder.path())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.starts_with("error: ") && said.contains("nothing"),
        "{said}"
    );

    let output = Command::new(program)
        .args(["watch", "node", "no/name", "--folder"])
        .arg(folder.path())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no/name"), "{said}");
}
