//! A consumer that waits for the next producer holds nothing of the last, whichever API it imports into.

use std::path::Path;
use std::time::{Duration, Instant};

use lucarne::cpu::Allocator;
use lucarne::{Agreement, Extent, Fence, Format, Frame, Offer, Usage};
use lucarne_stream::{
    Consumer, ConsumerOptions, Delivery, Error, Import, Producer, ProducerOptions,
};
use lucarne_tests::cpu::{can, open};
use lucarne_tests::pair::Pair;
use lucarne_tests::yuv::OURS;
use lucarne_tests::{TIMEOUT, fds};

const TICK: Duration = Duration::from_millis(20);
const SLOTS: usize = 4;
/// What a consumer has for as long as it lives: its socket, and what an event loop polls.
const OWN: usize = 2;

fn offer(allocator: &Allocator, usage: Usage) -> Offer {
    open(allocator).offer(usage).expect("the CPU asks nobody")
}

/// A producer with one consumer, which has seen one frame. Answers how many descriptors there were meanwhile.
fn see_one<A: Import>(
    allocator: &Allocator,
    folder: &Path,
    consumer: impl FnOnce() -> Consumer<A>,
) -> (Consumer<A>, usize) {
    let device = open(allocator);
    let allocate = move |agreement: &Agreement| {
        let image = device.export(agreement)?;
        let frame = image.frame().clone();
        Ok::<_, lucarne::Error>((image, frame))
    };
    let options = ProducerOptions::new(Extent::new(64, 16)).slots(SLOTS);
    let options = options.directory(folder);
    let offer = offer(allocator, Usage::RENDER);
    let mut producer = Producer::bind("scene", &offer, options, allocate).expect("a free name");
    let mut consumer = consumer();
    let begun = Instant::now();
    while producer.consumers() < 1 {
        assert!(begun.elapsed() < TIMEOUT, "they do not agree");
        producer.dispatch().expect("served");
        consumer.dispatch().expect("served");
    }
    let slot = producer.acquire(TIMEOUT).expect("a slot");
    let sent = producer.send(slot, Fence::Signaled, lucarne_stream::now());
    sent.expect("sent");
    let (reading, _acquire) = consumer.receive(TIMEOUT).expect("a frame").acquire();
    reading.release(Fence::Signaled).expect("given back");
    (consumer, fds::open())
}

/// A consumer's API, what it offers, and for what.
struct End<'a> {
    name: &'a str,
    offer: &'a Offer,
    usage: Usage,
}

/// How many descriptors a consumer has once its producer is gone, and `trim` was called.
fn waiting<A: Import>(allocator: &Allocator, end: &End<'_>, import: A, trim: impl Fn()) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let before = fds::open();
    let options = ConsumerOptions::new(Delivery::Latest).usage(end.usage);
    let options = options.directory(folder.path());
    let connect = || Consumer::connect("scene", end.offer, options, import).expect("a stream");
    let (mut consumer, meanwhile) = see_one(allocator, folder.path(), connect);
    assert!(
        meanwhile >= before + OWN + SLOTS,
        "{}: {meanwhile}",
        end.name
    );
    let error = loop {
        match consumer.receive(TICK) {
            Ok(received) => drop(received),
            Err(Error::Timeout { .. }) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Ended | Error::PeerGone), "{error}");
    trim();
    fds::open() - before
}

/// How many descriptors a waiting consumer has in OpenGL, in Vulkan and on the CPU.
fn each(allocator: &Allocator, pair: &Pair) -> [usize; 3] {
    let (gl, vk, usage) = (&pair.gl, &pair.vk, Usage::SAMPLE);
    let cpu = open(allocator);
    // Makes OpenGL let go of what a consumer before left: it would hide what this one leaves.
    let own = OURS.frame(&Allocator::HostMemory, Extent::new(8, 8), Format::XRGB8888);
    let _texture = gl.import(&own).expect("a texture");
    let opengl = End {
        name: "OpenGL",
        offer: &pair.consumer(),
        usage,
    };
    let vulkan = End {
        name: "Vulkan",
        offer: &vk.offer(usage).expect("an offer"),
        usage,
    };
    let plain = End {
        name: "the CPU",
        offer: &offer(allocator, usage),
        usage,
    };
    let trim = || gl.trim().expect("its context is current");
    let nothing = || {};
    let (into_gl, into_vk) = (
        |frame: &Frame| gl.import(frame),
        |frame: &Frame| vk.import(frame, usage),
    );
    [
        waiting(allocator, &opengl, into_gl, trim),
        waiting(allocator, &vulkan, into_vk, nothing),
        waiting(
            allocator,
            &plain,
            |frame: &Frame| cpu.import(frame),
            nothing,
        ),
    ]
}

#[test]
fn descriptors_of_a_waiting_consumer_are_its_own_alone() {
    let _alone = fds::alone();
    let pair = Pair::open();
    for allocator in [Allocator::HostMemory, Allocator::Udmabuf] {
        if !can(&allocator, &pair.consumer()) {
            continue;
        }
        // Drivers open some things at their first use only.
        for round in 0..2 {
            let held = each(&allocator, &pair);
            if round > 0 {
                assert_eq!(held, [OWN; 3], "{allocator:?}");
            }
        }
    }
    pair.assert_valid();
}
