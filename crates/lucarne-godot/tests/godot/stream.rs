//! The other ends: a producer and a consumer of this test's.

use std::path::Path;
use std::time::{Duration, Instant};

use lucarne::cpu::{Allocator, Device, Image};
use lucarne::{Agreement, Extent, Format, Frame, Request, Usage};
use lucarne_stream::{Consumer, ConsumerOptions, Delivery, Producer, ProducerOptions, now};
use lucarne_tests::TIMEOUT;

use crate::engine::Godot;

/// Pixels that tell rows, columns, colours and pictures apart: red, green, blue, alpha.
pub(crate) fn pattern(seed: u32, extent: Extent) -> Vec<u8> {
    let mut bytes = Vec::new();
    let byte = |value: u32| u8::try_from(value % 251).expect("below 251");
    for y in 0..extent.height {
        for x in 0..extent.width {
            bytes.push(byte(x * 7 + y * 31 + seed * 53 + 1));
            bytes.push(byte(x * 3 + y * 5 + seed * 11));
            bytes.push(byte(x * 13 + y * 17 + seed * 29));
            bytes.push(255);
        }
    }
    bytes
}

/// Fails at the first pixel that differs.
pub(crate) fn assert_pixels(what: &str, found: &[u8], wanted: &[u8], width: u32) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let width = usize::try_from(width).expect("small");
    let mut pixels = found.chunks(4).zip(wanted.chunks(4)).enumerate();
    if let Some((at, (found, wanted))) = pixels.find(|(_, (found, wanted))| found != wanted) {
        let (x, y) = (at % width, at / width);
        panic!("{what}: pixel {x},{y} is {found:?}, but must be {wanted:?}");
    }
}

/// The upper left part of a picture.
pub(crate) fn part(picture: &[u8], width: u32, extent: Extent) -> Vec<u8> {
    let [width, wanted, rows] =
        [width, extent.width, extent.height].map(|length| usize::try_from(length).expect("small"));
    let rows = picture.chunks(width * 4).take(rows);
    rows.flat_map(|row| &row[..wanted * 4]).copied().collect()
}

fn allocator(emulated: bool) -> Allocator {
    if emulated {
        Allocator::Udmabuf
    } else {
        Allocator::HostMemory
    }
}

type Allocates = Box<dyn FnMut(&Agreement) -> lucarne::Result<(Image, Frame)>>;
type Imports = Box<dyn FnMut(&Frame) -> lucarne::Result<Image>>;

/// A stream of patterns.
pub(crate) struct Source {
    producer: Producer<Allocates>,
    extent: Extent,
}

impl Source {
    pub(crate) fn new(
        folder: &Path,
        name: &str,
        emulated: bool,
        (extent, formats): (Extent, &[Format]),
    ) -> Self {
        let device = lucarne_tests::cpu::open(&allocator(emulated));
        let offer = device.offer(Usage::RENDER).expect("an offer");
        let makes: Device = device;
        let allocate: Allocates = Box::new(move |agreement| {
            let image = makes.export(agreement)?;
            let frame = image.frame().clone();
            Ok((image, frame))
        });
        let request = Request::new(extent).formats(formats);
        let options = ProducerOptions::of(request).directory(folder);
        let producer = Producer::bind(name, &offer, options, allocate).expect("a stream");
        Self { producer, extent }
    }

    /// Sends a pattern, and waits until Godot shows it.
    pub(crate) fn send(&mut self, godot: &mut Godot, seed: u32) {
        let before = frames(godot, "in");
        let slot = self.producer.acquire(TIMEOUT).expect("a slot");
        let mut bytes = pattern(seed, self.extent);
        let blue_first = [Format::ARGB8888, Format::XRGB8888];
        if blue_first.contains(&slot.agreement().format) {
            bytes.chunks_exact_mut(4).for_each(|pixel| pixel.swap(0, 2));
        }
        let drawn = lucarne_tests::cpu::write(slot.image(), slot.gate(), &[bytes]);
        self.producer.send(slot, drawn, now()).expect("sent");
        let begun = Instant::now();
        while frames(godot, "in") == before {
            assert!(begun.elapsed() < TIMEOUT, "{:#}", godot.facts());
            self.producer.dispatch().expect("served");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A producer that says good-bye.
    pub(crate) fn end(self) {
        self.producer.end();
    }
}

fn frames(godot: &mut Godot, way: &str) -> i64 {
    let facts = godot.facts();
    facts[way]["frames"].as_i64().expect("a count")
}

/// Receives until a frame has every pixel of `wanted`, in Godot's next frames.
pub(crate) struct Sink {
    consumer: Consumer<Imports>,
}

impl Sink {
    pub(crate) fn new(folder: &Path, name: &str, emulated: bool) -> Self {
        let device = lucarne_tests::cpu::open(&allocator(emulated));
        let mut offer = device.offer(Usage::SAMPLE).expect("an offer");
        if !emulated {
            let kept = lucarne::MemoryPath::HostMemory;
            offer.entries.retain(|entry| entry.path == kept);
        }
        let import: Imports = Box::new(move |frame| device.import(frame));
        let options = ConsumerOptions::new(Delivery::Latest).directory(folder);
        let consumer = Consumer::connect_wait(name, &offer, options, import, TIMEOUT);
        Self {
            consumer: consumer.expect("a stream"),
        }
    }

    pub(crate) fn expect(&mut self, wanted: &[u8], extent: Extent) {
        let begun = Instant::now();
        loop {
            let received = self.consumer.receive(TIMEOUT).expect("a frame");
            let (reading, ready) = received.acquire();
            let layout = reading.frame().layout().extent();
            let (planes, read) = lucarne_tests::cpu::read(reading.image(), &ready);
            reading.release(read).expect("released");
            if layout == extent && planes[0] == wanted {
                return;
            }
            if begun.elapsed() > Duration::from_secs(20) {
                assert_eq!(layout, extent);
                assert_pixels("a viewport's frame", &planes[0], wanted, extent.width);
            }
        }
    }
}
