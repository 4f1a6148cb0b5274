//! wgpu at one end of a stream or at both, in processes of their own: the same pictures everywhere.

#[path = "../../tests/common/program.rs"]
mod program;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lucarne::vulkan::{Instance, InstanceOptions};
use lucarne::{Agreement, Extent, Format, Frame, MemoryPath, Request, Usage, egl};
use lucarne_examples::picture::Picture;
use lucarne_examples::stream::{PRODUCER_USAGE, Renderer, Report, TIMEOUT};
use lucarne_stream::{Consumer, ConsumerOptions, Delivery, Error, Producer, ProducerOptions};
use lucarne_tests::skip::skip;
use program::Program;

const PRODUCER: &str = env!("CARGO_BIN_EXE_wgpu-producer");
const CONSUMER: &str = env!("CARGO_BIN_EXE_wgpu-consumer");
const SIZE: &str = "97x55";
/// Longer than a program takes to start, in the guest too.
const SOON: Duration = Duration::from_secs(120);

fn pictures(report: &Report) -> Vec<(u64, Picture)> {
    let load = |(number, path): &(u64, PathBuf)| (*number, Picture::load(path).expect("saved"));
    report.pictures.iter().map(load).collect()
}

fn start(program: &str, folder: &Path, arguments: &[&str]) -> Program {
    Program::start(program, folder, arguments)
}

/// The pictures differ from each other, and show more than one colour.
fn assert_moving(pictures: &[(u64, Picture)]) {
    let [(_, first), (_, second), ..] = pictures else {
        panic!("two pictures at least");
    };
    let (_, differing) = first.difference(second).expect("one size");
    assert!(differing > 100, "the scene moves: {differing}");
}

fn wgpu_to_wgpu(path: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let watching = ["--every", "--pictures", "1,9"];
    let consumer = start(CONSUMER, folder.path(), &watching);
    let sending = [
        "--frames",
        "12",
        "--fps",
        "0",
        "--patience",
        "20000",
        "--pictures",
        "1,9",
    ];
    let mut sending = sending.to_vec();
    sending.extend(["--size", SIZE, "--path", path]);
    let producer = start(PRODUCER, folder.path(), &sending).report();
    let consumer = consumer.report();
    assert_eq!((consumer.frames, consumer.dropped), (12, 0), "{consumer:?}");
    for report in [&producer, &consumer] {
        assert!(report.rung.contains(path), "{report:?}");
        assert!(report.device.contains("wgpu"), "{report:?}");
    }
    let (sent, seen) = (pictures(&producer), pictures(&consumer));
    assert_moving(&sent);
    assert!(sent == seen, "other pictures than sent, by {path}");
}

#[test]
fn wgpu_sees_what_wgpu_draws_in_dma_bufs() {
    let renderer = Renderer::open(None).expect("Vulkan");
    let offer = renderer.device().offer(PRODUCER_USAGE).expect("an offer");
    let support = offer.path(MemoryPath::DmaBuf);
    if !support.is_yes() {
        return skip("dma-buf", &support.reason());
    }
    wgpu_to_wgpu("dma-buf");
}

#[test]
fn wgpu_sees_what_wgpu_draws_in_host_memory() {
    wgpu_to_wgpu("host-memory");
}

/// Each size is a generation of new textures, made while frames run.
#[test]
fn a_resize_while_running_loses_no_frame() {
    let folder = tempfile::tempdir().expect("a folder");
    let watching = ["--every", "--pictures", "1,20,40"];
    let consumer = start(CONSUMER, folder.path(), &watching);
    // At a pace: a size that is wanted before the last one is on its way takes its place, and there are fewer generations.
    let mut sending = vec!["--frames", "40", "--fps", "60", "--resize-every", "7"];
    sending.extend([
        "--patience",
        "20000",
        "--pictures",
        "1,20,40",
        "--size",
        SIZE,
    ]);
    let producer = start(PRODUCER, folder.path(), &sending).report();
    let consumer = consumer.report();
    assert_eq!((consumer.frames, consumer.dropped), (40, 0), "{consumer:?}");
    assert!(consumer.generations >= 4, "{consumer:?}");
    assert!(
        pictures(&producer) == pictures(&consumer),
        "other pictures than sent"
    );
}

/// The consumer's: both are at work then.
fn wait_for_the_first_picture(folder: &Path) {
    let picture = folder.join("wgpu-consumer/frame-000001.png");
    let begun = Instant::now();
    while !picture.exists() {
        assert!(begun.elapsed() < SOON, "no frame");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A producer that dies without a word, and the next one.
#[test]
fn the_consumer_outlives_a_killed_producer() {
    let folder = tempfile::tempdir().expect("a folder");
    let consumer = start(
        CONSUMER,
        folder.path(),
        &["--every", "--pictures", "1", "--last"],
    );
    let endless = start(
        PRODUCER,
        folder.path(),
        &["--size", SIZE, "--patience", "20000"],
    );
    wait_for_the_first_picture(folder.path());
    drop(endless);
    let sending = ["--size", SIZE, "--frames", "7", "--fps", "0"];
    assert_eq!(start(PRODUCER, folder.path(), &sending).report().frames, 7);
    let seen = consumer.report();
    assert!(seen.lost >= 1, "{seen:?}");
    assert_eq!(
        seen.pictures.last().map(|(number, _)| *number),
        Some(7),
        "{seen:?}"
    );
}

#[test]
fn ctrl_c_ends_both_in_good_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let consumer = start(CONSUMER, folder.path(), &["--every", "--pictures", "1"]);
    let sending = ["--size", SIZE, "--patience", "20000"];
    let producer = start(PRODUCER, folder.path(), &sending);
    wait_for_the_first_picture(folder.path());
    consumer.interrupt();
    assert!(consumer.report().frames > 0);
    producer.interrupt();
    assert!(producer.report().frames > 0);
}

fn open_gl() -> egl::Device {
    let adapters = egl::Adapter::enumerate().expect("EGL devices").into_iter();
    let instance = Instance::new(&InstanceOptions::default()).expect("Vulkan");
    let software = instance.adapters().expect("adapters")[0].id().software;
    let mut same = adapters.filter(|one| one.is_software() == software);
    same.next()
        .expect("an EGL device")
        .open()
        .expect("a context")
}

/// wgpu draws in a process of its own; Lucarne's OpenGL shows in this one.
#[test]
fn opengl_sees_what_wgpu_draws() {
    let folder = tempfile::tempdir().expect("a folder");
    let gl = open_gl();
    let offer = gl.offer(Usage::SAMPLE).expect("an offer");
    let mut sending = vec!["--frames", "9", "--fps", "0", "--patience", "60000"];
    sending.extend(["--pictures", "1,9", "--size", SIZE]);
    let producer = start(PRODUCER, folder.path(), &sending);
    let options = ConsumerOptions::new(Delivery::Every).directory(folder.path().join("socket"));
    let import = |frame: &Frame| gl.import(frame);
    let connected = Consumer::connect_wait("scene", &offer, options, import, SOON);
    let mut consumer = connected.expect("a producer");
    let mut seen = Vec::new();
    loop {
        let received = match consumer.receive(SOON) {
            Ok(received) => received,
            Err(Error::Ended) => break,
            Err(error) => panic!("{error}"),
        };
        let (reading, ready) = received.acquire();
        gl.read(reading.image(), &ready, TIMEOUT).expect("a turn");
        let extent = reading.frame().layout().extent();
        let texels = gl.download(reading.image()).expect("pixels");
        let picture = Picture::from_shader(extent, &texels).expect("its size");
        seen.push((reading.sequence(), picture));
        reading
            .release(gl.fence(TIMEOUT).expect("a fence"))
            .expect("given back");
    }
    let sent = pictures(&producer.report());
    assert_eq!(seen.len(), 9);
    assert_moving(&sent);
    seen.retain(|(number, _)| [1, 9].contains(number));
    assert!(sent == seen, "OpenGL shows other pictures than wgpu drew");
}

/// Lucarne's Vulkan draws in this process; wgpu shows in one of its own.
#[test]
fn wgpu_sees_what_vulkan_draws() {
    let folder = tempfile::tempdir().expect("a folder");
    let watching = ["--every", "--pictures", "1,6"];
    let consumer = start(CONSUMER, folder.path(), &watching);
    let renderer = Renderer::open(None).expect("Vulkan");
    let offer = renderer.device().offer(PRODUCER_USAGE).expect("an offer");
    let request = Request::new(Extent::new(97, 55))
        .formats(&[Format::ABGR8888])
        .usage(PRODUCER_USAGE, Usage::SAMPLE);
    let options = ProducerOptions::of(request)
        .patience(TIMEOUT)
        .directory(folder.path().join("socket"));
    let allocate = |agreement: &Agreement| renderer.drawing(agreement);
    let mut producer = Producer::bind("scene", &offer, options, allocate).expect("a free name");
    let begun = Instant::now();
    while producer.consumers() == 0 {
        assert!(begun.elapsed() < SOON, "nobody came");
        producer.dispatch().expect("it serves");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut sent = Vec::new();
    for number in 1..=6 {
        let slot = producer.acquire(TIMEOUT).expect("a slot");
        let done = slot.image().draw(slot.gate(), number).expect("drawn");
        if [1, 6].contains(&number) {
            sent.push((number, slot.image().picture(&done).expect("a picture")));
        }
        producer
            .send(slot, done, lucarne_stream::now())
            .expect("sent");
    }
    producer.end();
    let report = consumer.report();
    assert_eq!((report.frames, report.dropped), (6, 0), "{report:?}");
    assert_moving(&sent);
    assert!(
        pictures(&report) == sent,
        "wgpu shows other pictures than Vulkan drew"
    );
}

/// What it prints is two times and a ratio; on a machine with one of them at 0 nothing was measured.
#[test]
fn copies_are_compared() {
    let program = env!("CARGO_BIN_EXE_wgpu-copies");
    let output = Command::new(program)
        .args(["--size", "64x64", "--frames", "3"])
        .output();
    let output = output.expect("cargo built it");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let text = String::from_utf8(output.stdout).expect("text");
    let times = text
        .lines()
        .filter_map(|line| line.strip_suffix(" ms per frame"));
    let times: Vec<f64> = times
        .map(|line| {
            line.split(' ')
                .next_back()
                .expect("a number")
                .parse()
                .expect("a number")
        })
        .collect();
    assert_eq!(times.len(), 2, "{text}");
    assert!(times.iter().all(|time| *time > 0.0), "{text}");
}
