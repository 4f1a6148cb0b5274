//! What a producer sends, and why the consumer hangs up.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use lucarne::{Format, Frame, Usage};
use lucarne_stream::wire::{Configure, Farewell, FarewellReason, FenceFor, Message};
use lucarne_stream::{Consumer, ConsumerOptions, Delivery, Error};
use rustix::fs::{Mode, OFlags, SealFlags};

use super::common::*;
use super::raw::{self, Raw};
use super::stage::{Stage, bytes, configure, memory, ring, settle};
use super::{eventfd, memfd};

fn read_only() -> OwnedFd {
    let fd = memfd(4096, SealFlags::SHRINK);
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).expect("ours")
}

/// What a producer does.
enum Deed {
    /// Sends a Configure of two slots, with something changed.
    Layout(fn(&mut Configure)),
    /// The same, with bytes changed that the encoder would not say.
    Bytes(fn(&mut [u8])),
    /// The same, with something else in the ring's place.
    Ring(fn() -> OwnedFd),
    /// The same, with something else in the last slot's place.
    Memory(fn() -> OwnedFd),
    /// Writes words of the ring after Ready, in steps: the consumer takes a frame after each but the last.
    Words(&'static [&'static [(usize, u64)]]),
    /// Sends Fences after Ready, as generation, sequence number and slot.
    Fences(&'static [(u64, u64, usize)]),
    /// Sends a message after Ready.
    Says(fn() -> Message),
}

impl Deed {
    fn perform(&self, raw: &Raw, consumer: &mut Theirs) {
        match self {
            Self::Layout(_) | Self::Bytes(_) | Self::Ring(_) | Self::Memory(_) => {
                self.configure(raw);
            }
            Self::Words(steps) => {
                let ring = settle(raw, consumer, 1);
                for (index, step) in steps.iter().enumerate() {
                    step.iter()
                        .for_each(|(word, value)| ring.set(*word, *value));
                    if index + 1 < steps.len() {
                        finish(consumer.receive(SOON).expect("a frame"));
                    }
                }
            }
            Self::Fences(fences) => {
                settle(raw, consumer, 1);
                for (generation, sequence, slot) in fences.iter().copied() {
                    let of = FenceFor {
                        generation,
                        sequence,
                        slot,
                    };
                    let message = Message::Fence(of).encode().expect("a message");
                    assert!(raw.send(&message, &[eventfd(1).as_fd()]));
                }
            }
            Self::Says(message) => {
                settle(raw, consumer, 1);
                assert!(raw.say(&message()));
            }
        }
    }

    fn configure(&self, raw: &Raw) {
        let mut of = configure(1, 2);
        if let Self::Layout(change) = self {
            change(&mut of);
        }
        let mut message = bytes(of);
        if let Self::Bytes(change) = self {
            change(&mut message);
        }
        let (page, _ring) = ring(1, 2);
        let slots = memory(2);
        let other = match self {
            Self::Ring(make) | Self::Memory(make) => Some(make()),
            _ => None,
        };
        let mut fds = vec![page.as_fd()];
        fds.extend(raw::of(&slots));
        match (self, &other) {
            (Self::Ring(_), Some(other)) => fds[0] = other.as_fd(),
            (Self::Memory(_), Some(other)) => fds[2] = other.as_fd(),
            _ => {}
        }
        assert!(raw.send(&message, &fds));
    }
}

/// What the consumer says when it hangs up. `None` where it does not.
fn answer(raw: &Raw, consumer: &mut Theirs) -> Option<Farewell> {
    loop {
        match consumer.receive(scaled(200)) {
            Ok(received) => drop(received),
            Err(Error::Timeout { .. }) => return None,
            Err(_) => return raw.farewell(|| ()),
        }
    }
}

/// The flags of the last slot of a Configure.
fn last_slot(message: &mut [u8]) -> &mut [u8] {
    let at = message.len() - 128;
    &mut message[at..]
}

/// What a producer does, and what the text of the Goodbye names. Each is a breach.
const TO_A_CONSUMER: &[(&str, Deed, &str)] = &[
    // Messages.
    (
        "a version of tomorrow",
        Deed::Layout(|of| of.version = 3),
        "configure.version",
    ),
    (
        "generation 0",
        Deed::Layout(|of| of.generation = 0),
        "configure.generation",
    ),
    (
        "a use that was not offered",
        Deed::Layout(|of| of.consumer_usage = Usage::STORAGE),
        "this consumer offered",
    ),
    (
        "a format that was not offered",
        Deed::Layout(|of| of.format = Format::from_fourcc(0x2020_2020)),
        "this consumer offered",
    ),
    (
        "LINEAR on rung 1",
        Deed::Bytes(|bytes| bytes[44] = 1),
        "slot.modifier",
    ),
    (
        "a modifier without its flag",
        Deed::Bytes(|bytes| last_slot(bytes)[8] = 0),
        "slot.modifier",
    ),
    (
        "a tiled modifier in host memory",
        Deed::Bytes(|bytes| last_slot(bytes)[0] = 1),
        "slot.modifier",
    ),
    (
        "a consumer's message",
        Deed::Says(|| Message::Ready(1)),
        "Ready",
    ),
    (
        "the answer to another question",
        Deed::Says(|| Message::Describe(1, 1)),
        "Describe",
    ),
    // Layouts.
    (
        "a pitch of 0",
        Deed::Layout(|of| of.slots[1].planes[0].pitch = 0),
        "pitch",
    ),
    (
        "a pitch of 2^64 - 1",
        Deed::Layout(|of| of.slots[1].planes[0].pitch = u64::MAX),
        "pitch",
    ),
    (
        "an offset of 2^64 - 1",
        Deed::Layout(|of| of.slots[1].planes[0].offset = u64::MAX),
        "plane",
    ),
    (
        "a plane beyond its object",
        Deed::Layout(|of| of.slots[1].planes[0].offset = 1 << 20),
        "plane",
    ),
    (
        "a frame larger than its object",
        Deed::Layout(|of| of.extent.height = 4096),
        "plane",
    ),
    (
        "two planes of a format that has one",
        Deed::Layout(|of| {
            let plane = of.slots[1].planes[0];
            of.slots[1].planes.push(plane);
        }),
        "plane",
    ),
    // Memory.
    (
        "memory that may shrink",
        Deed::Memory(|| memfd(1 << 16, SealFlags::GROW)),
        "F_SEAL_SHRINK",
    ),
    (
        "empty memory",
        Deed::Memory(|| memfd(0, SealFlags::SHRINK)),
        "memory size",
    ),
    (
        "memory too small",
        Deed::Memory(|| memfd(4095, SealFlags::SHRINK)),
        "plane",
    ),
    (
        "memory that is a fence",
        Deed::Memory(|| eventfd(1)),
        "memory",
    ),
    // The ring.
    (
        "a ring that may shrink",
        Deed::Ring(|| memfd(4096, SealFlags::GROW)),
        "F_SEAL_SHRINK",
    ),
    (
        "an empty ring",
        Deed::Ring(|| memfd(0, SealFlags::SHRINK)),
        "memory size",
    ),
    (
        "a ring sealed against writing",
        Deed::Ring(|| memfd(4096, SealFlags::SHRINK | SealFlags::WRITE)),
        "sealed against writing",
    ),
    (
        "a ring sealed against writing from now on",
        Deed::Ring(|| memfd(4096, SealFlags::SHRINK | SealFlags::FUTURE_WRITE)),
        "sealed against writing",
    ),
    (
        "a ring for reading only",
        Deed::Ring(read_only),
        "for reading only",
    ),
    (
        "a ring of two pages",
        Deed::Ring(|| memfd(8192, SealFlags::SHRINK)),
        "4096 bytes",
    ),
    (
        "a ring of zeros",
        Deed::Ring(|| memfd(4096, SealFlags::SHRINK)),
        "magic",
    ),
    // Words.
    ("a number of 2^60", Deed::Words(&[&[(24, 1 << 60)]]), "head"),
    (
        "a head that goes back",
        Deed::Words(&[&[(72, 3 << 4 | 1), (24, 3)], &[(24, 2)]]),
        "head",
    ),
    (
        "a state that is none",
        Deed::Words(&[&[(64, 0xf), (72, 1 << 4 | 1), (24, 1)]]),
        "state",
    ),
    (
        "a number for two slots",
        Deed::Words(&[&[(64, 3 << 4 | 1), (72, 3 << 4 | 1), (24, 4)]]),
        "state",
    ),
    (
        "a number for the second time",
        Deed::Words(&[&[(64, 1 << 4 | 1), (24, 1)], &[(72, 1 << 4 | 1), (24, 2)]]),
        "state",
    ),
    (
        "flags that are none",
        Deed::Words(&[&[(66, 3), (64, 1 << 4 | 1), (24, 1)]]),
        "flags",
    ),
    (
        "a fence attached to host memory",
        Deed::Words(&[&[(66, 1), (64, 1 << 4 | 1), (24, 1)]]),
        "flags",
    ),
    (
        "a fence that was not sent",
        Deed::Words(&[&[(66, 2), (64, 1 << 4 | 1), (24, 1)]]),
        "Fence",
    ),
    (
        "damage beyond the frame",
        Deed::Words(&[&[(66, 0x14), (68, 64), (64, 1 << 4 | 1), (24, 1)]]),
        "damage",
    ),
    // Fences.
    (
        "a fence of a slot that does not exist",
        Deed::Fences(&[(1, 1, 2)]),
        "fence.slot",
    ),
    (
        "a fence of frame 0",
        Deed::Fences(&[(1, 0, 0)]),
        "fence.sequence",
    ),
    (
        "a fence of frame 2^60",
        Deed::Fences(&[(1, 1 << 60, 0)]),
        "fence.sequence",
    ),
    (
        "two fences for one frame",
        Deed::Fences(&[(1, 1, 0), (1, 1, 0)]),
        "Fence",
    ),
    (
        "two fences for one number",
        Deed::Fences(&[(1, 1, 0), (1, 1, 1)]),
        "Fence",
    ),
];

#[test]
fn a_consumer_tells_every_breach_from_a_shortage() {
    let _alone = alone();
    let stage = Stage::new();
    let before = open_descriptors();
    let mut wrong = Vec::new();
    for (case, deed, names) in TO_A_CONSUMER {
        let (raw, mut consumer) = stage.connect();
        deed.perform(&raw, &mut consumer);
        match answer(&raw, &mut consumer) {
            Some(farewell)
                if farewell.reason == FarewellReason::Protocol && farewell.text.contains(names) => {
            }
            other => wrong.push(format!("{case}: {other:?}, but must name {names}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(open_descriptors(), before);
}

/// What the import lacks is no fault of the producer's.
#[test]
fn a_shortage_is_told_as_one() {
    let _alone = alone();
    let stage = Stage::new();
    let options = ConsumerOptions::new(Delivery::Latest).directory(stage.folder());
    let import = |_: &Frame| -> lucarne::Result<Image> {
        Err(lucarne::Error::Os {
            operation: "an import",
            source: rustix::io::Errno::NOMEM.into(),
            help: "",
        })
    };
    let mut consumer =
        Consumer::connect("scene", &offer(Usage::SAMPLE), options, import).expect("it listens");
    let raw = stage.accept();
    Deed::Layout(|_| ()).configure(&raw);
    consumer.receive(SOON).expect_err("it cannot import");
    let farewell = raw.farewell(|| ()).expect("a reason");
    assert_eq!(farewell.reason, FarewellReason::Resources, "{farewell:?}");
}
