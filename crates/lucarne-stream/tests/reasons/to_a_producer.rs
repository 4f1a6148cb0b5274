//! What a consumer sends and when, and how the producer ends that.

use std::os::fd::{AsFd as _, OwnedFd};

use lucarne::negotiate::{Strike, StrikeReason};
use lucarne::{Format, MemoryPath, Modifier, Request, Usage};
use lucarne_stream::Delivery;
use lucarne_stream::wire::FarewellReason::{Done, Incompatible, Protocol, TooSlow, Version};
use lucarne_stream::wire::{
    Configure, Farewell, FarewellReason, FenceFor, Hello, ImportFailed, Message,
};
use rustix::fs::SealFlags;

use super::common::*;
use super::raw::{Raw, Ring};
use super::scene::{Scene, scene, scene_of};
use super::{eventfd, memfd};

/// How far a consumer gets before it does what it does.
#[derive(Clone, Copy, PartialEq)]
enum After {
    Connecting,
    Hello,
    Ready,
}

/// A consumer, and what it was told of its generation.
struct Guest {
    raw: Raw,
    told: Option<(Configure, Ring)>,
}

impl Guest {
    fn new(scene: &mut Scene, after: After) -> Self {
        let raw = scene.connect();
        if after == After::Connecting {
            return Self { raw, told: None };
        }
        raw.hello(Delivery::Every);
        let (configure, ring) = raw.configure(|| scene.serve());
        if after == After::Ready {
            assert!(raw.say(&Message::Ready(configure.generation)));
            until("frames come", || {
                scene.serve();
                ring.get(24) > 0
            });
        }
        let told = Some((configure, ring));
        Self { raw, told }
    }

    fn say(&self, message: &Message) {
        assert!(self.raw.say(message));
    }

    fn generation(&self) -> u64 {
        self.told.as_ref().map_or(1, |(of, _)| of.generation)
    }

    fn ring(&self) -> &Ring {
        &self.told.as_ref().expect("it has said Hello").1
    }

    /// Sends a fence for a frame that it has, but for what `change` does.
    fn send_fence(&self, change: fn(&mut FenceFor), fd: &OwnedFd) {
        let ring = self.told.as_ref().map(|(_, ring)| ring);
        let (slot, sequence) = ring.and_then(Ring::published).unwrap_or((0, 1));
        let mut of = FenceFor {
            generation: self.generation(),
            sequence,
            slot,
        };
        change(&mut of);
        let message = Message::Fence(of).encode().expect("a message");
        assert!(self.raw.send(&message, &[fd.as_fd()]));
    }

    /// Says that an import of what it was told has failed, but for what `change` does.
    fn fail(&self, change: fn(&mut ImportFailed)) {
        let (of, _) = self.told.as_ref().expect("it has said Hello");
        self.fail_of(of, change);
    }

    fn fail_of(&self, of: &Configure, change: fn(&mut ImportFailed)) {
        let mut failed = ImportFailed {
            generation: of.generation,
            strike: Strike {
                path: MemoryPath::HostMemory,
                format: Some(of.format),
                modifier: None,
                reason: StrikeReason::ImportFailed("again".to_owned()),
            },
        };
        change(&mut failed);
        self.say(&Message::ImportFailed(failed));
    }

    /// The last message before the other side hangs up, and its reason.
    fn end(&self, scene: &mut Scene) -> Option<(&'static str, FarewellReason, String)> {
        let mut last = None;
        until("the producer hangs up", || {
            scene.serve();
            loop {
                match self.raw.hear() {
                    Ok(Some((message, _))) => {
                        let name = message.name();
                        match message {
                            Message::Configure(of) => self.fail_of(&of, |_| ()),
                            Message::Refused(farewell) | Message::Goodbye(farewell) => {
                                last = Some((name, farewell.reason, farewell.text));
                            }
                            _ => {}
                        }
                    }
                    Ok(None) => return false,
                    Err(()) => return true,
                }
            }
        });
        last
    }
}

fn hello(change: fn(&mut Hello)) -> Message {
    let mut hello = Hello {
        lowest: 1,
        highest: 1,
        delivery: Delivery::Latest,
        usage: Usage::SAMPLE,
        offer: offer(Usage::SAMPLE),
    };
    change(&mut hello);
    Message::Hello(Box::new(hello))
}

type Act = fn(&Guest);

/// What a consumer does and when, and how the producer ends that.
const TO_A_PRODUCER: &[(&str, After, Act, (&str, FarewellReason))] = &[
    ("nothing", After::Connecting, |_| (), ("Refused", TooSlow)),
    (
        "Wake first",
        After::Connecting,
        |guest| guest.say(&Message::Wake),
        ("Refused", Protocol),
    ),
    (
        "Ready first",
        After::Connecting,
        |guest| guest.say(&Message::Ready(1)),
        ("Refused", Protocol),
    ),
    (
        "a producer's message first",
        After::Connecting,
        |guest| guest.say(&Message::End),
        ("Refused", Protocol),
    ),
    (
        "a Fence first",
        After::Connecting,
        |guest| guest.send_fence(|_| (), &eventfd(1)),
        ("Refused", Protocol),
    ),
    (
        "noise",
        After::Connecting,
        |guest| assert!(guest.raw.send(&[0x5a; 64], &[])),
        ("Refused", Protocol),
    ),
    (
        "a Hello of tomorrow",
        After::Connecting,
        |guest| {
            guest.say(&hello(|hello| {
                (hello.lowest, hello.highest) = (3, 9);
            }));
        },
        ("Refused", Version),
    ),
    (
        "a Describe of tomorrow",
        After::Connecting,
        |guest| guest.say(&Message::Describe(3, 9)),
        ("Refused", Version),
    ),
    (
        "an offer of nothing",
        After::Connecting,
        |guest| guest.say(&hello(|hello| hello.offer.entries.clear())),
        ("Refused", Incompatible),
    ),
    ("no answer", After::Hello, |_| (), ("Refused", TooSlow)),
    (
        "Wake in place of an answer",
        After::Hello,
        |guest| guest.say(&Message::Wake),
        ("Refused", TooSlow),
    ),
    (
        "Ready for a generation of tomorrow",
        After::Hello,
        |guest| guest.say(&Message::Ready(guest.generation() + 1)),
        ("Refused", Protocol),
    ),
    (
        "ImportFailed of a generation of tomorrow",
        After::Hello,
        |guest| guest.fail(|failed| failed.generation += 1),
        ("Refused", Protocol),
    ),
    (
        "Drained of a generation of tomorrow",
        After::Hello,
        |guest| guest.say(&Message::Drained(guest.generation() + 1)),
        ("Refused", Protocol),
    ),
    (
        "a second Hello",
        After::Hello,
        |guest| guest.say(&hello(|_| ())),
        ("Refused", Protocol),
    ),
    (
        "a producer's message in place of an answer",
        After::Hello,
        |guest| guest.say(&Message::Pause),
        ("Refused", Protocol),
    ),
    (
        "ImportFailed of something else",
        After::Hello,
        |guest| guest.fail(|failed| failed.strike.modifier = Modifier::new(1)),
        ("Refused", Protocol),
    ),
    (
        "imports that fail without end",
        After::Hello,
        |guest| guest.fail(|_| ()),
        ("Refused", Incompatible),
    ),
    (
        "a Hello among frames",
        After::Ready,
        |guest| guest.say(&hello(|_| ())),
        ("Goodbye", Protocol),
    ),
    (
        "noise among frames",
        After::Ready,
        |guest| assert!(guest.raw.send(&[0x5a; 64], &[])),
        ("Goodbye", Protocol),
    ),
    (
        "ImportFailed after Ready",
        After::Ready,
        |guest| guest.fail(|_| ()),
        ("Goodbye", Protocol),
    ),
    (
        "a state that is none",
        After::Ready,
        |guest| {
            let (slot, _) = guest.ring().published().expect("it took nothing");
            guest.ring().set(64 + 8 * slot, 0xf);
        },
        ("Goodbye", Protocol),
    ),
    (
        "a fence of a slot that does not exist",
        After::Ready,
        |guest| guest.send_fence(|of| of.slot = 5, &eventfd(1)),
        ("Goodbye", Protocol),
    ),
    (
        "a fence of a frame that it has not",
        After::Ready,
        |guest| guest.send_fence(|of| of.sequence += 1000, &eventfd(1)),
        ("Goodbye", Protocol),
    ),
    (
        "a fence of a generation of tomorrow",
        After::Ready,
        |guest| guest.send_fence(|of| of.generation += 1, &eventfd(1)),
        ("Goodbye", Protocol),
    ),
    (
        "two fences for one frame",
        After::Ready,
        |guest| {
            guest.send_fence(|_| (), &eventfd(1));
            guest.send_fence(|_| (), &eventfd(1));
        },
        ("Goodbye", Protocol),
    ),
    (
        "a fence that is memory",
        After::Ready,
        |guest| guest.send_fence(|_| (), &memfd(4096, SealFlags::SHRINK)),
        ("Goodbye", Protocol),
    ),
    (
        "a release without the fence that it names",
        After::Ready,
        |guest| {
            let ring = guest.ring();
            let (slot, sequence) = ring.published().expect("it took nothing");
            ring.set(64 + 8 * slot, sequence << 4 | 4);
        },
        ("Goodbye", Protocol),
    ),
    (
        "frames that it keeps",
        After::Ready,
        |_| (),
        ("Goodbye", TooSlow),
    ),
];

#[test]
fn a_producer_tells_everybody_why() {
    let _alone = alone();
    // More formats than a consumer may fail to import.
    let formats: Vec<Format> = Format::ALL.iter().map(|info| info.format).collect();
    assert!(formats.len() > 17 && formats.contains(&Format::XRGB8888));
    let mut request = Request::new(EXTENT);
    request.formats.splice(1.., formats);
    let mut scene = scene_of(request);
    let before = open_descriptors();
    let mut wrong = Vec::new();
    for (case, after, act, (name, reason)) in TO_A_PRODUCER {
        let guest = Guest::new(&mut scene, *after);
        act(&guest);
        let end = guest.end(&mut scene);
        let is_right = matches!(&end, Some((a, b, _)) if (a, b) == (name, reason));
        if !is_right {
            wrong.push(format!("{case}: {end:?}, but must be {name} ({reason:?})"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    until("all are gone", || {
        scene.serve();
        open_descriptors() == before
    });
}

/// Whoever says goodbye is answered by the end of the connection alone, whatever came before.
#[test]
fn a_goodbye_is_not_answered() {
    let _alone = alone();
    let mut scene = scene();
    for after in [After::Connecting, After::Hello, After::Ready] {
        let guest = Guest::new(&mut scene, after);
        guest.say(&Message::Goodbye(Farewell::new(Done, "")));
        assert_eq!(guest.end(&mut scene), None);
    }
}
