//! Both ends of a stream, and a hostile one of each, that were written from docs/protocol.md alone, in another language.

use std::io::BufRead as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lucarne::kernel::SyncFile;
use lucarne::{Extent, Fence, Format, Request, Rung};
use lucarne_stream::wire::ConsumerDetails;
use lucarne_stream::{Delivery, Error, ProducerOptions, Reading, Received};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

const FRAMES: u32 = 200;
/// The size of the second generation.
const OTHER: Extent = Extent::new(40, 24);

/// The package beside this file. `None`, and a line that says so, where there is no Python.
fn python(folder: &Path, role: &str, more: &[&str]) -> Option<Child> {
    let python = Command::new("python3")
        // Nothing is written beside the sources.
        .arg("-B")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peer"))
        .arg(role)
        .arg(folder.join("scene"))
        .args(more)
        .stdout(Stdio::piped())
        .spawn();
    if let Ok(python) = python {
        return Some(python);
    }
    let required = std::env::var("LUCARNE_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|kind| kind == "tool"),
        "no python3"
    );
    eprintln!("skipped: tool: there is no python3");
    None
}

/// Waits until it says that it listens.
fn bound(python: &mut Child) -> impl Iterator<Item = String> + use<> {
    let said = python.stdout.take().expect("piped");
    let mut lines = std::io::BufReader::new(said).lines();
    let first = lines.next().expect("it starts").expect("text");
    assert_eq!(first, "bound");
    lines.map(|line| line.expect("text"))
}

/// What both languages draw: the frame's number, the row and the column in each pixel.
fn row(number: u32, width: u32, y: usize) -> Vec<u8> {
    let y = u32::try_from(y).expect("below 256");
    let pixels = (0..width).map(|x| number << 16 | y << 8 | x);
    pixels.flat_map(u32::to_le_bytes).collect()
}

/// Something that is not done yet, and what says that it is.
fn pending() -> (Fence, OwnedFd) {
    let flags = rustix::event::EventfdFlags::CLOEXEC;
    let done = rustix::event::eventfd(0, flags).expect("an eventfd");
    let fence = done.try_clone().expect("a descriptor");
    (Fence::sync_file(SyncFile::stand_in(fence)), done)
}

fn signal(done: &OwnedFd) {
    rustix::io::write(done, &1_u64.to_ne_bytes()).expect("an eventfd");
}

/// Draws and sends one frame; every seventh is said to be unfinished until it has been sent.
fn send_pattern(producer: &mut Ours, number: u32) -> usize {
    let slot = producer.acquire(SOON).expect("a slot");
    let (image, extent) = (slot.image(), slot.frame().layout().extent());
    let written = image.write(slot.gate(), SOON, |rows| {
        (0..image.rows(0)).try_for_each(|y| rows.write_row(0, y, &row(number, extent.width, y)))
    });
    let fence = written.expect("written");
    let now = lucarne_stream::now();
    if !number.is_multiple_of(7) {
        return producer.send(slot, fence, now).expect("sent");
    }
    let (fence, done) = pending();
    let readers = producer.send(slot, fence, now).expect("sent");
    signal(&done);
    readers
}

/// A frame's number, with every pixel compared.
fn read_pattern(reading: &Reading<Image>, fence: &Fence) -> u32 {
    let (image, extent) = (reading.image(), reading.frame().layout().extent());
    let mut number = 0;
    let read = image.read(fence, SOON, |rows| {
        let mut found = vec![0; image.row_bytes(0)];
        for y in 0..image.rows(0) {
            rows.read_row(0, y, &mut found)?;
            number = u32::from_le_bytes([found[0], found[1], found[2], found[3]]) >> 16;
            assert_eq!(found, row(number, extent.width, y), "row {y} of {extent}");
        }
        Ok(())
    });
    let _done = read.expect("read");
    number
}

/// Takes a frame's number and gives it back; every fifth with a fence that signals afterwards.
fn finish_pattern(received: Received<Image>) -> u32 {
    let (reading, fence) = received.acquire();
    let number = read_pattern(&reading, &fence);
    let (release, done) = pending();
    let release = if number.is_multiple_of(5) {
        release
    } else {
        Fence::Signaled
    };
    reading.release(release).expect("released");
    signal(&done);
    number
}

/// What a producer tells an observer about its only consumer.
fn consumer_details(producer: &mut Ours, folder: &Path) -> ConsumerDetails {
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| lucarne_stream::describe(folder, "scene"));
        until("it is asked", || {
            producer.dispatch().expect("served");
            asking.is_finished()
        });
        let found = asking.join().expect("no panic").expect("it answers");
        let mut consumers = found.details.expect("it speaks version 2").consumers;
        consumers.pop().expect("one consumer")
    })
}

fn options() -> ProducerOptions {
    let request = Request::new(EXTENT).formats(&[Format::XRGB8888]);
    ProducerOptions::of(request).patience(SOON)
}

#[test]
fn python_sees_every_frame() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), options());
    let Some(python) = python(folder.path(), "consume", &[]) else {
        return;
    };
    until("it connects", || {
        producer.dispatch().expect("served");
        producer.consumers() == 1
    });
    let mut expected = String::new();
    let mut told = false;
    for (extent, frames) in [(EXTENT, 1..=FRAMES), (OTHER, FRAMES + 1..=2 * FRAMES)] {
        let request = Request::new(extent).formats(&[Format::XRGB8888]);
        producer.reconfigure(request).expect("a size");
        until("it has the size", || {
            producer.dispatch().expect("served");
            let slot = producer.acquire(SOON).expect("a slot");
            slot.frame().layout().extent() == extent
        });
        for frame in frames {
            assert_eq!(send_pattern(&mut producer, frame), 1, "it was cut off");
            expected += &format!("{frame} {frame} {extent}\n");
        }
        told |= consumer_details(&mut producer, folder.path())
            .latency
            .is_some();
    }
    assert!(told, "it says how old its frames are");
    producer.end();
    let output = python.wait_with_output().expect("it ends with the stream");
    assert!(output.status.success(), "{:?}", output.status);
    assert_eq!(String::from_utf8(output.stdout).expect("text"), expected);
}

#[test]
fn every_frame_of_python_is_seen() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let frames = FRAMES.to_string();
    let Some(mut python) = python(folder.path(), "produce", &["2", &frames]) else {
        return;
    };
    let _said = bound(&mut python);
    let found = lucarne_stream::describe(folder.path(), "scene").expect("it answers");
    let description = found.description;
    assert_eq!((description.extent, description.frames), (EXTENT, 0));
    let details = found.details.expect("it speaks version 2");
    assert_eq!((details.rung, details.slots), (Some(Rung::HostMemory), 4));
    let mut every = consumer(folder.path(), Delivery::Every);
    let mut latest = consumer(folder.path(), Delivery::Latest);
    let (mut seen, mut newest, mut ended) = (0, 0, [false; 2]);
    until("both have seen the end", || {
        loop {
            // Short, so that it sleeps at the ring as well.
            match every.receive(Duration::from_millis(2)) {
                Ok(received) => {
                    let extent = if seen < FRAMES { EXTENT } else { OTHER };
                    assert_eq!(received.frame().layout().extent(), extent);
                    seen += 1;
                    assert_eq!(finish_pattern(received), seen);
                }
                Err(Error::Timeout { .. }) => break,
                Err(Error::Ended) => break ended[0] = true,
                Err(error) => panic!("Every: {error}"),
            }
        }
        match latest.try_receive() {
            Ok(Some(received)) => {
                let number = finish_pattern(received);
                assert!(number > newest, "{number} after {newest}");
                newest = number;
            }
            Ok(None) => {}
            Err(Error::Ended) => ended[1] = true,
            Err(error) => panic!("Latest: {error}"),
        }
        ended == [true; 2]
    });
    assert_eq!((seen, newest), (2 * FRAMES, 2 * FRAMES));
    let found = lucarne_stream::describe(folder.path(), "scene").expect("it answers");
    let details = found.details.expect("it speaks version 2");
    let deliveries = details.consumers.iter().map(|one| one.delivery);
    assert!(deliveries.eq([Delivery::Every, Delivery::Latest]));
    for one in &details.consumers {
        assert!(one.latency.is_some_and(|latency| latency < SOON), "{one:?}");
        assert_eq!((one.frames, one.is_served), (u64::from(2 * FRAMES), true));
        assert_eq!(one.pid, Some(std::process::id()));
    }
    drop((every, latest));
    let status = python.wait().expect("it ends when both are gone");
    assert!(status.success(), "{status:?}");
}

/// Python knows how each breach must end, and fails where one ends otherwise.
#[test]
fn a_producer_ends_every_breach_as_the_page_says() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), options().patience(scaled(200)));
    let Some(mut python) = python(folder.path(), "consume-badly", &[]) else {
        return;
    };
    let status = loop {
        if let Some(status) = python.try_wait().expect("ours") {
            break status;
        }
        producer.dispatch().expect("served");
        if let Some(slot) = producer.try_acquire().expect("served") {
            let now = lucarne_stream::now();
            producer.send(slot, Fence::Signaled, now).expect("sent");
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(status.success(), "{status:?}: its last words are above");
}

#[test]
fn a_consumer_ends_every_breach_as_the_page_says() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let Some(mut python) = python(folder.path(), "produce-badly", &[]) else {
        return;
    };
    let said = bound(&mut python);
    let mut breaches = 0;
    while python.try_wait().expect("ours").is_none() {
        // It goes after the last one.
        let Ok(mut consumer) = connect(folder.path(), Delivery::Latest) else {
            break;
        };
        let error = loop {
            match consumer.receive(SOON) {
                Ok(received) => drop(received),
                Err(error) => break error,
            }
        };
        breaches += usize::from(error.is_breach());
    }
    let status = python.wait().expect("it ends");
    assert!(status.success(), "{status:?}: its last words are above");
    assert_eq!(said.count(), breaches, "each was noticed once");
}
