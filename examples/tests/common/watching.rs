//! What a consumer with an event loop of its own does, watching a stream whose frames the CPU draws.

use super::program::Program;
use lucarne::{Agreement, Extent, Format, Frame, Request, Usage, cpu};
use lucarne_examples::picture::Picture;
use lucarne_examples::stream::TIMEOUT;
use lucarne_stream::{Producer, ProducerOptions};
use std::path::Path;
use std::time::{Duration, Instant};

const EXTENT: Extent = Extent::new(97, 55);
const FORMAT: Format = Format::XRGB8888;
/// Longer than a program takes to start, in the guest too.
const SOON: Duration = Duration::from_secs(120);

type Ours = Producer<fn(&Agreement) -> lucarne::Result<(cpu::Image, Frame)>>;

fn device() -> cpu::Device {
    let adapter = cpu::Adapter::new(cpu::Allocator::HostMemory);
    adapter.open().expect("host memory is always there")
}

fn allocate(agreement: &Agreement) -> lucarne::Result<(cpu::Image, Frame)> {
    let image = device().export(agreement)?;
    let frame = image.frame().clone();
    Ok((image, frame))
}

/// A producer in the folder where [`Program`] looks for it.
fn producer(folder: &Path) -> Ours {
    let offer = device().offer(Usage::RENDER).expect("the CPU asks nobody");
    let options = ProducerOptions::of(Request::new(EXTENT).formats(&[FORMAT]))
        .patience(TIMEOUT)
        .directory(folder.join("socket"));
    Producer::bind("scene", &offer, options, allocate as fn(&_) -> _).expect("the name is free")
}

/// The bytes of a frame: each number has a shade of its own.
fn drawn(number: u8) -> Vec<u8> {
    let pixel = [10 * number, 255 - number, 3 * number, 255];
    pixel.repeat((EXTENT.width * EXTENT.height) as usize)
}

fn send(producer: &mut Ours, number: u8) {
    let slot = producer.acquire(TIMEOUT).expect("a slot");
    let pixels = drawn(number);
    let written = slot
        .image()
        .write(slot.gate(), TIMEOUT, |rows| rows.write_plane(0, &pixels));
    let fence = written.expect("written");
    let sent = producer.send(slot, fence, lucarne_stream::now());
    assert_eq!(sent.expect("sent"), 1, "one consumer got it");
}

/// Serves the stream until somebody watches.
fn wait_for_a_consumer(producer: &mut Ours) {
    let begun = Instant::now();
    while producer.consumers() == 0 {
        assert!(begun.elapsed() < SOON, "nobody came");
        producer.dispatch().expect("it serves");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every frame, in order, and the pixels that were sent.
pub(crate) fn sees_every_frame(program: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let watching = ["--every", "--pictures", "1,6"];
    // It comes first, and waits.
    let consumer = Program::start(program, folder.path(), &watching);
    let mut producer = producer(folder.path());
    wait_for_a_consumer(&mut producer);
    (1..=6).for_each(|number| send(&mut producer, number));
    producer.end();
    let report = consumer.report();
    assert_eq!((report.frames, report.dropped), (6, 0), "{report:?}");
    let numbers: Vec<u64> = report.pictures.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [1, 6]);
    for ((_, path), number) in report.pictures.iter().zip([1, 6]) {
        let seen = Picture::load(path).expect("saved");
        let sent = Picture::from_frame(EXTENT, FORMAT, drawn(number)).expect("its size");
        assert!(
            seen == sent,
            "frame {number} is another picture than was sent"
        );
    }
}

/// Ctrl-C while frames come: it reports what it has seen.
pub(crate) fn ends_in_good_order(program: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let watching = ["--every", "--pictures", "1"];
    let consumer = Program::start(program, folder.path(), &watching);
    let mut producer = producer(folder.path());
    wait_for_a_consumer(&mut producer);
    send(&mut producer, 1);
    let name = Path::new(program).file_name().expect("a program's path");
    let begun = Instant::now();
    while !folder.path().join(name).join("frame-000001.png").exists() {
        assert!(begun.elapsed() < SOON, "no picture");
        producer.dispatch().expect("it serves");
        std::thread::sleep(Duration::from_millis(5));
    }
    consumer.interrupt();
    let report = consumer.report();
    assert_eq!((report.frames, report.lost), (1, 0), "{report:?}");
}
