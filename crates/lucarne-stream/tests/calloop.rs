//! Both ends in one event loop: whoever blocks instead of waiting stops the other, too.

use calloop::timer::{TimeoutAction, Timer};
use calloop::{EventLoop, PostAction};
use lucarne_stream::calloop::{ConsumerInput, ConsumerSource, ProducerSource};
use lucarne_stream::{Delivery, Error, ProducerOptions};

#[allow(dead_code, reason = "each test program uses a part of it")]
mod common;
use common::*;

const FRAMES: u32 = 200;

#[derive(Default)]
struct Seen {
    sent: u32,
    received: u32,
    generations: u32,
    ended: bool,
}

/// Draws as long as there are slots.
fn draw(producer: &mut Ours, seen: &mut Seen) {
    while seen.sent < FRAMES {
        let Some(slot) = producer.try_acquire().expect("no error") else {
            return;
        };
        drop(slot);
        seen.sent += 1;
        send(producer, seen.sent);
    }
}

#[test]
fn every_frame_arrives_while_the_loop_sleeps_in_between() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut events: EventLoop<'_, Seen> = EventLoop::try_new().expect("a loop");
    let handle = events.handle();
    let producer = producer(folder.path(), ProducerOptions::new(EXTENT).slots(2));
    let consumer = consumer(folder.path(), Delivery::Every);

    let source = ProducerSource::new(producer).expect("watched");
    let drawn = |(): (), producer: &mut Ours, seen: &mut Seen| draw(producer, seen);
    let drawing = handle.insert_source(source, drawn).expect("inserted");
    let source = ConsumerSource::new(consumer).expect("watched");
    let watched = |input: ConsumerInput<Image>, _: &mut Theirs, seen: &mut Seen| {
        match input {
            ConsumerInput::Frame(received) => {
                seen.received += 1;
                assert_eq!(finish(received), seen.received);
            }
            ConsumerInput::Event(_) => seen.generations += 1,
            ConsumerInput::Closed(error) => {
                assert!(matches!(error, Error::PeerGone), "{error}");
                seen.ended = true;
                return PostAction::Remove;
            }
        }
        PostAction::Continue
    };
    handle.insert_source(source, watched).expect("inserted");
    // Fails the test instead of hanging it.
    let late = |_, (): &mut (), _: &mut Seen| -> TimeoutAction { panic!("nobody woke the loop") };
    handle
        .insert_source(Timer::from_duration(SOON), late)
        .expect("inserted");

    let mut seen = Seen::default();
    while seen.received < FRAMES {
        events.dispatch(None, &mut seen).expect("no error");
    }
    assert!(seen.generations >= 1, "events are told");
    handle.remove(drawing);
    while !seen.ended {
        events.dispatch(None, &mut seen).expect("no error");
    }
}
