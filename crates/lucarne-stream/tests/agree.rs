//! Agreeing across the socket: imports that fail, offers that are narrower, and fences that have not signalled.

use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use lucarne::{
    Agreement, Fence, Format, Frame, MemoryPath, Modifier, Offer, Request, Requirement, Rung,
    Support, Usage, kernel::SyncFile,
};
use lucarne_stream::wire::FarewellReason;
use lucarne_stream::{
    Consumer, ConsumerEvent, ConsumerOptions, Delivery, Error, Producer, ProducerEvent,
    ProducerOptions,
};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

/// What a producer offers that has dma-bufs: sealed memfds stand in for them.
fn offer_of_dma_bufs() -> Offer {
    let mut offer = offer(Usage::RENDER);
    for entry in &mut offer.entries {
        entry.exportable = true;
    }
    offer
}

fn producer_of_dma_bufs(folder: &Path, options: ProducerOptions) -> Producer<Allocator> {
    let options = options.directory(folder);
    let offer = offer_of_dma_bufs();
    Producer::bind("scene", &offer, options, stand_in as Allocator).expect("the name is free")
}

type Allocator = fn(&Agreement) -> lucarne::Result<(Image, Frame)>;

fn stand_in(agreement: &Agreement) -> lucarne::Result<(Image, Frame)> {
    use lucarne::{
        FrameLayout, Memory,
        kernel::{DmaBuf, Memfd},
    };
    if agreement.path() != MemoryPath::DmaBuf {
        let image = device().export(agreement)?;
        let frame = image.frame().clone();
        return Ok((image, frame));
    }
    let (layout, size) = FrameLayout::linear(agreement.extent, agreement.format)?;
    let memfd = Memfd::create("stand-in", size)?;
    let fd = memfd.as_fd().try_clone_to_owned().expect("a descriptor");
    let memory = Memory::DmaBuf(vec![DmaBuf::new(fd)?]);
    let frame = Frame::new(layout, memory, device().id())?;
    Ok((device().import(&frame)?, frame))
}

/// Imports what is not among `refused`.
fn picky(refused: MemoryPath) -> impl FnMut(&Frame) -> lucarne::Result<Image> {
    move |frame| {
        if frame.memory().path() == refused {
            return Support::no(Requirement::other("another driver"))
                .require("importing it")
                .map(|()| unreachable!("a no"));
        }
        device().import(frame)
    }
}

fn rungs(events: impl Iterator<Item = ProducerEvent>) -> Vec<Rung> {
    let rung = |event| match event {
        ProducerEvent::Generation { rung, .. } => Some(rung),
        _ => None,
    };
    events.filter_map(rung).collect()
}

#[test]
fn an_import_that_fails_takes_everybody_one_rung_down_once() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let options = ProducerOptions::new(EXTENT).slots(4);
    let mut producer = producer_of_dma_bufs(folder.path(), options);
    let mut first = consumer(folder.path(), Delivery::Every);
    join(&mut producer, &mut first);
    send(&mut producer, 1);
    let received = first.receive(SOON).expect("a frame");
    assert_eq!(received.frame().memory().path(), MemoryPath::DmaBuf);
    assert_eq!(finish(received), 1);

    let options = ConsumerOptions::new(Delivery::Latest).directory(folder.path());
    let import = picky(MemoryPath::DmaBuf);
    let mut second =
        Consumer::connect("scene", &offer(Usage::SAMPLE), options, import).expect("there");
    let mut frame = 1;
    until("both are served", || {
        frame += 1;
        send(&mut producer, frame);
        let received = first.receive(SOON).expect("a frame");
        assert_eq!(received.dropped(), 0, "a move loses no frame");
        assert_eq!(finish(received), frame);
        second.dispatch().expect("served");
        producer.consumers() == 2
    });
    until("the second one's frame", || {
        frame += 1;
        send(&mut producer, frame);
        let received = first.receive(SOON).expect("a frame");
        assert_eq!(received.dropped(), 0, "a move loses no frame");
        assert_eq!(finish(received), frame);
        let received = second.try_receive().expect("no error");
        received.is_some_and(|received| {
            assert_eq!(received.frame().memory().path(), MemoryPath::HostMemory);
            finish(received) == frame
        })
    });
    let made = rungs(std::iter::from_fn(|| producer.event()));
    assert_eq!(made, [Rung::LinearDmaBuf, Rung::HostMemory]);
    // Why not the better rung is told on both sides.
    let mut told = std::iter::from_fn(|| first.event());
    let told = told.find_map(|event| match event {
        ConsumerEvent::Generation {
            rung: Rung::HostMemory,
            refused,
            ..
        } => Some(refused),
        _ => None,
    });
    let told = told.expect("the new generation");
    let linear = told.iter().find(|one| one.rung == Rung::LinearDmaBuf);
    let linear = linear.expect("refused").reason.to_string();
    assert!(linear.contains("another driver"), "{linear}");
}

/// `offer`, of a device that shares opaque memory too.
fn with_opaque_memory(mut offer: Offer) -> Offer {
    let host = offer
        .entries
        .iter()
        .find(|entry| entry.path == MemoryPath::HostMemory);
    let mut opaque = host.expect("the CPU has it").clone();
    opaque.path = MemoryPath::OpaqueFd;
    opaque.tiling = lucarne::Tiling::Implicit;
    (opaque.importable, opaque.exportable) = (true, true);
    offer.entries.push(opaque);
    for (path, support) in &mut offer.paths {
        if *path == MemoryPath::OpaqueFd {
            *support = Support::Yes(());
        }
    }
    offer
}

#[test]
fn a_consumer_hears_that_trust_would_do_better() {
    let _alone = alone();
    let makes = with_opaque_memory(offer(Usage::RENDER));
    let takes = with_opaque_memory(offer(Usage::SAMPLE));
    let makes_dma_bufs = with_opaque_memory(offer_of_dma_bufs());
    // Both have opaque memory, and the producer is not trusted; the consumer has none; it trusts, and the producer has
    // none; dma-bufs are better anyway.
    for (makes, takes, trusts, best, told) in [
        (&makes, &takes, false, Rung::HostMemory, true),
        (
            &makes,
            &offer(Usage::SAMPLE),
            false,
            Rung::HostMemory,
            false,
        ),
        (&offer(Usage::RENDER), &takes, true, Rung::HostMemory, false),
        (&makes_dma_bufs, &takes, false, Rung::LinearDmaBuf, false),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let options = ProducerOptions::new(EXTENT).directory(folder.path());
        let mut producer = Producer::bind("scene", makes, options, stand_in as Allocator)
            .expect("the name is free");
        let mut options = ConsumerOptions::new(Delivery::Latest).directory(folder.path());
        if trusts {
            options = options.trust_producer();
        }
        let import = |frame: &Frame| device().import(frame);
        let mut consumer = Consumer::connect("scene", takes, options, import).expect("there");
        let mut found = None;
        until("it is configured", || {
            producer.dispatch().expect("served");
            consumer.dispatch().expect("served");
            found = found.take().or_else(|| consumer.event());
            found.is_some()
        });
        let Some(ConsumerEvent::Generation {
            rung,
            refused,
            needs_trust,
            ..
        }) = found
        else {
            panic!("{found:?}");
        };
        assert_eq!(rung, best);
        let why = refused.iter().find(|one| one.rung == Rung::OpaqueFd);
        let why = why.map_or(String::new(), |one| one.reason.to_string());
        assert_eq!(why.is_empty(), best < Rung::OpaqueFd, "{why}");
        assert_eq!(why.contains("trust_producer"), told, "{why}");
        assert_eq!(needs_trust, told, "{why}");
    }
}

#[test]
fn narrower_newcomers_of_one_moment_share_one_generation() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer_of_dma_bufs(folder.path(), ProducerOptions::new(EXTENT).slots(8));
    let mut first = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut first);
    let mut narrow = offer(Usage::SAMPLE);
    narrow
        .entries
        .retain(|entry| entry.path == MemoryPath::HostMemory);
    let mut others: Vec<_> = (0..5)
        .map(|_| {
            let options = ConsumerOptions::new(Delivery::Latest).directory(folder.path());
            let import = |frame: &Frame| device().import(frame);
            Consumer::connect("scene", &narrow, options, import).expect("there")
        })
        .collect();
    until("all are there", || {
        producer.dispatch().expect("served");
        first.dispatch().expect("served");
        for other in &mut others {
            other.dispatch().expect("served");
        }
        producer.consumers() == 6
    });
    until("all get one frame", || send(&mut producer, 9) == 6);
    for other in &mut others {
        assert_eq!(finish(other.receive(SOON).expect("a frame")), 9);
    }
    let made = rungs(std::iter::from_fn(|| producer.event()));
    assert_eq!(made, [Rung::LinearDmaBuf, Rung::HostMemory]);
    // Without them the better rung comes back.
    drop(others);
    let mut made = Vec::new();
    until("the first has dma-bufs again", || {
        send(&mut producer, 10);
        made.extend(rungs(std::iter::from_fn(|| producer.event())));
        let received = first.try_receive().expect("no error");
        received.is_some_and(|received| {
            received.frame().memory().path() == MemoryPath::DmaBuf && finish(received) == 10
        })
    });
    assert_eq!(made, [Rung::LinearDmaBuf]);
}

#[test]
fn nothing_in_common_is_told_and_changes_nothing() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
    let mut first = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut first);
    let mut offer = offer(Usage::SAMPLE);
    offer.entries.retain(|entry| entry.format == Format::NV12);
    let options = ConsumerOptions::new(Delivery::Latest).directory(folder.path());
    let import = |frame: &Frame| device().import(frame);
    let mut second = Consumer::connect("scene", &offer, options, import).expect("there");
    let error = loop {
        producer.dispatch().expect("served");
        match second.try_receive() {
            Ok(received) => assert!(received.is_none()),
            Err(error) => break error,
        }
    };
    let Error::Refused(farewell) = error else {
        panic!("it was told: {error}");
    };
    assert_eq!(farewell.reason, FarewellReason::Incompatible);
    assert!(
        farewell.text.contains("does not list it"),
        "{}",
        farewell.text
    );
    assert_eq!(send(&mut producer, 3), 1);
    assert_eq!(finish(first.receive(SOON).expect("a frame")), 3);
}

#[test]
fn what_the_producer_cannot_make_after_all_is_not_tried_again() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut offer = offer(Usage::RENDER);
    for entry in &mut offer.entries {
        entry.exportable = true;
    }
    let mut tries = 0;
    let allocate = |agreement: &Agreement| {
        tries += 1;
        let image = device().export(agreement)?;
        let frame = image.frame().clone();
        Ok((image, frame))
    };
    let formats = [Format::XRGB8888, Format::ARGB8888];
    let request = Request::new(EXTENT).formats(&formats);
    let options = ProducerOptions::of(request).directory(folder.path());
    let mut producer = Producer::bind("scene", &offer, options, allocate).expect("free");
    let mut consumer = consumer(folder.path(), Delivery::Latest);
    until("the consumer is ready", || {
        producer.dispatch().expect("served");
        consumer.dispatch().expect("served");
        producer.consumers() == 1
    });
    let made = rungs(std::iter::from_fn(|| producer.event()));
    assert_eq!(made, [Rung::HostMemory]);
    drop(producer);
    // One try for each format in a dma-buf, and three images.
    assert_eq!(tries, 2 + 3);
}

/// An eventfd that stands in for a fence which has not signalled.
fn pending() -> (Fence, std::os::fd::OwnedFd) {
    let flags = rustix::event::EventfdFlags::CLOEXEC;
    let fd = rustix::event::eventfd(0, flags).expect("an eventfd");
    let ours = fd.try_clone().expect("a descriptor");
    (Fence::sync_file(SyncFile::stand_in(fd)), ours)
}

fn signal(fence: &std::os::fd::OwnedFd) {
    rustix::io::write(fence, &1_u64.to_ne_bytes()).expect("an eventfd");
}

#[test]
fn fences_that_have_not_signalled_travel_both_ways() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT).slots(2));
    let mut consumer = consumer(folder.path(), Delivery::Every);
    join(&mut producer, &mut consumer);
    let before = open_descriptors();
    for _ in 0..20 {
        let slot = producer.acquire(SOON).expect("a slot");
        assert!(slot.gate().is_signaled().expect("a fence"));
        let (drawn, draw) = pending();
        let sent = producer.send(slot, drawn, lucarne_stream::now());
        assert_eq!(sent.expect("sent"), 1);
        let received = consumer.receive(SOON).expect("a frame");
        let (reading, acquire) = received.acquire();
        assert!(
            !acquire.is_signaled().expect("a fence"),
            "it is not drawn yet"
        );
        signal(&draw);
        acquire.wait(SOON).expect("it is drawn");
        let (read, finish) = pending();
        reading.release(read).expect("released");
        // The other slot is free; this one is not before its reader is done.
        let other = producer.acquire(SOON).expect("a slot");
        let none = producer.try_acquire().expect("no error");
        assert!(none.is_none(), "it is not read yet");
        signal(&finish);
        // Waited for beside the sockets.
        let slot = producer.acquire(SOON).expect("a slot");
        assert!(slot.gate().is_signaled().expect("a fence"));
        drop((other, slot));
        for _ in 0..2 {
            let slot = producer.acquire(SOON).expect("a slot");
            producer
                .send(slot, Fence::Signaled, Duration::ZERO)
                .expect("sent");
            let received = consumer.receive(SOON).expect("a frame");
            received
                .acquire()
                .0
                .release(Fence::Signaled)
                .expect("released");
        }
    }
    producer.dispatch().expect("served");
    assert_eq!(open_descriptors(), before);
}

#[test]
fn a_release_fence_that_never_signals_costs_its_reader_the_stream_and_nobody_else() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let patience = scaled(200);
    let options = ProducerOptions::new(EXTENT).slots(2).patience(patience);
    let mut producer = producer(folder.path(), options);
    let mut liar = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut liar);
    let mut honest = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut honest);
    while producer.event().is_some() {}
    let slot = producer.acquire(SOON).expect("a slot");
    let sent = producer.send(slot, Fence::Signaled, lucarne_stream::now());
    assert_eq!(sent.expect("sent"), 2);
    let (never, _kept) = pending();
    let (read, finish_reading) = pending();
    for (consumer, fence) in [(&mut liar, never), (&mut honest, read)] {
        let received = consumer.receive(SOON).expect("a frame");
        received.acquire().0.release(fence).expect("released");
    }
    signal(&finish_reading);
    // Frames go on in the other slot, which nobody has to wait for.
    for number in 1..=3 {
        send(&mut producer, number);
        assert_eq!(finish(honest.receive(SOON).expect("a frame")), number);
        assert_eq!(finish(liar.receive(SOON).expect("a frame")), number);
    }
    let begun = Instant::now();
    let held = producer.acquire(SOON).expect("a slot");
    // Slept for until the fence's time is over.
    let slot = producer.acquire(SOON).expect("the other slot");
    assert!(begun.elapsed() < 2 * patience, "{:?}", begun.elapsed());
    drop((held, slot));
    send(&mut producer, 4);
    let left = std::iter::from_fn(|| producer.event()).find_map(|event| match event {
        ProducerEvent::Left { reason, .. } => Some(reason),
        _ => None,
    });
    let reason = left.expect("the liar is cut off");
    assert!(reason.contains("did not signal in time"), "{reason}");
    assert_eq!(producer.consumers(), 1);
    assert_eq!(finish(honest.receive(SOON).expect("a frame")), 4);
    let error = liar.receive(SOON).expect_err("it is cut off");
    assert!(error.to_string().contains("did not signal"), "{error}");
}

#[test]
fn fences_of_frames_that_nobody_took_are_closed() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
    let mut consumer = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut consumer);
    let before = open_descriptors().len();
    for _ in 0..20 {
        let slot = producer.acquire(SOON).expect("a slot");
        // The frame before was taken back, and gates the slot with the fence that it was sent with.
        let (drawn, draw) = pending();
        producer.send(slot, drawn, Duration::ZERO).expect("sent");
        signal(&draw);
    }
    let received = consumer.receive(SOON).expect("a frame");
    assert_eq!(received.sequence(), 20);
    let (reading, acquire) = received.acquire();
    acquire.wait(SOON).expect("it is drawn");
    drop(acquire);
    reading.release(Fence::Signaled).expect("released");
    // All slots come back, and their fences with them.
    let slots: Vec<_> = (0..3)
        .map(|_| producer.acquire(SOON).expect("a slot"))
        .collect();
    drop(slots);
    for _ in 0..3 {
        let slot = producer.acquire(SOON).expect("a slot");
        producer
            .send(slot, Fence::Signaled, Duration::ZERO)
            .expect("sent");
        let (reading, _) = consumer.receive(SOON).expect("a frame").acquire();
        reading.release(Fence::Signaled).expect("released");
    }
    assert!(producer.try_acquire().expect("no error").is_some());
    assert_eq!(open_descriptors().len(), before);
}

#[test]
fn modifiers_that_only_one_side_has_are_not_agreed_on() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer_of_dma_bufs(folder.path(), ProducerOptions::new(EXTENT));
    let mut offer = offer(Usage::SAMPLE);
    let tiled = Modifier::new(0x0100_0000_0000_0002).expect("a layout");
    for entry in &mut offer.entries {
        if entry.path == MemoryPath::DmaBuf {
            entry.tiling = lucarne::Tiling::Explicit(tiled);
        }
    }
    let options = ConsumerOptions::new(Delivery::Latest).directory(folder.path());
    let import = |frame: &Frame| device().import(frame);
    let mut consumer = Consumer::connect("scene", &offer, options, import).expect("there");
    until("the consumer is ready", || {
        producer.dispatch().expect("served");
        consumer.dispatch().expect("served");
        producer.consumers() == 1
    });
    let made = rungs(std::iter::from_fn(|| producer.event()));
    assert_eq!(made, [Rung::HostMemory]);
}

/// No consumer is to blame for what the program made, so none is sent it.
#[test]
fn what_is_made_otherwise_than_agreed_reaches_nobody() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let options = ProducerOptions::new(EXTENT).directory(folder.path());
    let smaller = |agreement: &Agreement| -> lucarne::Result<(Image, Frame)> {
        let mut other = agreement.clone();
        other.extent = lucarne::Extent::new(8, 8);
        let image = device().export(&other)?;
        let frame = image.frame().clone();
        Ok((image, frame))
    };
    let made = Producer::bind("scene", &offer(Usage::RENDER), options, smaller);
    let mut producer = made.expect("the name is free");
    let mut consumer = consumer(folder.path(), Delivery::Latest);
    let mut end = None;
    until("the consumer is refused", || {
        producer.dispatch().expect("served");
        end = consumer.try_receive().err();
        end.is_some()
    });
    let is_told = |farewell: &lucarne_stream::wire::Farewell| {
        farewell.reason == FarewellReason::Incompatible
            && farewell
                .text
                .contains("the frame that the program allocated is 8x8")
    };
    assert!(
        matches!(&end, Some(Error::Refused(farewell)) if is_told(farewell)),
        "{end:?}"
    );
}
