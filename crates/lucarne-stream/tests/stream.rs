//! One producer and its consumers, in one process: delivery, generations, arrivals and departures.

use std::time::Duration;

use lucarne::{Extent, Request, Usage};
use lucarne_stream::wire::{FarewellReason, State};
use lucarne_stream::{
    Change, ConsumerEvent, Delivery, Error, ProducerEvent, ProducerOptions, Watcher, describe,
    streams_in,
};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

#[test]
fn frames_arrive_and_slots_come_back() {
    let _alone = alone();
    let before = open_descriptors();
    {
        let folder = tempfile::tempdir().expect("a folder");
        let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
        assert!(producer.try_acquire().expect("no error").is_none());
        let mut consumer = consumer(folder.path(), Delivery::Latest);
        join(&mut producer, &mut consumer);
        for frame in 1..=100 {
            assert_eq!(send(&mut producer, frame), 1);
            let received = consumer.receive(SOON).expect("a frame");
            assert_eq!(received.sequence(), u64::from(frame));
            assert_eq!(received.dropped(), 0);
            assert!(received.timestamp() <= lucarne_stream::now());
            assert_eq!(finish(received), frame);
        }
    }
    assert_eq!(open_descriptors(), before);
}

#[test]
fn latest_drops_and_tells_how_many() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
    let mut consumer = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut consumer);
    send(&mut producer, 1);
    let held = consumer.receive(SOON).expect("a frame");
    for frame in 2..=50 {
        send(&mut producer, frame);
    }
    let received = consumer.receive(SOON).expect("a frame");
    assert_eq!((received.sequence(), received.dropped()), (50, 48));
    assert_eq!(finish(received), 50);
    assert_eq!(finish(held), 1, "what is held does not change");
    let nothing = consumer.try_receive().expect("no error");
    assert!(nothing.is_none());
}

#[test]
fn every_frame_arrives_and_a_full_stream_waits() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let options = ProducerOptions::new(EXTENT).patience(SOON);
    let mut producer = producer(folder.path(), options);
    let mut consumer = consumer(folder.path(), Delivery::Every);
    join(&mut producer, &mut consumer);
    let reader = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            for frame in 1..=200 {
                let received = consumer.receive(SOON).expect("a frame");
                assert_eq!(received.dropped(), 0);
                if frame % 50 == 0 {
                    std::thread::sleep(Duration::from_millis(5));
                }
                assert_eq!(finish(received), frame);
            }
        });
        for frame in 1..=200 {
            send(&mut producer, frame);
        }
        reader.join()
    });
    reader.expect("the reader");
}

#[test]
fn several_consumers_see_the_same() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT).slots(6));
    let mut consumers: Vec<_> = (0..5)
        .map(|index| {
            let delivery = if index % 2 == 0 {
                Delivery::Latest
            } else {
                Delivery::Every
            };
            let mut consumer = consumer(folder.path(), delivery);
            join(&mut producer, &mut consumer);
            consumer
        })
        .collect();
    for frame in 1..=50 {
        assert_eq!(send(&mut producer, frame), 5);
        for consumer in &mut consumers {
            let received = consumer.receive(SOON).expect("a frame");
            assert_eq!(finish(received), frame);
        }
    }
    // One generation did for all.
    let generations = std::iter::from_fn(|| producer.event());
    let generations = generations.filter(|event| matches!(event, ProducerEvent::Generation { .. }));
    assert_eq!(generations.count(), 1);
}

#[test]
fn a_resize_reaches_everybody_and_the_old_frame_stays() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
    let mut consumer = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut consumer);
    send(&mut producer, 1);
    let held = consumer.receive(SOON).expect("a frame");
    let larger = Extent::new(100, 40);
    producer
        .reconfigure(Request::new(larger))
        .expect("a size that can be");
    send(&mut producer, 2);
    let received = consumer
        .receive(SOON)
        .expect("nobody is ready for the new size yet");
    assert_eq!(received.frame().layout().extent(), EXTENT);
    assert_eq!(finish(received), 2);
    until("the new size", || {
        producer.dispatch().expect("served");
        consumer.dispatch().expect("served");
        let slot = producer.acquire(SOON).expect("a slot");
        slot.frame().layout().extent() == larger
    });
    send(&mut producer, 3);
    let received = consumer.receive(SOON).expect("a frame");
    assert_eq!(received.frame().layout().extent(), larger);
    assert_eq!(received.dropped(), 0);
    assert_eq!(finish(received), 3);
    assert_eq!(finish(held), 1);
}

#[test]
fn slots_that_the_program_drops_are_written_again() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
    let mut consumer = consumer(folder.path(), Delivery::Every);
    join(&mut producer, &mut consumer);
    for frame in 1..=20 {
        // All of them, of which the stream gets one.
        let slots: Vec<_> =
            std::iter::from_fn(|| producer.try_acquire().expect("no error")).collect();
        assert_eq!(slots.len(), 3);
        drop(slots);
        assert_eq!(send(&mut producer, frame), 1);
        assert_eq!(finish(consumer.receive(SOON).expect("a frame")), frame);
    }
}

#[test]
fn what_was_made_for_those_who_have_gone_is_let_go() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
    let before = open_descriptors();
    let mut consumer = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut consumer);
    send(&mut producer, 1);
    finish(consumer.receive(SOON).expect("a frame"));
    send(&mut producer, 2);
    drop(consumer);
    until("the consumer has gone", || {
        producer.dispatch().expect("served");
        producer.consumers() == 0
    });
    // What they had will not be used again: nobody is there to agree on anything else.
    let request = Request::new(Extent::new(100, 40));
    producer.reconfigure(request).expect("a size that can be");
    until("its memory has gone, too", || open_descriptors() == before);
}

#[test]
fn pause_resume_and_end_are_told() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
    let mut consumer = consumer(folder.path(), Delivery::Every);
    join(&mut producer, &mut consumer);
    producer.pause();
    producer.resume();
    send(&mut producer, 1);
    send(&mut producer, 2);
    producer.end();
    let received = consumer.receive(SOON).expect("published before the end");
    assert_eq!(finish(received), 1);
    let received = consumer.receive(SOON).expect("published before the end");
    assert_eq!(finish(received), 2);
    let error = consumer.receive(SOON).expect_err("the end");
    assert!(matches!(error, Error::Ended), "{error}");
    let events: Vec<ConsumerEvent> = std::iter::from_fn(|| consumer.event()).collect();
    assert!(
        matches!(events[0], ConsumerEvent::Generation { .. }),
        "{events:?}"
    );
    assert_eq!(
        events[1..],
        [
            ConsumerEvent::Paused,
            ConsumerEvent::Resumed,
            ConsumerEvent::Ended
        ]
    );
}

#[test]
fn a_consumer_keeps_its_frame_and_finds_the_next_producer() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut first = producer(folder.path(), ProducerOptions::new(EXTENT));
    let mut consumer = consumer(folder.path(), Delivery::Latest);
    join(&mut first, &mut consumer);
    send(&mut first, 7);
    let held = consumer.receive(SOON).expect("a frame");
    drop(first);
    let error = consumer.receive(SOON).expect_err("nobody there");
    assert!(matches!(error, Error::PeerGone), "{error}");
    let error = consumer.reconnect().expect_err("nobody there");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let mut second = producer(folder.path(), ProducerOptions::new(EXTENT));
    consumer.reconnect().expect("somebody there");
    join(&mut second, &mut consumer);
    send(&mut second, 8);
    let received = consumer.receive(SOON).expect("a frame");
    assert_eq!(finish(received), 8);
    assert_eq!(finish(held), 7);
    let lost = std::iter::from_fn(|| consumer.event())
        .any(|event| matches!(event, ConsumerEvent::Lost { .. }));
    assert!(lost);
}

#[test]
fn a_consumer_that_keeps_its_frames_is_cut_off_and_others_go_on() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let patience = scaled(50);
    let mut producer = producer(
        folder.path(),
        ProducerOptions::new(EXTENT).patience(patience),
    );
    let mut greedy = consumer(folder.path(), Delivery::Every);
    join(&mut producer, &mut greedy);
    let mut other = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut other);
    // Every frame waits for it, until there is no slot left.
    let begun = std::time::Instant::now();
    for frame in 1..=10 {
        send(&mut producer, frame);
        let received = other.receive(SOON).expect("a frame");
        assert_eq!(finish(received), frame);
    }
    assert!(begun.elapsed() >= patience, "{:?}", begun.elapsed());
    assert!(begun.elapsed() < 10 * patience, "{:?}", begun.elapsed());
    assert_eq!(producer.consumers(), 1);
    let error = loop {
        match greedy.receive(SOON) {
            Ok(received) => drop(received),
            Err(error) => break error,
        }
    };
    let Error::Refused(farewell) = error else {
        panic!("it was told: {error}");
    };
    assert_eq!(farewell.reason, FarewellReason::TooSlow);
}

#[test]
fn streams_are_listed_and_names_are_taken_once() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(streams_in(folder.path()).expect("an empty folder"), []);
    let mut made = producer(folder.path(), ProducerOptions::new(EXTENT));
    let options = ProducerOptions::new(EXTENT).directory(folder.path());
    let never = |_: &lucarne::Agreement| -> lucarne::Result<((), lucarne::Frame)> {
        unreachable!("the name is taken")
    };
    let error =
        lucarne_stream::Producer::bind("scene", &offer(Usage::RENDER), options, never).map(|_| ());
    let error = error.expect_err("the name is taken");
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    let found = std::thread::scope(|scope| {
        let list = scope.spawn(|| streams_in(folder.path()).expect("a folder"));
        until("the list", || {
            made.dispatch().expect("served");
            list.is_finished()
        });
        list.join().expect("the list")
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].name, "scene");
    assert_eq!(found[0].producer.pid, Some(std::process::id()));
    assert_eq!(found[0].description.extent, EXTENT);
    assert_eq!(found[0].description.state, State::Waiting);
    assert!(found[0].age < SOON);
    drop(made);
    let error = describe(folder.path(), "scene").expect_err("nobody there");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    // A socket that a dead producer left behind does not keep the name.
    let left = folder.path().join("scene");
    drop(std::os::unix::net::UnixListener::bind(&left).expect("a socket"));
    assert!(left.exists());
    drop(producer(folder.path(), ProducerOptions::new(EXTENT)));
    assert!(!left.exists());
    // Whoever looks clears up, and touches nothing else.
    drop(std::os::unix::net::UnixListener::bind(&left).expect("a socket"));
    let other = folder.path().join("other");
    std::fs::write(&other, "no socket").expect("a file");
    assert_eq!(streams_in(folder.path()).expect("a folder"), []);
    assert!(!left.exists() && other.exists());
}

#[test]
fn a_program_that_has_all_slots_itself_waits_without_spinning() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let patience = Duration::from_millis(20);
    let mut producer = producer(
        folder.path(),
        ProducerOptions::new(EXTENT).patience(patience),
    );
    let mut consumer = consumer(folder.path(), Delivery::Every);
    join(&mut producer, &mut consumer);
    let slots: Vec<_> = (0..3)
        .map(|_| producer.acquire(SOON).expect("a slot"))
        .collect();
    let busy = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let before = busy();
    let wait = Duration::from_millis(300);
    let error = producer
        .acquire(wait)
        .map(|_| ())
        .expect_err("it has them all");
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    let after = busy();
    let used = (after.tv_sec - before.tv_sec) * 1_000_000_000 + after.tv_nsec - before.tv_nsec;
    assert!(
        used < 100_000_000,
        "{used} ns of 300 ms were spent spinning"
    );
    assert_eq!(producer.consumers(), 1, "it has nothing to do with it");
    drop(slots);
    producer.acquire(SOON).map(|_| ()).expect("a slot");
}

#[test]
fn a_watcher_sees_streams_come_and_go() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("streams");
    let mut watcher = Watcher::of(&folder).expect("a folder that it makes");
    let mut expect = |expected: &[Change]| {
        let mut seen = Vec::new();
        until("the change", || {
            seen.extend(watcher.changes().expect("watched"));
            seen.len() >= expected.len()
        });
        assert_eq!(seen, expected);
    };
    let scene = || "scene".to_owned();
    for _ in 0..3 {
        let made = producer(&folder, ProducerOptions::new(EXTENT));
        expect(&[Change::Arrived(scene())]);
        drop(made);
        expect(&[Change::Departed(scene())]);
    }
    // What a killed producer leaves behind is none.
    drop(std::os::unix::net::UnixListener::bind(folder.join("scene")).expect("a socket"));
    assert_eq!(watcher.refresh().expect("watched"), []);
    let _made = producer(&folder, ProducerOptions::new(EXTENT));
    assert_eq!(
        watcher.refresh().expect("watched"),
        [Change::Arrived(scene())]
    );
}

#[test]
fn a_folder_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open).expect("ours");
    let error = Watcher::of(folder.path()).expect_err("anybody's");
    assert!(error.to_string().contains("0700"), "{error}");
}

#[test]
fn names_have_rules() {
    for name in ["", ".hidden", "a/b", "..", "ä", "a b", &"x".repeat(65)] {
        let error = lucarne_stream::check_name(name).expect_err(name);
        assert!(matches!(error, Error::Name { .. }), "{error}");
    }
    for name in ["scene", "A-1_b.c", &"x".repeat(64)] {
        lucarne_stream::check_name(name).expect(name);
    }
}

#[test]
fn colours_arrive_as_they_were_described() {
    use lucarne::color::{ColorDescription, Primaries, Transfer};
    let _alone = alone();
    let color = ColorDescription {
        primaries: Primaries::Bt2020,
        transfer: Transfer::Pq,
        ..ColorDescription::SRGB
    };
    let folder = tempfile::tempdir().expect("a folder");
    let request = lucarne::Request::new(EXTENT).formats(&[lucarne::Format::XRGB8888]);
    let options = ProducerOptions::of(request).directory(folder.path());
    let allocate = |agreement: &lucarne::Agreement| {
        let image = device().export(agreement)?;
        let frame = image.frame().with_color(color)?;
        Ok((image, frame))
    };
    let offer = offer(Usage::RENDER);
    let producer = lucarne_stream::Producer::bind("scene", &offer, options, allocate);
    let mut producer = producer.expect("the name is free");
    let mut consumer = consumer(folder.path(), Delivery::Latest);
    until("the consumer is ready", || {
        producer.dispatch().expect("served");
        consumer.dispatch().expect("served");
        producer.consumers() == 1
    });
    let slot = producer.acquire(SOON).expect("a slot");
    let sent = producer.send(slot, lucarne::Fence::Signaled, lucarne_stream::now());
    assert_eq!(sent.expect("sent"), 1);
    let received = consumer.receive(SOON).expect("a frame");
    assert_eq!(received.frame().layout().color(), color);
    let event = consumer.event();
    assert!(
        matches!(event, Some(lucarne_stream::ConsumerEvent::Generation { color: told, .. }) if told == color)
    );
}
