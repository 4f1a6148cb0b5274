//! Consumers that mean harm to a producer: each is shown the door with a reason, and the honest consumer beside it misses
//! nothing.

use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use lucarne::negotiate::{Strike, StrikeReason};
use lucarne::{Fence, kernel::Memfd};
use lucarne_stream::wire::{FarewellReason, FenceFor, ImportFailed, Message};
use lucarne_stream::{Delivery, ProducerOptions};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "common/raw.rs"]
mod raw;
#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "common/scene.rs"]
mod scene;
use common::*;
use raw::Raw;
use scene::{scene, scene_with};

#[test]
fn first_messages_that_are_none() {
    let _alone = alone();
    let mut scene = scene();
    let before = open_descriptors();
    let memfd = Memfd::create("surplus", 4096).expect("a memfd");
    let hello = |change: fn(&mut Vec<u8>)| {
        let mut bytes = Message::Describe(1, 1).encode().expect("a message");
        change(&mut bytes);
        bytes
    };
    let cases: [(&str, Vec<u8>, usize, &str); 8] = [
        ("one byte", vec![7], 0, "kind"),
        ("noise", vec![0x5a; 4000], 0, "header.reserved"),
        ("zeros", vec![0; 64], 0, "length"),
        ("too long", vec![0; 65_544], 0, "length"),
        ("a descriptor", hello(|_| ()), 1, "descriptors"),
        ("many", hello(|_| ()), 253, "cut off"),
        ("no magic", hello(|bytes| bytes[16] = 0), 0, "magic"),
        ("no version", hello(|bytes| bytes[24] = 0), 0, "versions"),
    ];
    for (case, bytes, count, field) in cases {
        let raw = scene.connect();
        let fds = vec![memfd.as_fd(); count];
        assert!(raw.send(&bytes, &fds), "{case}");
        let (reason, text) = scene.reason(&raw);
        assert_eq!(reason, FarewellReason::Protocol, "{case}: {text}");
        assert!(text.contains(field), "{case}: {text}");
    }
    for message in [
        Message::Ready(1),
        Message::Wake,
        Message::Drained(1),
        Message::Pause,
    ] {
        let raw = scene.connect();
        assert!(raw.say(&message));
        let (reason, text) = scene.reason(&raw);
        assert_eq!(reason, FarewellReason::Protocol, "{text}");
    }
    drop(memfd);
    let after = open_descriptors();
    assert_eq!(after, before);
}

#[test]
fn a_version_of_tomorrow_is_told_what_would_do() {
    let _alone = alone();
    let mut scene = scene();
    let raw = scene.connect();
    assert!(raw.say(&Message::Describe(3, 9)));
    let (reason, text) = scene.reason(&raw);
    assert_eq!(reason, FarewellReason::Version, "{text}");
}

#[test]
fn silence_and_hanging_up_cost_nothing() {
    let _alone = alone();
    let mut scene = scene();
    let before = open_descriptors();
    let silent = scene.connect();
    let (reason, text) = scene.reason(&silent);
    assert_eq!(reason, FarewellReason::TooSlow, "{text}");
    drop(silent);
    // Says hello and never answers.
    let mute = scene.connect();
    mute.hello(Delivery::Every);
    let (_, ring) = mute.configure(|| scene.serve());
    let (reason, text) = scene.reason(&mute);
    assert_eq!(reason, FarewellReason::TooSlow, "{text}");
    drop((mute, ring));
    for _ in 0..200 {
        let raw = scene.connect();
        raw.hello(Delivery::Latest);
        drop(raw);
        scene.producer.dispatch().expect("served");
    }
    scene.serve();
    until("all are gone", || {
        scene.serve();
        open_descriptors() == before
    });
}

#[test]
fn a_crowd_is_turned_away() {
    let _alone = alone();
    // Nobody of it is cut off meanwhile: that would make room for another one.
    let mut scene = scene_with(ProducerOptions::new(EXTENT).patience(2 * SOON));
    let crowd: Vec<Raw> = (0..100).map(|_| scene.connect()).collect();
    for raw in &crowd {
        raw.hello(Delivery::Latest);
    }
    // 64 may watch; the honest one is among them.
    let mut refused = 0;
    let mut configured = 0;
    let begun = Instant::now();
    while refused + configured < crowd.len() && begun.elapsed() < SOON {
        scene.serve();
        for raw in &crowd {
            match raw.hear() {
                Ok(Some((Message::Refused(farewell), _)))
                    if farewell.reason == FarewellReason::Full =>
                {
                    refused += 1;
                }
                Ok(Some((Message::Configure(_), _))) => configured += 1,
                _ => {}
            }
        }
    }
    assert_eq!((configured, refused), (63, 37));
}

#[test]
fn a_flood_does_not_drown_the_others() {
    let _alone = alone();
    let mut scene = scene();
    let (raw, _ring, _) = scene.let_in(Delivery::Latest);
    for _ in 0..50 {
        while raw.say(&Message::Wake) {}
        scene.serve();
    }
    for _ in 0..50 {
        while raw.say(&Message::Drained(1)) {}
        scene.serve();
    }
}

/// What lies unread in a socket keeps nothing open once its sender has gone.
#[test]
fn a_flood_of_wakes_goes_with_its_sender() {
    let _alone = alone();
    let mut scene = scene();
    let before = open_descriptors();
    let (raw, ring, _) = scene.let_in(Delivery::Latest);
    while raw.say(&Message::Wake) {}
    drop((raw, ring));
    scene.serve();
    assert_eq!(open_descriptors(), before);
}

#[test]
fn words_that_cannot_be() {
    let _alone = alone();
    let mut scene = scene();
    for state in [0, 7 << 4 | 2, u64::MAX, 0x1f] {
        let (raw, ring, _) = scene.let_in(Delivery::Every);
        let (slot, _) = ring.published().expect("a frame that nobody took");
        ring.set(64 + 8 * slot, state);
        let (reason, text) = scene.reason(&raw);
        assert_eq!(reason, FarewellReason::Protocol, "{text}");
        assert!(text.contains("state"), "{text}");
    }
    // What only hurts the one who does it: every word of its ring, over and over.
    let (raw, ring, _) = scene.let_in(Delivery::Latest);
    for round in 0..512_u64 {
        let word = usize::try_from(round).expect("small");
        if !(64..104).contains(&word) {
            ring.set(word, round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        if round % 16 == 0 {
            scene.serve();
        }
    }
    drop(raw);
    scene.serve();
}

#[test]
fn fences_that_were_not_asked_for() {
    let _alone = alone();
    let mut scene = scene();
    // A release that names a fence, without one.
    let (raw, ring, _) = scene.let_in(Delivery::Every);
    let (slot, sequence) = ring.published().expect("a frame");
    ring.set(64 + 8 * slot, sequence << 4 | 4);
    let (reason, text) = scene.reason(&raw);
    assert_eq!(reason, FarewellReason::Protocol, "{text}");
    assert!(text.contains("Fence"), "{text}");
    // The same fence twice.
    let (raw, ring, generation) = scene.let_in(Delivery::Every);
    let (slot, sequence) = ring.published().expect("a frame");
    let fence = Message::Fence(FenceFor {
        generation,
        sequence,
        slot,
    });
    let bytes = fence.encode().expect("a message");
    let signaled = rustix::event::eventfd(1, rustix::event::EventfdFlags::CLOEXEC);
    let signaled = signaled.expect("an eventfd");
    assert!(raw.send(&bytes, &[signaled.as_fd()]));
    assert!(raw.send(&bytes, &[signaled.as_fd()]));
    let (reason, text) = scene.reason(&raw);
    assert_eq!(reason, FarewellReason::Protocol, "{text}");
    // One that never signals gates the slot, and the next writer's wait has a deadline; here it is closed with its sender.
    let (raw, ring, generation) = scene.let_in(Delivery::Every);
    let (slot, sequence) = ring.published().expect("a frame");
    let never = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC);
    let never = never.expect("an eventfd");
    let fence = Message::Fence(FenceFor {
        generation,
        sequence,
        slot,
    });
    assert!(raw.send(&fence.encode().expect("a message"), &[never.as_fd()]));
    drop(raw);
    for _ in 0..10 {
        scene.serve();
    }
}

#[test]
fn imports_that_always_fail_end_in_a_refusal() {
    let _alone = alone();
    let mut scene = scene();
    let raw = scene.connect();
    raw.hello(Delivery::Latest);
    let mut rounds = 0;
    let begun = Instant::now();
    let farewell = loop {
        assert!(begun.elapsed() < SOON, "no end after {rounds} rounds");
        scene.serve();
        match raw.hear() {
            Ok(Some((Message::Configure(configure), _))) => {
                rounds += 1;
                let strike = Strike {
                    path: configure.rung.path(),
                    format: Some(configure.format),
                    modifier: None,
                    reason: StrikeReason::ImportFailed("does not want to".to_owned()),
                };
                let generation = configure.generation;
                let failed = ImportFailed { generation, strike };
                assert!(raw.say(&Message::ImportFailed(failed)));
            }
            Ok(Some((Message::Refused(farewell) | Message::Goodbye(farewell), _))) => {
                break farewell;
            }
            Ok(_) => {}
            Err(()) => panic!("it hung up without a reason"),
        }
    };
    // One for each format of the request.
    assert!((1..=16).contains(&rounds), "{rounds}");
    assert_eq!(
        farewell.reason,
        FarewellReason::Incompatible,
        "{}",
        farewell.text
    );
    assert!(
        farewell.text.contains("does not want to"),
        "{}",
        farewell.text
    );
    scene.serve();
    // The honest one noticed nothing: it was configured once.
    let events = std::iter::from_fn(|| scene.honest.event()).count();
    assert_eq!(events, 1);
}

/// Newcomers that greet and never answer, one after the other, while `served` is served.
fn silent_newcomers(folder: &Path, patience: Duration, mut served: impl FnMut() -> bool) {
    let begun = Instant::now();
    let mut newcomers = Vec::new();
    while !served() {
        assert!(begun.elapsed() < 20 * patience, "nothing happens any more");
        // Several within the time that each of them has.
        let due = begun.elapsed().as_micros() * 4 / patience.as_micros();
        if newcomers.len() as u128 <= due {
            let newcomer = Raw::connect(folder);
            newcomer.hello(Delivery::Latest);
            newcomers.push(newcomer);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn newcomers_that_never_answer_hold_up_nobody_for_long() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let patience = scaled(100);
    let options = ProducerOptions::new(EXTENT).patience(patience);
    let mut producer = producer(folder.path(), options);
    let first = Raw::connect(folder.path());
    first.hello(Delivery::Latest);
    let mut honest = consumer(folder.path(), Delivery::Latest);
    // The first generation, and another one.
    for extent in [EXTENT, lucarne::Extent::new(32, 8)] {
        producer
            .reconfigure(lucarne::Request::new(extent))
            .expect("a size");
        silent_newcomers(folder.path(), patience, || {
            producer.dispatch().expect("served");
            let slot = producer.try_acquire().expect("no error");
            if let Some(slot) = slot {
                let now = lucarne_stream::now();
                producer.send(slot, Fence::Signaled, now).expect("sent");
            }
            let received = honest.try_receive().expect("no error");
            received.is_some_and(|received| received.frame().layout().extent() == extent)
        });
    }
}
