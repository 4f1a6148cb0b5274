//! Producers that mean harm to a consumer: it hangs up with a reason, keeps what it holds, and leaks nothing.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use lucarne::{Rung, Usage, kernel::Memfd};
use lucarne_stream::Error;
use lucarne_stream::wire::{Configure, FenceFor, Message};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "common/raw.rs"]
mod raw;
#[path = "common/stage.rs"]
mod stage;
use common::*;
use raw::Ring;
use stage::*;

#[test]
fn messages_that_are_none() {
    let _alone = alone();
    let stage = Stage::new();
    let before = open_descriptors();
    let memfd = Memfd::create("surplus", 4096).expect("a memfd");
    let cases: [(&str, Vec<u8>, usize, &str); 6] = [
        ("noise", vec![0x5a; 100], 0, "header.reserved"),
        ("too long", vec![0; 65_544], 0, "length"),
        (
            "a descriptor",
            Message::Pause.encode().expect("a message"),
            1,
            "descriptors",
        ),
        (
            "many",
            Message::Pause.encode().expect("a message"),
            253,
            "cut off",
        ),
        (
            "a consumer's",
            Message::Ready(1).encode().expect("a message"),
            0,
            "Ready",
        ),
        (
            "a lone fence",
            Message::Retire(1).encode().expect("a message"),
            1,
            "descriptors",
        ),
    ];
    for (case, bytes, count, field) in cases {
        let (raw, mut consumer) = stage.connect();
        assert!(raw.send(&bytes, &vec![memfd.as_fd(); count]), "{case}");
        let error = ends(&raw, &mut consumer).to_string();
        assert!(error.contains(field), "{case}: {error}");
    }
    drop(memfd);
    assert_eq!(open_descriptors(), before);
}

#[test]
fn memory_that_cannot_be() {
    let _alone = alone();
    let stage = Stage::new();
    let before = open_descriptors();
    offer_bad_memory(&stage);
    assert_eq!(open_descriptors(), before);
}

fn offer_bad_memory(stage: &Stage) {
    let good = memory(2);
    let flags = rustix::fs::MemfdFlags::ALLOW_SEALING | rustix::fs::MemfdFlags::CLOEXEC;
    let unsealed = rustix::fs::memfd_create("frame", flags).expect("a memfd");
    rustix::fs::ftruncate(&unsealed, 1 << 16).expect("a size");
    let small = Memfd::create("small", 4095).expect("a memfd");
    let large = Memfd::create("large", 8192).expect("a memfd");
    let zeros = Memfd::create("zeros", 4096).expect("a memfd");
    let (pipe, _end) = rustix::pipe::pipe().expect("a pipe");
    let (page, _ring) = ring(1, 2);
    let (other, _ring) = ring(2, 2);
    let (page, other) = (page.as_fd(), other.as_fd());
    let (one, two) = (good[0].as_fd(), good[1].as_fd());
    let cases: [(&str, Vec<BorrowedFd<'_>>, &str); 9] = [
        ("a frame too small", vec![page, one, small.as_fd()], "plane"),
        (
            "a frame that may shrink",
            vec![page, one, unsealed.as_fd()],
            "shrink",
        ),
        (
            "a frame that is a pipe",
            vec![page, one, pipe.as_fd()],
            "pipe",
        ),
        (
            "a ring that may shrink",
            vec![unsealed.as_fd(), one, two],
            "shrink",
        ),
        (
            "a ring too large",
            vec![large.as_fd(), one, two],
            "4096 bytes",
        ),
        ("a ring of zeros", vec![zeros.as_fd(), one, two], "magic"),
        (
            "another generation's ring",
            vec![other, one, two],
            "generation",
        ),
        ("too few", vec![page, one], "descriptors"),
        ("too many", vec![page, one, two, two], "descriptors"),
    ];
    for (case, fds, field) in cases {
        let (raw, mut consumer) = stage.connect();
        assert!(raw.send(&bytes(configure(1, 2)), &fds), "{case}");
        let error = ends(&raw, &mut consumer).to_string();
        assert!(error.contains(field), "{case}: {error}");
    }
    // Nothing is imported of a generation that is not newer, or of too many.
    let (raw, mut consumer) = stage.connect();
    let _ring = settle(&raw, &mut consumer, 5);
    let (page, _) = ring(5, 2);
    assert!(raw.send(&bytes(configure(5, 2)), &[page.as_fd(), one, two]));
    let error = ends(&raw, &mut consumer).to_string();
    assert!(error.contains("configure.generation"), "{error}");
}

#[test]
fn generations_without_end() {
    let _alone = alone();
    let stage = Stage::new();
    // Those that never came into use are given up, however many there are.
    let (raw, mut consumer) = stage.connect();
    let _first = settle(&raw, &mut consumer, 1);
    let _second = settle(&raw, &mut consumer, 2);
    let before = open_descriptors().len();
    for generation in 3..40 {
        drop(settle(&raw, &mut consumer, generation));
    }
    assert_eq!(open_descriptors().len(), before);
    // Those that frames are held of cannot be.
    let (raw, mut consumer) = stage.connect();
    let mut held = Vec::new();
    for generation in 1..=8 {
        let ring = settle(&raw, &mut consumer, generation);
        ring.set(64, generation << 4 | 1);
        ring.set(24, generation);
        held.push(consumer.receive(SOON).expect("a frame"));
        assert!(raw.say(&Message::Retire(generation)));
    }
    let (page, _) = ring(9, 2);
    let slots = memory(2);
    let (one, two) = (slots[0].as_fd(), slots[1].as_fd());
    assert!(raw.send(&bytes(configure(9, 2)), &[page.as_fd(), one, two]));
    let error = ends(&raw, &mut consumer).to_string();
    assert!(error.contains("Retire"), "{error}");
    assert!(held.into_iter().all(|received| finish(received) == 0));
}

#[test]
fn what_was_never_offered() {
    let _alone = alone();
    let stage = Stage::new();
    type Change = (&'static str, fn(&mut Configure));
    let changes: [Change; 3] = [
        ("opaque memory", |one| one.rung = Rung::OpaqueFd),
        ("a tiled dma-buf", |one| {
            one.rung = Rung::TiledDmaBuf;
            let tiled = lucarne::Modifier::new(0x0100_0000_0000_0001).expect("a layout");
            for slot in &mut one.slots {
                slot.tiling = lucarne::Tiling::Explicit(tiled);
            }
        }),
        ("a use", |one| one.consumer_usage = Usage::STORAGE),
    ];
    for (case, change) in changes {
        let (raw, mut consumer) = stage.connect();
        let (page, _) = ring(1, 2);
        let slots = memory(2);
        let mut bad = configure(1, 2);
        change(&mut bad);
        if bad.rung == Rung::OpaqueFd {
            for slot in &mut bad.slots {
                slot.tiling = lucarne::Tiling::Implicit;
                slot.planes.clear();
                slot.allocation_bytes = 4096;
            }
        }
        let mut fds = vec![page.as_fd()];
        fds.extend(raw::of(&slots));
        assert!(raw.send(&bytes(bad), &fds), "{case}");
        let error = ends(&raw, &mut consumer).to_string();
        assert!(error.contains("this consumer offered"), "{case}: {error}");
    }
}

#[test]
fn words_that_cannot_be() {
    let _alone = alone();
    let stage = Stage::new();
    // The frame 3 in slot 1, and one word that is wrong.
    let publish = |ring: &Ring| {
        ring.set(64 + 8, 3 << 4 | 1);
        ring.set(24, 3);
    };
    let cases = [
        ("head is 0x1000000000000000, but must be below", 24, 1 << 60),
        ("state of slot 0", 64, 0xf),
        ("flags of slot 1", 66 + 8, 3),
        ("flags of slot 1", 66 + 8, 1 << 63),
        ("flags of slot 1", 66 + 8, 5 << 4 | 4),
    ];
    for (word, index, value) in cases {
        let (raw, mut consumer) = stage.connect();
        let ring = settle(&raw, &mut consumer, 1);
        publish(&ring);
        ring.set(index, value);
        let error = ends(&raw, &mut consumer);
        assert!(matches!(error, Error::Breach(_)), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    // Damage outside of the frame.
    let (raw, mut consumer) = stage.connect();
    let ring = settle(&raw, &mut consumer, 1);
    ring.set(66 + 8, 1 << 4 | 4);
    ring.set(68 + 8, u64::from(EXTENT.width));
    publish(&ring);
    let error = ends(&raw, &mut consumer).to_string();
    assert!(error.contains("damage"), "{error}");
    // A frame that names a fence, without one.
    let (raw, mut consumer) = stage.connect();
    let ring = settle(&raw, &mut consumer, 1);
    ring.set(66 + 8, 2);
    publish(&ring);
    let error = ends(&raw, &mut consumer).to_string();
    assert!(error.contains("Fence"), "{error}");
    // A head that goes back.
    let (raw, mut consumer) = stage.connect();
    let ring = settle(&raw, &mut consumer, 1);
    publish(&ring);
    finish(consumer.receive(SOON).expect("a frame"));
    ring.set(24, 2);
    let error = ends(&raw, &mut consumer).to_string();
    let expected = "head is 0x2, but must be no lower than the last frame's";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_fence_behind_many_generations_is_found() {
    let _alone = alone();
    let stage = Stage::new();
    let (raw, mut consumer) = stage.connect();
    // A consumer of Latest that is slow: each generation has a frame that it has not taken.
    let mut rings = Vec::new();
    for generation in 1..=8 {
        let ring = settle(&raw, &mut consumer, generation);
        ring.set(66, if generation == 8 { 2 } else { 0 });
        ring.set(64, generation << 4 | 1);
        ring.set(24, generation);
        if generation < 8 {
            assert!(raw.say(&Message::Retire(generation)));
        }
        rings.push(ring);
    }
    // The fence of the newest frame comes after the next generation has begun.
    let (page, _) = ring(9, 2);
    let slots = memory(2);
    let (one, two) = (slots[0].as_fd(), slots[1].as_fd());
    assert!(raw.send(&bytes(configure(9, 2)), &[page.as_fd(), one, two]));
    let signaled = rustix::event::eventfd(1, rustix::event::EventfdFlags::CLOEXEC);
    let signaled = signaled.expect("an eventfd");
    let fence = Message::Fence(FenceFor {
        generation: 8,
        sequence: 8,
        slot: 0,
    });
    let fence = fence.encode().expect("a message");
    assert!(raw.send(&fence, &[signaled.as_fd()]));
    let received = consumer.receive(SOON).expect("the newest frame");
    assert_eq!(received.sequence(), 8);
    drop(received);
    let mut heard = Vec::new();
    until("the newest generation is there", || {
        consumer.dispatch().expect("nothing is wrong");
        heard.extend(raw.hear().expect("it is there"));
        heard
            .iter()
            .any(|(message, _)| *message == Message::Ready(9))
    });
    // It kept as many as it may.
    assert!(
        heard
            .iter()
            .any(|(message, _)| *message == Message::Drained(1))
    );
}

#[test]
fn what_is_held_outlives_the_breach() {
    let _alone = alone();
    let stage = Stage::new();
    let (raw, mut consumer) = stage.connect();
    let ring = settle(&raw, &mut consumer, 1);
    ring.set(64, 1 << 4 | 1);
    ring.set(24, 1);
    let held = consumer.receive(SOON).expect("a frame");
    assert!(raw.send(&[7; 40], &[]));
    ends(&raw, &mut consumer);
    assert_eq!(finish(held), 0, "zeros, as the memory was made");
}

#[test]
fn floods_of_messages_and_of_fences() {
    let _alone = alone();
    let stage = Stage::new();
    let (raw, mut consumer) = stage.connect();
    let _ring = settle(&raw, &mut consumer, 1);
    let before = open_descriptors().len();
    let signaled = rustix::event::eventfd(1, rustix::event::EventfdFlags::CLOEXEC);
    let signaled = signaled.expect("an eventfd");
    for sequence in 1..500 {
        let fence = Message::Fence(FenceFor {
            generation: 1,
            sequence,
            slot: 0,
        });
        let fence = fence.encode().expect("a message");
        while !raw.send(&fence, &[signaled.as_fd()]) {
            consumer.dispatch().expect("nothing is wrong");
        }
        assert!(raw.say(&Message::Wake) || sequence > 1);
        consumer.dispatch().expect("nothing is wrong");
    }
    until("the rest is read", || {
        consumer.dispatch().expect("nothing is wrong");
        open_descriptors().len() <= before + 1 + 32
    });
    let error = consumer
        .receive(Duration::from_millis(50))
        .expect_err("no frame");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}

#[test]
fn a_producer_that_says_nothing() {
    let _alone = alone();
    let stage = Stage::new();
    let (_raw, mut consumer) = stage.connect();
    let error = consumer
        .receive(Duration::from_millis(50))
        .expect_err("nothing comes");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}

#[test]
fn a_slot_that_is_held_is_not_handed_out_again() {
    let _alone = alone();
    let stage = Stage::new();
    let (raw, mut consumer) = stage.connect();
    let ring = settle(&raw, &mut consumer, 1);
    ring.set(64, 1 << 4 | 1);
    ring.set(24, 1);
    let held = consumer.receive(SOON).expect("a frame");
    // Published again, before it was released.
    ring.set(64, 2 << 4 | 1);
    ring.set(24, 2);
    let error = ends(&raw, &mut consumer);
    assert!(matches!(error, Error::Breach(_)), "{error}");
    assert!(error.to_string().contains("released"), "{error}");
    assert_eq!(finish(held), 0);
}
