//! Programs that poll the consumer's descriptor by themselves, or never look at it, and only ask for frames.

use lucarne_stream::{ConsumerEvent, Delivery, Error, ProducerOptions};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

/// More wake-ups than a socket has room for.
const FRAMES: u32 = 1000;

/// Takes everything, and then once more, which says that it sleeps.
fn take_all(consumer: &mut Theirs) -> u32 {
    let mut taken = 0;
    while let Some(received) = consumer.try_receive().expect("no error") {
        finish(received);
        taken += 1;
    }
    taken
}

fn sees_a_pause(producer: &mut Ours, consumer: &mut Theirs) {
    producer.pause();
    until("the pause is seen", || {
        take_all(consumer);
        let events = std::iter::from_fn(|| consumer.event());
        events
            .into_iter()
            .any(|event| event == ConsumerEvent::Paused)
    });
    producer.dispatch().expect("served");
    assert_eq!(producer.consumers(), 1, "it was cut off");
}

#[test]
fn wake_ups_do_not_pile_up_with_who_never_polls() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
    let mut consumer = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut consumer);
    for frame in 1..=FRAMES {
        send(&mut producer, frame);
        assert_eq!(take_all(&mut consumer), 1);
    }
    sees_a_pause(&mut producer, &mut consumer);
}

#[test]
fn who_polls_is_woken_once_for_a_frame() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
    let mut consumer = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut consumer);
    take_all(&mut consumer);
    let is_readable = |consumer: &Theirs| {
        let mut fds = [PollFd::new(consumer, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).expect("poll") > 0
    };
    for frame in 1..=FRAMES {
        assert!(!is_readable(&consumer), "frame {frame}: it would spin");
        send(&mut producer, frame);
        assert!(is_readable(&consumer), "frame {frame}: it sleeps on");
        assert_eq!(take_all(&mut consumer), 1);
    }
    sees_a_pause(&mut producer, &mut consumer);
}

#[test]
fn who_asks_seldom_hears_of_the_end_at_once() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let mut producer = producer(folder.path(), ProducerOptions::new(EXTENT));
    let mut consumer = consumer(folder.path(), Delivery::Latest);
    join(&mut producer, &mut consumer);
    assert_eq!(take_all(&mut consumer), 0);
    drop(producer);
    let error = consumer.try_receive().expect_err("nobody is there");
    assert!(matches!(error, Error::PeerGone), "{error}");
}
