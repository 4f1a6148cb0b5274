//! loom runs the ring's two ends in every order that the memory model allows, within bounds.
//!
//! Frames are loom cells: writing one while somebody reads it, or reading one whose writing is not visible, fails the model.
//! Each ordering that the ring needs is also left out once ([`Broken`]), and its model must fail: a model that cannot fail
//! proves nothing.

use std::sync::atomic::Ordering;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, fence};
use loom::thread;

use super::*;
use crate::wire::Delivery;

/// Words enough for two slots; the rest of a page would only cost time.
const WORDS: usize = FIRST_SLOT + 2 * SLOT_WORDS;

/// Looks through all slots at once, which is the harder way: a guess reads one word less.
const NO_GUESS: usize = usize::MAX;

/// An ordering that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// The release of the head and of the published state; either alone would do, as a full fence lies between two frames.
    Publication,
    /// The release of the released state.
    Release,
    /// The acquire of the collected state.
    Collection,
    /// The fences around the sleep flags.
    Fences,
}

#[derive(Clone)]
struct LoomWords {
    words: Arc<Vec<Option<AtomicU64>>>,
    broken: Broken,
}

impl LoomWords {
    fn new(broken: Broken) -> Self {
        let used = |index: &usize| {
            matches!(*index, MAGIC | GENERATION | SLOTS)
                || matches!(*index, CONSUMER_SLEEPS | PRODUCER_SLEEPS | HEAD | MAIL)
                || (*index >= FIRST_SLOT && (*index - FIRST_SLOT) % SLOT_WORDS <= FLAGS)
        };
        let word = |index: usize| used(&index).then(|| AtomicU64::new(0));
        Self {
            words: Arc::new((0..WORDS).map(word).collect()),
            broken,
        }
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        self.words[index]
            .as_ref()
            .expect("a word that the model has")
    }
}

impl Words for LoomWords {
    fn load(&self, index: usize, order: Ordering) -> u64 {
        let collected = index >= FIRST_SLOT && order == Ordering::Acquire;
        match self.broken {
            Broken::Collection if collected => self.word(index).load(Ordering::Relaxed),
            _ => self.word(index).load(order),
        }
    }

    fn store(&self, index: usize, value: u64, order: Ordering) {
        let state = index >= FIRST_SLOT && order == Ordering::Release;
        let published = state && value & 0xf == Phase::Published as u64;
        let left_out = match self.broken {
            Broken::Publication => index == HEAD || published,
            Broken::Release => state && !published,
            _ => false,
        };
        let order = if left_out { Ordering::Relaxed } else { order };
        self.word(index).store(value, order);
    }

    fn swap(&self, index: usize, value: u64, order: Ordering) -> u64 {
        self.word(index).swap(value, order)
    }

    fn exchange(&self, index: usize, current: u64, new: u64) -> Result<(), u64> {
        let word = self.word(index);
        let result = word.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire);
        result.map(|_| ())
    }

    fn fence(&self) {
        if self.broken != Broken::Fences {
            fence(Ordering::SeqCst);
        }
    }
}

/// What a slot's frame shows: the sequence number that was written last.
type Frames = Arc<[UnsafeCell<u64>; 2]>;

/// loom checks the access itself; the value is not looked at, which would take unsafe code.
fn touch_to_write(frames: &Frames, slot: usize) {
    frames[slot].with_mut(|_| ());
}

fn touch_to_read(frames: &Frames, slot: usize) {
    frames[slot].with(|_| ());
}

fn note(sequence: u64) -> FrameNote {
    FrameNote {
        timestamp: sequence * 1000,
        fence: FenceRoute::Signaled,
        damage: None,
    }
}

fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(body);
}

fn ends(
    broken: Broken,
    slots: usize,
) -> (RingProducer<LoomWords>, RingConsumer<LoomWords>, Frames) {
    let words = LoomWords::new(broken);
    let producer = RingProducer::new(words.clone(), 1, slots);
    let consumer = RingConsumer::new(words, 1, slots).expect("the header");
    (
        producer,
        consumer,
        Arc::new([UnsafeCell::new(0), UnsafeCell::new(0)]),
    )
}

fn write_and_publish(ring: &mut RingProducer<LoomWords>, frames: &Frames, slot: usize, frame: u64) {
    touch_to_write(frames, slot);
    ring.publish(slot, frame, &note(frame));
}

/// Takes what there is and checks that it is whole.
fn take(
    ring: &RingConsumer<LoomWords>,
    frames: &Frames,
    delivery: Delivery,
    last: &mut u64,
) -> bool {
    take_first(ring, frames, delivery, last, NO_GUESS)
}

/// As [`take`], after a look into the slot `guess`.
fn take_first(
    ring: &RingConsumer<LoomWords>,
    frames: &Frames,
    delivery: Delivery,
    last: &mut u64,
    guess: usize,
) -> bool {
    let Some(taken) = ring.take(delivery, *last, guess).expect("no breach") else {
        return false;
    };
    assert!(taken.sequence > *last);
    assert_eq!(
        ring.note(taken.slot),
        (note(taken.sequence).timestamp, 0),
        "the note of another frame"
    );
    touch_to_read(frames, taken.slot);
    *last = taken.sequence;
    ring.release(taken.slot, taken.sequence, false);
    true
}

/// Frames of `Every` arrive whole and in order, and a slot is written again only after its reader is done.
fn every_frame_arrives_in_order_and_whole(broken: Broken) {
    for guesses in [false, true] {
        model(move || {
            let (mut producer, consumer, frames) = ends(broken, 2);
            let theirs = frames.clone();
            let reader = thread::spawn(move || {
                let mut last = 0;
                for _ in 0..3 {
                    let before = last;
                    // The first frame lies in slot 1, the second in slot 0.
                    let guess = if guesses {
                        1 - usize::try_from(before % 2).unwrap_or(0)
                    } else {
                        NO_GUESS
                    };
                    if take_first(&consumer, &theirs, Delivery::Every, &mut last, guess) {
                        assert_eq!(last, before + 1, "a frame was lost");
                    }
                }
            });
            // The later frame lies in the earlier slot, so that the order of slots is not the order of frames.
            write_and_publish(&mut producer, &frames, 1, 1);
            write_and_publish(&mut producer, &frames, 0, 2);
            if producer.collect_released() == (0b10, 0) {
                write_and_publish(&mut producer, &frames, 1, 3);
            }
            reader.join().expect("the reader");
        });
    }
}

/// In `Latest`, a frame is either taken by the consumer or taken back by the producer, never both.
fn a_frame_taken_back_is_read_by_nobody(broken: Broken) {
    for guess in [NO_GUESS, 0, 1] {
        model(move || {
            let (mut producer, consumer, frames) = ends(broken, 2);
            let theirs = frames.clone();
            let reader = thread::spawn(move || {
                let mut last = 0;
                for _ in 0..2 {
                    take_first(&consumer, &theirs, Delivery::Latest, &mut last, guess);
                }
            });
            write_and_publish(&mut producer, &frames, 0, 1);
            write_and_publish(&mut producer, &frames, 1, 2);
            let free =
                producer.take_back(0) || producer.collect(0).expect("no breach") != Collected::Held;
            if free {
                write_and_publish(&mut producer, &frames, 0, 3);
            }
            reader.join().expect("the reader");
        });
    }
}

/// A consumer that found nothing and sleeps is woken: it sees the frame when it looks again, or the producer sees that it
/// sleeps, and where.
fn no_wake_up_of_the_consumer_is_lost(broken: Broken) {
    for (bed, guess) in [
        (Bed::Socket, NO_GUESS),
        (Bed::Word, NO_GUESS),
        (Bed::Word, 0),
    ] {
        model(move || {
            let (mut producer, consumer, frames) = ends(broken, 1);
            let theirs = frames.clone();
            let reader = thread::spawn(move || {
                consumer.announce_sleep(bed);
                take_first(&consumer, &theirs, Delivery::Latest, &mut 0, guess)
            });
            touch_to_write(&frames, 0);
            let woken = producer.publish(0, 1, &note(1));
            let seen = reader.join().expect("the reader");
            assert!(woken.is_none_or(|woken| woken == bed), "woken elsewhere");
            assert!(
                seen || woken.is_some(),
                "the consumer sleeps on, and there is a frame"
            );
        });
    }
}

/// A consumer that sleeps at its word is woken for a message, too.
fn no_message_is_slept_through(broken: Broken) {
    model(move || {
        let (mut producer, consumer, _) = ends(broken, 1);
        let reader = thread::spawn(move || {
            consumer.announce_sleep(Bed::Word);
            consumer.mail() != 0
        });
        producer.mailed();
        let woken = producer.mail_wakes();
        let seen = reader.join().expect("the reader");
        assert!(seen || woken, "the consumer sleeps on, and there is mail");
    });
}

/// The same when the consumer's only chance is taken back by a newer frame.
fn no_wake_up_is_lost_to_a_frame_that_is_taken_back(broken: Broken) {
    model(move || {
        let (mut producer, consumer, frames) = ends(broken, 2);
        let theirs = frames.clone();
        write_and_publish(&mut producer, &frames, 0, 1);
        let reader = thread::spawn(move || {
            consumer.announce_sleep(Bed::Socket);
            take(&consumer, &theirs, Delivery::Latest, &mut 0)
        });
        touch_to_write(&frames, 1);
        let woken = producer.publish(1, 2, &note(2));
        producer.take_back(0);
        let seen = reader.join().expect("the reader");
        assert!(
            seen || woken.is_some(),
            "the consumer sleeps on, and there is a frame"
        );
    });
}

/// A producer without a free slot is woken by the release.
fn no_wake_up_of_the_producer_is_lost(broken: Broken) {
    model(move || {
        let (mut producer, consumer, frames) = ends(broken, 1);
        let theirs = frames.clone();
        write_and_publish(&mut producer, &frames, 0, 1);
        let reader = thread::spawn(move || {
            let taken = consumer.take(Delivery::Latest, 0, 0).expect("no breach");
            let taken = taken.expect("published before");
            touch_to_read(&theirs, taken.slot);
            consumer.release(taken.slot, taken.sequence, false)
        });
        producer.announce_sleep();
        let (back, others) = producer.collect_released();
        assert_eq!(others, 0, "no breach");
        let back = back == 1;
        if back {
            touch_to_write(&frames, 0);
        }
        let woken = reader.join().expect("the reader");
        assert!(back || woken, "the producer sleeps on, and there is a slot");
    });
}

macro_rules! hold {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            super::$name(Broken::Nothing);
        }
    )*};
}

mod whole {
    use super::Broken;

    hold! {
        every_frame_arrives_in_order_and_whole
        a_frame_taken_back_is_read_by_nobody
        no_wake_up_of_the_consumer_is_lost
        no_wake_up_is_lost_to_a_frame_that_is_taken_back
        no_wake_up_of_the_producer_is_lost
        no_message_is_slept_through
    }
}

macro_rules! fail {
    ($($name:ident: $model:ident($broken:ident), $message:literal;)*) => {$(
        #[test]
        #[should_panic(expected = $message)]
        fn $name() {
            super::$model(Broken::$broken);
        }
    )*};
}

mod broken {
    use super::Broken;

    fail! {
        a_publication_without_release: every_frame_arrives_in_order_and_whole(Publication), "";
        a_release_without_release: every_frame_arrives_in_order_and_whole(Release), "Causality";
        a_collection_without_acquire: every_frame_arrives_in_order_and_whole(Collection), "Causality";
        a_taking_back_without_release: a_frame_taken_back_is_read_by_nobody(Release), "Causality";
        a_sleeping_consumer_without_fences: no_wake_up_of_the_consumer_is_lost(Fences), "sleeps on";
        a_taking_back_without_fences:
            no_wake_up_is_lost_to_a_frame_that_is_taken_back(Fences), "sleeps on";
        a_sleeping_producer_without_fences: no_wake_up_of_the_producer_is_lost(Fences), "sleeps on";
        a_message_without_fences: no_message_is_slept_through(Fences), "sleeps on";
    }
}
