//! Nothing is allocated for a frame, and no descriptor is opened.

use std::alloc::System;
use std::os::fd::OwnedFd;

use lucarne::{Fence, kernel::SyncFile};
use lucarne_stream::{Damage, Delivery, ProducerOptions, Received};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FRAMES: usize = 100;
const DAMAGE: [Damage; 2] = [
    Damage {
        x: 0,
        y: 0,
        width: 8,
        height: 8,
    },
    Damage {
        x: 16,
        y: 4,
        width: 1,
        height: 1,
    },
];

/// A producer and its consumers.
struct Scene {
    producer: Ours,
    consumers: Vec<Theirs>,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(deliveries: &[Delivery]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT).slots(4));
        let consumers = deliveries.iter().map(|delivery| {
            let mut consumer = consumer(folder.path(), *delivery);
            join(&mut producer, &mut consumer);
            consumer
        });
        Self {
            consumers: consumers.collect(),
            producer,
            _folder: folder,
        }
    }

    fn send(&mut self, acquire: Fence, damage: &[Damage]) {
        let slot = self.producer.acquire(SOON).expect("a slot");
        let now = lucarne_stream::now();
        let sent = self.producer.send_with_damage(slot, acquire, now, damage);
        assert_eq!(sent.expect("sent"), self.consumers.len());
    }

    fn receive(&mut self, mut read: impl FnMut(Received<Image>)) {
        for consumer in &mut self.consumers {
            read(consumer.receive(SOON).expect("a frame"));
        }
    }

    /// Nobody finds a frame, and so says that it sleeps.
    fn sleep(&mut self) {
        for consumer in &mut self.consumers {
            assert!(consumer.try_receive().expect("no error").is_none());
        }
    }
}

/// The allocations of so many frames, when everything is warm; the descriptors must be the same afterwards.
fn allocations(scene: &mut Scene, mut frame: impl FnMut(&mut Scene)) -> usize {
    (0..10).for_each(|_| frame(scene));
    let descriptors = open_descriptors();
    let region = Region::new(ALLOCATOR);
    (0..FRAMES).for_each(|_| frame(scene));
    let change = region.change();
    assert_eq!(open_descriptors(), descriptors);
    change.allocations + change.reallocations
}

fn release(received: Received<Image>) {
    let (reading, _fence) = received.acquire();
    reading.release(Fence::Signaled).expect("released");
}

#[test]
fn frames_cost_no_allocation_whether_sides_sleep_or_not() {
    let _alone = alone();
    use Delivery::{Every, Latest};
    let audiences: [&[Delivery]; 3] = [&[Latest], &[Every], &[Latest, Every, Latest]];
    for deliveries in audiences {
        for sleeps in [false, true] {
            for damage in [&[][..], &DAMAGE] {
                let count = allocations(&mut Scene::new(deliveries), |scene| {
                    scene.send(Fence::Signaled, damage);
                    scene.receive(|received| {
                        let changed = received.damage().map_or(0, Iterator::count);
                        assert!(changed == damage.len() || received.sequence() == 1);
                        release(received);
                    });
                    if sleeps {
                        scene.sleep();
                    }
                });
                assert_eq!(count, 0, "{deliveries:?}, asleep: {sleeps}");
            }
        }
    }
}

#[test]
fn frames_that_nobody_takes_cost_no_allocation() {
    let _alone = alone();
    let count = allocations(&mut Scene::new(&[Delivery::Latest; 2]), |scene| {
        scene.send(Fence::Signaled, &DAMAGE);
    });
    assert_eq!(count, 0);
}

/// An eventfd that stands in for a fence which has not signalled.
fn pending() -> (Fence, OwnedFd) {
    let flags = rustix::event::EventfdFlags::CLOEXEC;
    let fd = rustix::event::eventfd(0, flags).expect("an eventfd");
    let ours = fd.try_clone().expect("a descriptor");
    (Fence::sync_file(SyncFile::stand_in(fd)), ours)
}

fn signal(fence: &OwnedFd) {
    rustix::io::write(fence, &1_u64.to_ne_bytes()).expect("an eventfd");
}

#[test]
fn a_fence_costs_what_it_is_made_of_and_no_more() {
    let _alone = alone();
    let mut frame = 0;
    let count = allocations(&mut Scene::new(&[Delivery::Every]), |scene| {
        // As the clock has it now and then: a fence is read before its slot comes back, and kept.
        frame += 1;
        if frame == FRAMES {
            scene.producer.dispatch().expect("served");
        }
        let (drawn, draw) = pending();
        scene.send(drawn, &[]);
        let (read, finish) = pending();
        scene.receive(|received| {
            let (reading, acquire) = received.acquire();
            signal(&draw);
            acquire.wait(SOON).expect("drawn");
            reading.release(read.clone()).expect("released");
        });
        signal(&finish);
    });
    // Both fences are shared values: once where they are made, and once where they come, with the list of one descriptor.
    assert!(count <= 2 * 3 * FRAMES, "{count} for {FRAMES} frames");
}
