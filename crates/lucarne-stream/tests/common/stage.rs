//! A stage for a producer that sends what it likes to an honest consumer.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use lucarne::negotiate::FencePath;
use lucarne::{Comparison, DeviceId, Format, FrameLayout, Rung, Usage, kernel::Memfd};
use lucarne_stream::wire::{Configure, FarewellReason, Message, SlotLayout};
use lucarne_stream::{ConsumerEvent, Delivery, Error};

use super::common::*;
use super::raw::{self, Raw, Ring};

/// A consumer that is connected to nobody good.
#[derive(Debug)]
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    listener: OwnedFd,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = Raw::listen(folder.path());
        Self { folder, listener }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn connect(&self) -> (Raw, Theirs) {
        let consumer = consumer(self.folder(), Delivery::Latest);
        (self.accept(), consumer)
    }

    /// The connection of somebody who has connected and greeted.
    pub(crate) fn accept(&self) -> Raw {
        let raw = Raw::accept(&self.listener);
        let hello = raw.hear().expect("it is there").expect("it greets");
        assert!(matches!(hello.0, Message::Hello(_)));
        raw
    }
}

pub(crate) fn memory(slots: usize) -> Vec<Memfd> {
    let (_, size) = FrameLayout::linear(EXTENT, Format::XRGB8888).expect("linear");
    let make = |_| Memfd::create("frame", size).expect("a memfd");
    (0..slots).map(make).collect()
}

pub(crate) fn configure(generation: u64, slots: usize) -> Configure {
    let (layout, _) = FrameLayout::linear(EXTENT, Format::XRGB8888).expect("linear");
    Configure {
        version: 1,
        generation,
        extent: EXTENT,
        format: Format::XRGB8888,
        color: lucarne::color::ColorDescription::SRGB,
        rung: Rung::HostMemory,
        devices: Comparison::Unknown,
        producer_usage: Usage::RENDER,
        consumer_usage: Usage::SAMPLE,
        device: DeviceId::default(),
        acquire: FencePath::SyncFile,
        release: FencePath::SyncFile,
        refused: Vec::new(),
        producer: "nobody".to_owned(),
        slots: vec![SlotLayout::of(&layout, 0); slots],
    }
}

pub(crate) fn bytes(configure: Configure) -> Vec<u8> {
    Message::Configure(Box::new(configure))
        .encode()
        .expect("a message")
}

/// A ring with its header.
pub(crate) fn ring(generation: u64, slots: u64) -> (Memfd, Ring) {
    let (memory, ring) = Ring::new();
    ring.set(1, generation);
    ring.set(2, slots);
    ring.set(0, u64::from_le_bytes(*b"LCRING\x01\0"));
    (memory, ring)
}

/// Sends a good Configure of two slots, and waits until it is taken.
pub(crate) fn settle(raw: &Raw, consumer: &mut Theirs, generation: u64) -> Ring {
    let (page, ring) = ring(generation, 2);
    let slots = memory(2);
    let mut fds = vec![page.as_fd()];
    fds.extend(raw::of(&slots));
    assert!(raw.send(&bytes(configure(generation, 2)), &fds));
    until("it is ready", || {
        consumer.dispatch().expect("nothing is wrong");
        matches!(raw.hear(), Ok(Some((Message::Ready(ready), _))) if ready == generation)
    });
    ring
}

/// The error that the consumer ends with; the producer hears the same.
pub(crate) fn ends(raw: &Raw, consumer: &mut Theirs) -> Error {
    let error = loop {
        match consumer.receive(SOON) {
            Ok(received) => drop(received),
            Err(error) => break error,
        }
    };
    assert!(
        !matches!(error, Error::Timeout { .. }),
        "nothing was noticed"
    );
    let farewell = raw.farewell(|| ()).expect("a reason");
    assert_eq!(farewell.reason, FarewellReason::Protocol, "{error}");
    assert_eq!(farewell.text, error.to_string());
    let lost = std::iter::from_fn(|| consumer.event())
        .any(|event| matches!(event, ConsumerEvent::Lost { .. }));
    assert!(lost);
    error
}
