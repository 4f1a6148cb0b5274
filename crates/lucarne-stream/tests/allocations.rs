//! Nothing is allocated for a frame, and no descriptor is opened.

use std::alloc::System;

use lucarne::Fence;
use lucarne_stream::{Delivery, ProducerOptions};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn frames_cost_no_allocation_whether_sides_sleep_or_not() {
    let _alone = alone();
    for delivery in [Delivery::Latest, Delivery::Every] {
        for sleeps in [false, true] {
            let folder = tempfile::tempdir().expect("a folder");
            let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
            let mut consumer = consumer(folder.path(), delivery);
            join(&mut producer, &mut consumer);
            let mut frames = |count: u64| {
                for _ in 0..count {
                    let slot = producer.acquire(SOON).expect("a slot");
                    let now = lucarne_stream::now();
                    let sent = producer.send(slot, Fence::Signaled, now).expect("sent");
                    assert_eq!(sent, 1);
                    let (reading, _fence) = consumer.receive(SOON).expect("a frame").acquire();
                    reading.release(Fence::Signaled).expect("released");
                    if sleeps {
                        let nothing = consumer.try_receive().expect("no error");
                        assert!(nothing.is_none());
                    }
                }
            };
            frames(10);
            let descriptors = open_descriptors();
            let region = Region::new(ALLOCATOR);
            frames(100);
            let change = region.change();
            assert_eq!(
                change.allocations + change.reallocations,
                0,
                "{delivery:?}: {change:?}"
            );
            assert_eq!(open_descriptors(), descriptors);
        }
    }
}
