//! Whole ends of a stream against a peer that does what the bytes say: right messages, changed ones, wrong ones and none,
//! with any number and kind of descriptors, and any words in its ring.
//!
//! The honest ends are in this process, and nothing here waits: what the peer says is heard before the next step. After
//! the script an honest consumer still gets frames, every slot is free again, and no descriptor is left.

mod hostile;
mod watched;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lucarne::{Agreement, Extent, Frame, Offer, Usage, cpu};
use lucarne_stream::{Consumer, ConsumerOptions, Delivery, Producer, ProducerOptions};

use hostile::{Hostile, Script};

/// Long enough never to be over here: what has to be free is free because its holder went.
const PATIENCE: Duration = Duration::from_secs(600);
/// Longer than a thread takes to close a few descriptors, also on a busy machine.
const CLOSED: Duration = Duration::from_secs(10);
const EXTENT: Extent = Extent::new(16, 4);
const SLOTS: usize = 4;

type Image = cpu::Image;
type Made = Producer<fn(&Agreement) -> lucarne::Result<(Image, Frame)>>;
type Watcher = Consumer<fn(&Frame) -> lucarne::Result<Image>>;

fn device() -> cpu::Device {
    let adapter = cpu::Adapter::new(cpu::Allocator::HostMemory);
    adapter.open().expect("host memory is always there")
}

fn offer(usage: Usage) -> Offer {
    device().offer(usage).expect("the CPU asks nobody")
}

fn allocate(agreement: &Agreement) -> lucarne::Result<(Image, Frame)> {
    let image = device().export(agreement)?;
    let frame = image.frame().clone();
    Ok((image, frame))
}

fn import(frame: &Frame) -> lucarne::Result<Image> {
    device().import(frame)
}

fn watch(folder: &std::path::Path, delivery: Delivery) -> lucarne_stream::Result<Watcher> {
    let options = ConsumerOptions::new(delivery)
        .patience(PATIENCE)
        .directory(folder);
    Consumer::connect(
        "scene",
        &offer(Usage::SAMPLE),
        options,
        import as fn(&_) -> _,
    )
}

/// Takes the bytes as what a hostile consumer or producer does.
///
/// # Panics
///
/// When an honest end breaks a promise.
pub fn check(bytes: &[u8]) {
    // Descriptors are counted by process.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let before = descriptors();
    if first & 1 == 0 {
        against_a_consumer(Script::new(rest));
    } else {
        watched::against_a_producer(Script::new(rest));
    }
    // What is no memory and no fence is closed by a thread.
    let begun = Instant::now();
    while descriptors() != before && begun.elapsed() < CLOSED {
        std::thread::yield_now();
    }
    assert_eq!(descriptors(), before, "descriptors are left");
}

/// What streams are made of; files come and go with whoever else runs here.
fn descriptors() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("/proc");
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let links = links.map(|link| link.display().to_string());
    let mut ours: Vec<String> = links
        .filter(|link| {
            let kinds = ["socket:", "pipe:", "anon_inode:", "/memfd:"];
            kinds.iter().any(|kind| link.starts_with(kind)) || link.contains(".scene.lock")
        })
        .collect();
    ours.sort();
    ours
}

fn against_a_consumer(mut script: Script<'_>) {
    let folder = tempfile::tempdir().expect("a folder");
    let options = ProducerOptions::new(EXTENT)
        .slots(SLOTS)
        .patience(PATIENCE)
        .directory(folder.path());
    let made = Producer::bind(
        "scene",
        &offer(Usage::RENDER),
        options,
        allocate as fn(&_) -> _,
    );
    let mut producer: Made = made.expect("the name is free");
    let mut honest = watch(folder.path(), Delivery::Every).expect("it is there");
    meet(&mut producer, &mut honest);
    let mut hostile = Hostile::connect(folder.path());
    while let Some(act) = script.next() {
        match act % 16 {
            14 => step(&mut producer, &mut honest, false),
            15 => {
                drop(hostile);
                hostile = Hostile::connect(folder.path());
            }
            _ => hostile.act(act, &mut script),
        }
        step(&mut producer, &mut honest, true);
    }
    drop(hostile);
    // The honest one gets its frames, and all slots come back.
    for _ in 0..3 {
        producer.dispatch().expect("served");
        step(&mut producer, &mut honest, true);
    }
    assert_eq!(
        producer.consumers(),
        1,
        "the honest consumer was cut off, or a hostile one was not"
    );
    let slots: Vec<_> = std::iter::from_fn(|| producer.try_acquire().expect("served")).collect();
    assert_eq!(slots.len(), SLOTS, "slots were lost");
}

fn meet(producer: &mut Made, honest: &mut Watcher) {
    for _ in 0..8 {
        producer.dispatch().expect("served");
        honest.dispatch().expect("served");
        if producer.consumers() == 1 {
            return;
        }
    }
    panic!("two honest ends do not meet");
}

/// One frame, if a slot is free: the honest consumer gets it.
fn step(producer: &mut Made, honest: &mut Watcher, send: bool) {
    producer.dispatch().expect("served");
    honest.dispatch().expect("the producer is honest");
    producer.dispatch().expect("served");
    let slot = producer.try_acquire().expect("served");
    if let Some(slot) = slot.filter(|_| send) {
        let time = lucarne_stream::now();
        let sent = producer.send(slot, lucarne::Fence::Signaled, time);
        assert!(sent.expect("sent") >= 1, "the honest consumer was cut off");
        let received = honest.try_receive().expect("the producer is honest");
        let received = received.expect("what was sent is there");
        assert_eq!(received.dropped(), 0);
    }
    while honest.event().is_some() || producer.event().is_some() {}
}
