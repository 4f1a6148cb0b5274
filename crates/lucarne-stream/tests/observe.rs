//! What an observer hears of a stream, and that its consumers do not notice.

use std::path::Path;
use std::time::Duration;

use lucarne::{Extent, Format, Modifier, Request, Rung, Usage};
use lucarne_stream::wire::{ConsumerDetails, Details, Message, State};
use lucarne_stream::{Delivery, Error, Found, ProducerOptions};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "common/raw.rs"]
mod raw;
use raw::Raw;

/// What a producer answers while it serves.
fn describe(producer: &mut Ours, folder: &Path) -> Found {
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| lucarne_stream::describe(folder, "scene"));
        until("it is asked", || {
            producer.dispatch().expect("served");
            asking.is_finished()
        });
        asking.join().expect("no panic").expect("it answers")
    })
}

fn details(producer: &mut Ours, folder: &Path) -> Details {
    describe(producer, folder).details.expect("version 2")
}

fn options() -> ProducerOptions {
    ProducerOptions::of(Request::new(EXTENT).formats(&[Format::XRGB8888])).patience(SOON)
}

#[test]
fn a_stream_without_consumers_has_nothing_to_tell() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), options());
    let found = describe(&mut producer, folder.path());
    assert_eq!(found.description.state, State::Waiting);
    let nothing = Details {
        rung: None,
        modifier: None,
        slots: 0,
        consumers: Vec::new(),
    };
    assert_eq!(found.details, Some(nothing));
}

#[test]
fn each_consumer_is_told_with_what_it_missed_and_holds() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), options().slots(8));
    let mut every = consumer(folder.path(), Delivery::Every);
    join(&mut producer, &mut every);
    assert_eq!(send(&mut producer, 1), 1);
    assert_eq!(finish(every.receive(SOON).expect("a frame")), 1);
    // The second one comes a frame later, and takes none of its first four.
    let mut latest = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut latest);
    let mut held = Vec::new();
    for number in 2..=5 {
        assert_eq!(send(&mut producer, number), 2);
        held.push(every.receive(SOON).expect("a frame"));
    }
    let told = details(&mut producer, folder.path());
    assert_eq!((told.rung, told.slots), (Some(Rung::HostMemory), 8));
    assert_eq!(told.modifier, Some(Modifier::LINEAR));
    for one in &told.consumers {
        assert_eq!(one.pid, Some(std::process::id()));
        assert_eq!(one.name, offer(Usage::SAMPLE).name);
        assert!(one.is_served && one.number > 0, "{one:?}");
    }
    let numbers = |one: &ConsumerDetails| (one.delivery, one.frames, one.dropped, one.held);
    let found: Vec<_> = told.consumers.iter().map(numbers).collect();
    assert_eq!(
        found,
        [(Delivery::Every, 5, 0, 4), (Delivery::Latest, 4, 3, 1)]
    );
    assert_eq!(finish(latest.receive(SOON).expect("a frame")), 5);
    drop((held, every));
    until("one has left", || {
        producer.dispatch().expect("served");
        producer.consumers() == 1
    });
    let told = details(&mut producer, folder.path());
    let found: Vec<_> = told.consumers.iter().map(numbers).collect();
    // Its slot is counted until the producer has looked.
    assert_eq!(found, [(Delivery::Latest, 4, 3, 1)]);
}

/// Frames that wait before they are taken: by a consumer that waits itself, and by one that goes by its descriptor.
#[test]
fn a_consumer_says_how_old_its_frames_are() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), options());
    let mut waits = consumer(folder.path(), Delivery::Every);
    join(&mut producer, &mut waits);
    let mut polls = consumer(folder.path(), Delivery::Every);
    join(&mut producer, &mut polls);
    let age = Duration::from_millis(2);
    let mut number = 0;
    until("both have said so", || {
        number += 1;
        send(&mut producer, number);
        std::thread::sleep(age);
        assert_eq!(finish(waits.receive(SOON).expect("a frame")), number);
        while let Some(received) = polls.try_receive().expect("a stream") {
            finish(received);
        }
        let told = details(&mut producer, folder.path());
        let mut latencies = told.consumers.iter().map(|one| one.latency);
        latencies.all(|latency| latency.is_some_and(|latency| latency >= age && latency < SOON))
    });
}

/// One that asks again and again, and for short times, between two frames.
#[test]
fn an_impatient_consumer_says_so_too() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), options());
    let mut consumer = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut consumer);
    let mut number = 0;
    until("it has said so", || {
        for _ in 0..5 {
            let nothing = consumer.receive(Duration::from_micros(10));
            assert!(matches!(nothing, Err(Error::Timeout { .. })));
        }
        number += 1;
        send(&mut producer, number);
        assert_eq!(finish(consumer.receive(SOON).expect("a frame")), number);
        let told = details(&mut producer, folder.path());
        told.consumers[0].latency.is_some()
    });
    assert!(number < 32, "one frame in sixteen or so: {number}");
}

/// Whoever asks soon after a consumer came, or the frames' size changed, is told all the same.
#[test]
fn a_new_generation_soon_says_how_old_its_frames_are() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), options());
    let mut consumer = consumer(folder.path(), Delivery::Every);
    join(&mut producer, &mut consumer);
    for extent in [EXTENT, Extent::new(16, 8)] {
        if extent != EXTENT {
            let request = Request::new(extent).formats(&[Format::XRGB8888]);
            producer.reconfigure(request).expect("another size");
            until("the new size", || {
                producer.dispatch().expect("served");
                consumer.dispatch().expect("served");
                describe(&mut producer, folder.path()).description.extent == extent
            });
        }
        let mut sent = 0;
        until("it has said so", || {
            sent += 1;
            send(&mut producer, sent);
            assert_eq!(finish(consumer.receive(SOON).expect("a frame")), sent);
            let told = details(&mut producer, folder.path());
            told.consumers[0].latency.is_some()
        });
        assert!(sent <= 17, "{extent}: one of the first frames: {sent}");
    }
}

#[test]
fn an_observer_of_version_1_hears_what_that_has() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), options());
    let raw = Raw::connect(folder.path());
    assert!(raw.say(&Message::Describe(1, 1)));
    let mut answer = None;
    until("it answers", || {
        producer.dispatch().expect("served");
        answer = raw.hear().expect("it answers before it hangs up");
        answer.is_some()
    });
    let (message, _) = answer.expect("it came");
    assert!(matches!(message, Message::Description(_)), "{message:?}");
}
