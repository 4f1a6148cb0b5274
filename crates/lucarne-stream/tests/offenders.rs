//! Consumers that keep every slot until they are cut off, and come back: the honest one beside them gets 19 of 20 frames.
//!
//! Each offender is a process. Producer and honest consumer go in step, in one thread, so that a frame is missed for want of
//! a slot and for nothing else.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lucarne_stream::wire::{FenceFor, Message};
use lucarne_stream::{Delivery, Error, ProducerOptions};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "common/raw.rs"]
mod raw;
use common::*;
use raw::{Raw, Ring};

const FOLDER: &str = "LUCARNE_TEST_OFFENDERS";
const WAY: &str = "LUCARNE_TEST_OFFENDERS_WAY";
const OFFENDERS: usize = 8;
const PATIENCE: Duration = Duration::from_millis(50);
/// How long a frame may wait for its slot, and after how long the next one comes.
const TICK: Duration = Duration::from_millis(4);
/// Ticks until the count: a hundred times the patience.
const TICKS: usize = 1250;

/// What an offender does once it gets frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    TakesNothing,
    TakesOneAndKeepsIt,
    GivesOneBack,
    /// It gives every frame back, with a fence that never signals.
    NeverIsDone,
    /// It is gone before its time is over.
    Leaves,
}

const WAYS: [Way; 5] = [
    Way::TakesNothing,
    Way::TakesOneAndKeepsIt,
    Way::GivesOneBack,
    Way::NeverIsDone,
    Way::Leaves,
];

/// One visit to the stream. It ends when the producer hangs up, or before.
fn offend(folder: &Path, way: Way) {
    let raw = Raw::connect(folder);
    raw.hello(match way {
        Way::TakesOneAndKeepsIt => Delivery::Latest,
        _ => Delivery::Every,
    });
    let mut ring: Option<(u64, Ring)> = None;
    let never = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC);
    let never = never.expect("an eventfd");
    let mut taken = 0;
    let mut first: Option<Instant> = None;
    loop {
        match raw.hear() {
            Ok(Some((Message::Configure(configure), fds))) => {
                ring = Some((configure.generation, Ring::of_configure(fds)));
                raw.say(&Message::Ready(configure.generation));
            }
            Ok(Some(_)) => {}
            Ok(None) => std::thread::sleep(Duration::from_micros(500)),
            Err(()) => return,
        }
        let Some((generation, ring)) = &ring else {
            continue;
        };
        let Some((slot, sequence)) = ring.published() else {
            continue;
        };
        let begun = *first.get_or_insert_with(Instant::now);
        match way {
            Way::TakesNothing => {}
            Way::Leaves if begun.elapsed() > PATIENCE * 4 / 5 => return,
            Way::Leaves => {}
            Way::TakesOneAndKeepsIt if taken == 0 => {
                ring.set(64 + 8 * slot, sequence << 4 | 2);
                taken += 1;
            }
            Way::GivesOneBack if taken == 0 => {
                ring.set(64 + 8 * slot, sequence << 4 | 3);
                taken += 1;
            }
            Way::NeverIsDone => give_back(&raw, ring, &never, *generation, (slot, sequence)),
            Way::TakesOneAndKeepsIt | Way::GivesOneBack => {}
        }
    }
}

fn give_back(raw: &Raw, ring: &Ring, fence: &OwnedFd, generation: u64, frame: (usize, u64)) {
    let (slot, sequence) = frame;
    let message = Message::Fence(FenceFor {
        generation,
        sequence,
        slot,
    });
    if raw.send(&message.encode().expect("a message"), &[fence.as_fd()]) {
        ring.set(64 + 8 * slot, sequence << 4 | 4);
    }
}

/// The other process: it comes back until its input ends.
#[test]
fn offender() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let way = std::env::var(WAY).expect("a way");
    let way = WAYS.into_iter().find(|known| format!("{known:?}") == way);
    let way = way.expect("a way that is known");
    let comes_back = std::env::var_os("LUCARNE_TEST_OFFENDERS_ONCE").is_none();
    std::thread::spawn(|| {
        let _ = std::io::read_to_string(std::io::stdin());
        std::process::exit(0);
    });
    loop {
        offend(Path::new(&folder), way);
        if !comes_back {
            return;
        }
    }
}

fn start(folder: &Path, way: Way, comes_back: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command
        .args(["--exact", "offender", "--nocapture"])
        .env(FOLDER, folder)
        .env(WAY, format!("{way:?}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !comes_back {
        command.env("LUCARNE_TEST_OFFENDERS_ONCE", "1");
    }
    command.spawn().expect("another process")
}

/// How many of the ticks' frames the honest consumer gets, beside offenders that come back as the same processes or as
/// others each time.
fn frames_beside(way: Way, same: bool) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let options = ProducerOptions::new(EXTENT).patience(PATIENCE);
    let mut producer = producer(folder.path(), options);
    let mut honest = consumer(folder.path(), Delivery::Every);
    join(&mut producer, &mut honest);
    let mut offenders: Vec<Child> = (0..OFFENDERS)
        .map(|_| start(folder.path(), way, same))
        .collect();
    let mut frame = 0;
    let mut cut_off = 0;
    for _ in 0..TICKS {
        let begun = Instant::now();
        producer.dispatch().expect("served");
        match producer.acquire(TICK) {
            Ok(slot) => {
                let now = lucarne_stream::now();
                let fence = lucarne::Fence::Signaled;
                producer.send(slot, fence, now).expect("sent");
                let received = honest.receive(SOON).expect("a frame");
                assert_eq!(received.dropped(), 0);
                drop(received);
                frame += 1;
            }
            Err(Error::Timeout { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        for child in &mut offenders {
            if child.try_wait().expect("its state").is_some() {
                *child = start(folder.path(), way, same);
            }
        }
        while let Some(event) = producer.event() {
            cut_off += usize::from(matches!(event, lucarne_stream::ProducerEvent::Left { .. }));
        }
        std::thread::sleep(TICK.saturating_sub(begun.elapsed()));
    }
    for child in &mut offenders {
        drop(child.stdin.take());
        child.wait().expect("its end");
    }
    eprintln!("{way:?}, same {same}: {frame} of {TICKS} frames, {cut_off} left");
    assert!(cut_off > OFFENDERS, "{cut_off} offences are no attack");
    frame
}

fn keeps_its_frames(way: Way, same: bool) {
    if std::env::var_os(FOLDER).is_some() {
        return;
    }
    let frames = frames_beside(way, same);
    assert!(20 * frames >= 19 * TICKS, "{frames} of {TICKS} frames");
}

#[test]
fn those_that_take_nothing() {
    keeps_its_frames(Way::TakesNothing, true);
}

#[test]
fn those_that_take_nothing_as_another_process_each_time() {
    keeps_its_frames(Way::TakesNothing, false);
}

#[test]
fn those_that_take_one_frame_as_another_process_each_time() {
    keeps_its_frames(Way::TakesOneAndKeepsIt, false);
}

#[test]
fn those_that_give_one_frame_back_as_another_process_each_time() {
    keeps_its_frames(Way::GivesOneBack, false);
}

#[test]
fn those_that_are_never_done() {
    keeps_its_frames(Way::NeverIsDone, true);
}

#[test]
fn those_that_leave_before_they_are_cut_off() {
    keeps_its_frames(Way::Leaves, true);
}
