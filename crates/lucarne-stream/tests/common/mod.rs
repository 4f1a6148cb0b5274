//! Streams of frames that the CPU makes, each of which shows its number.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lucarne::cpu;
use lucarne::{Agreement, Extent, Frame, Offer, Usage};
use lucarne_stream::{
    Consumer, ConsumerOptions, Delivery, Producer, ProducerOptions, Reading, Received,
};

/// Longer than anything here takes, in the guest too.
pub(crate) const SOON: Duration = Duration::from_secs(30);
pub(crate) const EXTENT: Extent = Extent::new(64, 16);

/// A time that is measured; ten times as long in the guest, whose processor is emulated.
pub(crate) fn scaled(milliseconds: u64) -> Duration {
    let guest = std::env::var_os("LUCARNE_GUEST").is_some();
    Duration::from_millis(if guest {
        10 * milliseconds
    } else {
        milliseconds
    })
}

/// Descriptors are counted by process: one test at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn open_descriptors() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("/proc");
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let mut links: Vec<String> = links.map(|link| link.display().to_string()).collect();
    links.sort();
    links
}

pub(crate) fn device() -> cpu::Device {
    let adapter = cpu::Adapter::new(cpu::Allocator::HostMemory);
    adapter.open().expect("host memory is always there")
}

pub(crate) fn offer(usage: Usage) -> Offer {
    device().offer(usage).expect("the CPU asks nobody")
}

pub(crate) type Image = cpu::Image;
pub(crate) type Ours = Producer<fn(&Agreement) -> lucarne::Result<(Image, Frame)>>;
pub(crate) type Theirs = Consumer<fn(&Frame) -> lucarne::Result<Image>>;

fn allocate(agreement: &Agreement) -> lucarne::Result<(Image, Frame)> {
    let image = device().export(agreement)?;
    let frame = image.frame().clone();
    Ok((image, frame))
}

fn import(frame: &Frame) -> lucarne::Result<Image> {
    device().import(frame)
}

pub(crate) fn producer(folder: &Path, options: ProducerOptions) -> Ours {
    let options = options.directory(folder);
    Producer::bind(
        "scene",
        &offer(Usage::RENDER),
        options,
        allocate as fn(&_) -> _,
    )
    .expect("the name is free")
}

pub(crate) fn connect(
    folder: &Path,
    options: impl Into<ConsumerOptions>,
) -> lucarne_stream::Result<Theirs> {
    let options = options.into().directory(folder);
    Consumer::connect(
        "scene",
        &offer(Usage::SAMPLE),
        options,
        import as fn(&_) -> _,
    )
}

pub(crate) fn consumer(folder: &Path, delivery: Delivery) -> Theirs {
    connect(folder, delivery).expect("the stream is there")
}

/// Writes `number` into every pixel and sends the frame. Says how many consumers got it.
pub(crate) fn send(producer: &mut Ours, number: u32) -> usize {
    let slot = producer.acquire(SOON).expect("a slot");
    let image = slot.image();
    let pixels = number.to_le_bytes().repeat(image.row_bytes(0) / 4);
    let written = image.write(slot.gate(), SOON, |rows| {
        (0..image.rows(0)).try_for_each(|row| rows.write_row(0, row, &pixels))
    });
    let fence = written.expect("written");
    producer
        .send(slot, fence, lucarne_stream::now())
        .expect("sent")
}

/// The number in a frame; all pixels must show the same one.
pub(crate) fn number(reading: &Reading<Image>, fence: &lucarne::Fence) -> u32 {
    let image = reading.image();
    let mut numbers = Vec::new();
    let read = image.read(fence, SOON, |rows| {
        let mut row_bytes = vec![0; image.row_bytes(0)];
        for row in 0..image.rows(0) {
            rows.read_row(0, row, &mut row_bytes)?;
            numbers.extend(
                row_bytes
                    .chunks_exact(4)
                    .map(|pixel| u32::from_le_bytes([pixel[0], pixel[1], pixel[2], pixel[3]])),
            );
        }
        Ok(())
    });
    let _done = read.expect("read");
    assert!(
        numbers.iter().all(|number| *number == numbers[0]),
        "a torn frame: {} and others",
        numbers[0]
    );
    numbers[0]
}

/// Reads a frame's number and gives the frame back.
pub(crate) fn finish(received: Received<Image>) -> u32 {
    let (reading, fence) = received.acquire();
    let number = number(&reading, &fence);
    reading.release(lucarne::Fence::Signaled).expect("released");
    number
}

/// Serves both ends until they are connected.
pub(crate) fn join(producer: &mut Ours, consumer: &mut Theirs) {
    let consumers = producer.consumers();
    until("the consumer is ready", || {
        producer.dispatch().expect("served");
        consumer.dispatch().expect("served");
        producer.consumers() > consumers
    });
}

/// Repeats `step` until it says that it is done.
pub(crate) fn until(what: &str, mut step: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !step() {
        assert!(begun.elapsed() < SOON, "{what}: did not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}
