//! Fences of the kernel that travel with the frames of a stream, attached to their dma-bufs. What `lucarne-stream` itself tests
//! with stand-ins, which are mailed.

use std::path::Path;
use std::time::{Duration, Instant};

use lucarne::cpu::{self, Allocator};
use lucarne::{Agreement, Extent, Fence, Frame, MemoryPath, Offer, Usage};
use lucarne_stream::{
    Consumer, ConsumerOptions, Delivery, Producer, ProducerEvent, ProducerOptions, Received,
};
use lucarne_tests::TIMEOUT;
use lucarne_tests::unsignalled::Source;

const PATIENCE: Duration = Duration::from_secs(2);

type Ours = Producer<fn(&Agreement) -> lucarne::Result<(cpu::Image, Frame)>>;
type Theirs = Consumer<fn(&Frame) -> lucarne::Result<cpu::Image>>;

fn device() -> cpu::Device {
    let adapter = cpu::Adapter::new(Allocator::Udmabuf);
    adapter
        .open()
        .expect("whoever has vgem's fences has /dev/udmabuf")
}

fn offer(usage: Usage) -> Offer {
    device().offer(usage).expect("the CPU asks nobody")
}

fn allocate(agreement: &Agreement) -> lucarne::Result<(cpu::Image, Frame)> {
    let image = device().export(agreement)?;
    let frame = image.frame().clone();
    Ok((image, frame))
}

fn import(frame: &Frame) -> lucarne::Result<cpu::Image> {
    device().import(frame)
}

/// A stream of dma-bufs in two slots, and its consumers.
fn stream(folder: &Path, consumers: usize) -> (Ours, Vec<Theirs>) {
    let options = ProducerOptions::new(Extent::new(64, 16))
        .slots(2)
        .patience(PATIENCE);
    let options = options.directory(folder);
    let mut producer = Producer::bind(
        "scene",
        &offer(Usage::RENDER),
        options,
        allocate as fn(&_) -> _,
    )
    .expect("the name is free");
    let connect = |_| {
        let options = ConsumerOptions::new(Delivery::Latest).directory(folder);
        Consumer::connect(
            "scene",
            &offer(Usage::SAMPLE),
            options,
            import as fn(&_) -> _,
        )
        .expect("there")
    };
    let mut all: Vec<Theirs> = (0..consumers).map(connect).collect();
    let begun = Instant::now();
    while producer.consumers() < consumers {
        assert!(begun.elapsed() < TIMEOUT, "they do not agree");
        producer.dispatch().expect("served");
        for consumer in &mut all {
            consumer.dispatch().expect("served");
        }
    }
    (producer, all)
}

fn send(producer: &mut Ours, acquire: Fence) {
    let slot = producer.acquire(TIMEOUT).expect("a slot");
    producer
        .send(slot, acquire, lucarne_stream::now())
        .expect("sent");
}

fn receive(consumer: &mut Theirs) -> Received<cpu::Image> {
    let received = consumer.receive(TIMEOUT).expect("a frame");
    let frame = received.frame();
    assert_eq!(frame.memory().path(), MemoryPath::DmaBuf);
    assert!(frame.implicit_sync().is_yes(), "fences are attached to it");
    received
}

#[test]
fn fences_travel_with_the_frame_both_ways() {
    let Some(source) = Source::kernel() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (mut producer, mut consumers) = stream(folder.path(), 1);
    let drawn = source.unsignalled();
    send(&mut producer, drawn.fence().clone());
    let (reading, acquire) = receive(&mut consumers[0]).acquire();
    assert!(
        !acquire.is_signaled().expect("a fence"),
        "it is not drawn yet"
    );
    drawn.signal();
    acquire.wait(TIMEOUT).expect("it is drawn");
    let read = source.unsignalled();
    reading.release(read.fence().clone()).expect("released");
    let other = producer.acquire(TIMEOUT).expect("the other slot");
    let none = producer.try_acquire().expect("no error");
    assert!(none.is_none(), "it is still being read");
    read.signal();
    drop((producer.acquire(TIMEOUT).expect("it is read"), other));
}

#[test]
fn whose_attached_fence_never_signals_is_found_among_several() {
    let Some(source) = Source::kernel() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (mut producer, mut consumers) = stream(folder.path(), 3);
    let fences = [
        source.unsignalled(),
        source.unsignalled(),
        source.unsignalled(),
    ];
    send(&mut producer, Fence::Signaled);
    for (consumer, fence) in consumers.iter_mut().zip(&fences) {
        let (reading, _) = receive(consumer).acquire();
        reading.release(fence.fence().clone()).expect("released");
    }
    fences[0].signal();
    fences[2].signal();
    // The one slot is free all the time, and the other when the liar's time is over: vgem's own limit is ten seconds.
    let begun = Instant::now();
    let held = producer.acquire(TIMEOUT).expect("a slot");
    let other = producer.acquire(TIMEOUT).expect("the other");
    assert!(begun.elapsed() < 3 * PATIENCE, "{:?}", begun.elapsed());
    drop((held, other));
    let left = std::iter::from_fn(|| producer.event()).filter_map(|event| match event {
        ProducerEvent::Left { consumer, reason } => Some((consumer, reason)),
        _ => None,
    });
    let left: Vec<_> = left.collect();
    let [(_, reason)] = &left[..] else {
        panic!("one is cut off: {left:?}");
    };
    assert!(reason.contains("did not signal in time"), "{reason}");
    assert_eq!(producer.consumers(), 2);
    send(&mut producer, Fence::Signaled);
    for honest in [0, 2] {
        drop(receive(&mut consumers[honest]));
    }
    let error = consumers[1].receive(TIMEOUT).expect_err("it is cut off");
    assert!(error.to_string().contains("did not signal"), "{error}");
}
