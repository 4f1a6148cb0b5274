//! An honest producer and an honest consumer, to which others come.

use std::time::{Duration, Instant};

use lucarne::Request;
use lucarne_stream::wire::{FarewellReason, Message};
use lucarne_stream::{Delivery, ProducerOptions};

use super::common::*;
use super::raw::{self, Raw};

pub(crate) fn patience() -> Duration {
    scaled(200)
}

/// An honest pair; hostile ones come to it.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) producer: Ours,
    pub(crate) honest: Theirs,
    frame: u32,
}

pub(crate) fn scene() -> Scene {
    scene_of(Request::new(EXTENT))
}

pub(crate) fn scene_of(request: Request) -> Scene {
    scene_with(ProducerOptions::of(request).patience(patience()))
}

pub(crate) fn scene_with(options: ProducerOptions) -> Scene {
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), options.slots(5));
    let mut honest = consumer(folder.path(), Delivery::Every);
    join(&mut producer, &mut honest);
    Scene {
        folder,
        producer,
        honest,
        frame: 0,
    }
}

impl Scene {
    /// One frame, which the honest consumer gets whole and in time.
    pub(crate) fn serve(&mut self) {
        self.producer.dispatch().expect("served");
        self.frame += 1;
        let begun = Instant::now();
        send(&mut self.producer, self.frame);
        let received = self.honest.receive(SOON).expect("a frame");
        assert_eq!(received.dropped(), 0);
        assert_eq!(finish(received), self.frame);
        assert!(begun.elapsed() < 4 * patience(), "{:?}", begun.elapsed());
    }

    pub(crate) fn connect(&self) -> Raw {
        Raw::connect(self.folder.path())
    }

    /// A hostile consumer that has been let in, and its ring.
    pub(crate) fn let_in(&mut self, delivery: Delivery) -> (Raw, raw::Ring, u64) {
        let raw = self.connect();
        raw.hello(delivery);
        let (configure, ring) = raw.configure(|| self.serve());
        assert!(raw.say(&Message::Ready(configure.generation)));
        until("frames come", || {
            self.serve();
            ring.get(24) > 0
        });
        (raw, ring, configure.generation)
    }

    pub(crate) fn reason(&mut self, raw: &Raw) -> (FarewellReason, String) {
        let farewell = raw.farewell(|| self.serve());
        let farewell = farewell.expect("a reason");
        (farewell.reason, farewell.text)
    }
}
