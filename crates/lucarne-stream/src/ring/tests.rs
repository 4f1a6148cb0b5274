//! The ring over real shared memory, and against peers that write what they like.

use lucarne::kernel::Memfd;
use proptest::prelude::*;

use super::*;
use crate::wire::Delivery;

fn memory() -> Memfd {
    Memfd::create("ring", RING_BYTES).expect("a memfd")
}

fn words(memory: &Memfd) -> RingWords {
    RingWords::new(memory).expect("mapped")
}

fn note(timestamp: u64) -> FrameNote {
    FrameNote {
        timestamp,
        fence: FenceRoute::Signaled,
        damage: None,
    }
}

struct Ends {
    producer: RingProducer<RingWords>,
    consumer: RingConsumer<RingWords>,
    /// What a peer could do.
    raw: RingWords,
}

fn ends(slots: usize) -> Ends {
    let memory = memory();
    let producer = RingProducer::new(words(&memory), 5, slots);
    let consumer = RingConsumer::new(words(&memory), 5, slots).expect("the header");
    let raw = words(&memory);
    Ends {
        producer,
        consumer,
        raw,
    }
}

/// Between a message and the look at the word the consumer may have read the message, and gone to sleep at its socket.
#[test]
fn mail_takes_no_sleepers_wake_up_for_a_frame() {
    let mut ends = ends(3);
    ends.producer.mailed();
    ends.consumer.announce_sleep(Bed::Socket);
    assert!(!ends.producer.mail_wakes(), "it sees its socket by itself");
    let asleep = ends.producer.publish(0, 1, &note(1));
    assert_eq!(asleep, Some(Bed::Socket), "it still sleeps");
    ends.consumer.announce_sleep(Bed::Word);
    assert!(ends.producer.mail_wakes(), "nothing else wakes it there");
    assert!(!ends.producer.mail_wakes(), "one sleep, one wake-up");
}

#[test]
fn all_words_lie_within_the_memory() {
    let last = at(MAX_SLOTS - 1, SLOT_WORDS - 1);
    assert!((last as u64 + 1) * 8 <= RING_BYTES);
    const { assert!(MAIL < FIRST_SLOT) };
    // Damage is the last thing in a slot.
    assert_eq!(DAMAGE + MAX_DAMAGE, SLOT_WORDS);
}

#[test]
fn latest_drops_and_every_does_not() {
    let mut ends = ends(3);
    for (slot, sequence) in [(2, 1), (0, 2), (1, 3)] {
        ends.producer.publish(slot, sequence, &note(sequence));
    }
    let taken = ends
        .consumer
        .take(Delivery::Every, 0, 0)
        .expect("no breach");
    let taken = taken.expect("a frame");
    assert_eq!(
        (taken.slot, taken.sequence, ends.consumer.note(taken.slot).0),
        (2, 1, 1)
    );
    let taken = ends
        .consumer
        .take(Delivery::Latest, 1, 0)
        .expect("no breach");
    let taken = taken.expect("a frame");
    assert_eq!((taken.slot, taken.sequence), (1, 3));
    assert!(ends.producer.take_back(0), "nobody took it");
    assert!(!ends.producer.take_back(1), "somebody reads it");
    let nothing = ends.consumer.take(Delivery::Every, 3, 0);
    assert_eq!(nothing, Ok(None));
    ends.consumer.release(1, 3, true);
    assert_eq!(ends.producer.collect(1), Ok(Collected::ReleasedMailed));
    assert_eq!(ends.producer.collect(2), Ok(Collected::Held));
    ends.consumer.release(2, 1, false);
    assert_eq!(ends.producer.collect(2), Ok(Collected::Released));
    assert_eq!(ends.producer.all_out().count(), 0);
}

#[test]
fn wake_ups_are_asked_for_once_per_sleep() {
    let mut ends = ends(2);
    let mut slot = 0;
    let mut publish = |ends: &mut Ends| {
        let sequence = u64::try_from(slot).expect("small") + 1;
        slot += 1;
        ends.producer.publish(slot - 1, sequence, &note(sequence))
    };
    assert_eq!(publish(&mut ends), None, "it is awake");
    ends.consumer.announce_sleep(Bed::Socket);
    assert_eq!(publish(&mut ends), Some(Bed::Socket), "it sleeps");
    let asked = || wake_wanted(&ends.raw, CONSUMER_SLEEPS);
    assert_eq!(asked(), None, "it was woken");
    ends.consumer.announce_sleep(Bed::Word);
    assert_eq!(asked(), Some(Bed::Word), "it sleeps at the word");
    assert_eq!(asked(), None, "it was woken");
    ends.consumer.announce_sleep(Bed::Word);
    ends.consumer.awake();
    assert_eq!(asked(), None, "it woke by itself");
    ends.raw.store(CONSUMER_SLEEPS, u64::MAX, Ordering::Relaxed);
    assert_eq!(asked(), Some(Bed::Socket), "nobody knows where it sleeps");
    ends.producer.announce_sleep();
    let taken = ends
        .consumer
        .take(Delivery::Latest, 0, 1)
        .expect("no breach");
    let taken = taken.expect("a frame");
    assert!(ends.consumer.release(taken.slot, taken.sequence, false));
    ends.producer.awake();
}

/// A guess is only where to begin: right, wrong or out of range, the same frame is found.
#[test]
fn any_guess_finds_the_frame() {
    for delivery in [Delivery::Latest, Delivery::Every] {
        for guess in [0, 1, 2, 3, usize::MAX] {
            let mut ends = ends(3);
            for (slot, sequence) in [(1, 1), (2, 2)] {
                ends.producer.publish(slot, sequence, &note(sequence));
            }
            let taken = ends.consumer.take(delivery, 0, guess).expect("no breach");
            let taken = taken.expect("a frame");
            let wanted = match delivery {
                Delivery::Latest => (2, 2),
                Delivery::Every => (1, 1),
            };
            assert_eq!(
                (taken.slot, taken.sequence),
                wanted,
                "{delivery:?}, {guess}"
            );
        }
    }
}

#[test]
fn damage_comes_through() {
    let mut ends = ends(1);
    let all = Damage {
        x: 0,
        y: 0,
        width: 32_768,
        height: 32_768,
    };
    let small = Damage {
        x: 32_767,
        y: 7,
        width: 1,
        height: 2,
    };
    let damage = DamageList::new(&[all, small]);
    assert!(damage.is_some());
    let sent = FrameNote {
        timestamp: 9,
        fence: FenceRoute::Attached,
        damage,
    };
    ends.producer.publish(0, 1, &sent);
    let taken = ends
        .consumer
        .take(Delivery::Latest, 0, 0)
        .expect("no breach");
    let taken = taken.expect("a frame");
    let (timestamp, flags) = ends.consumer.note(taken.slot);
    assert_eq!(timestamp, 9);
    let read = ends.consumer.read_flags(taken.slot, flags);
    assert_eq!(read, Ok((FenceRoute::Attached, Some(2))));
    // What a peer writes afterwards changes nothing.
    ends.raw.word(at(0, DAMAGE)).store(0, Ordering::Relaxed);
    let list: Vec<Damage> = ends.consumer.damage(0, 2).collect();
    assert_eq!(list, [all, small]);
    assert_eq!(DamageList::new(&[all; MAX_DAMAGE + 1]), None);
    let empty = Damage { width: 0, ..all };
    assert_eq!(DamageList::new(&[empty]), None);
}

#[test]
fn a_ring_that_is_none_is_refused() {
    let memory = memory();
    let error = RingConsumer::new(words(&memory), 5, 3).expect_err("zeros");
    assert_eq!(error.word, "magic");
    let _producer = RingProducer::new(words(&memory), 5, 3);
    let error = RingConsumer::new(words(&memory), 6, 3).expect_err("another generation");
    assert_eq!(error.word, "generation");
    let error = RingConsumer::new(words(&memory), 5, 2).expect_err("another count");
    assert_eq!(error.word, "slots");
}

#[test]
fn states_that_cannot_be_are_breaches_for_the_producer() {
    let impossible = [
        0,
        pack(1, Phase::Free),
        pack(2, Phase::Published),
        pack(2, Phase::Released),
        pack(1, Phase::Published) | 0xe,
        u64::MAX,
    ];
    for state in impossible {
        let mut ends = ends(1);
        ends.producer.publish(0, 1, &note(1));
        ends.raw.store(at(0, STATE), state, Ordering::Release);
        assert_eq!(ends.producer.collect_released(), (0, 1));
        let breach = ends.producer.collect(0).expect_err("impossible");
        assert_eq!((breach.word, breach.got), ("state", state));
        assert!(!ends.producer.take_back(0));
    }
}

#[test]
fn words_that_cannot_be_are_breaches_for_the_consumer() {
    let impossible = [
        ("head", HEAD, 1),
        ("head", HEAD, MAX_SEQUENCE + 1),
        ("state", at(1, STATE), 0xf),
        ("flags", at(0, FLAGS), 3),
        ("flags", at(0, FLAGS), 8),
        ("flags", at(0, FLAGS), 1 << 4),
        ("flags", at(0, FLAGS), 1 << 2 | 5 << 4),
        ("flags", at(0, FLAGS), 1 << 8),
        ("flags", at(0, FLAGS), 1 << 63),
    ];
    for (word, index, value) in impossible {
        let mut ends = ends(2);
        ends.producer.publish(0, 3, &note(3));
        ends.raw.store(index, value, Ordering::Release);
        let taken = ends.consumer.take(Delivery::Latest, 2, usize::MAX);
        // Flags are read once the frame is taken.
        let breach = match taken.map(|taken| taken.expect("a frame")) {
            Err(breach) => breach,
            Ok(taken) => {
                let (_, flags) = ends.consumer.note(taken.slot);
                let read = ends.consumer.read_flags(taken.slot, flags);
                read.expect_err(word)
            }
        };
        assert_eq!((breach.word, breach.got), (word, value));
    }
}

proptest! {
    /// Whatever stands in the memory, and however it changes: an answer, and never a slot that does not exist.
    #[test]
    fn a_consumer_survives_any_ring(
        noise in proptest::collection::vec((0..512_usize, any::<u64>()), 1..40),
        small in proptest::collection::vec((0..16_usize, 0..80_u64), 0..20),
        every in any::<bool>(),
    ) {
        let ends = ends(7);
        for (index, value) in noise {
            ends.raw.store(index, value, Ordering::Relaxed);
        }
        for (slot, state) in small {
            ends.raw.store(at(slot, STATE), state, Ordering::Relaxed);
            ends.raw.store(HEAD, 4, Ordering::Relaxed);
        }
        let delivery = if every { Delivery::Every } else { Delivery::Latest };
        if let Ok(Some(taken)) = ends.consumer.take(delivery, 1, usize::MAX) {
            prop_assert!(taken.slot < 7 && taken.sequence > 1);
            let (_, flags) = ends.consumer.note(taken.slot);
            if let Ok((_, Some(count))) = ends.consumer.read_flags(taken.slot, flags) {
                prop_assert_eq!(ends.consumer.damage(taken.slot, count).count(), count.into());
            }
            ends.consumer.release(taken.slot, taken.sequence, false);
        }
    }

    /// The producer gets a slot back only after it was out, and once, whatever the consumer writes.
    #[test]
    fn a_producer_survives_any_consumer(
        steps in proptest::collection::vec((0..4_usize, 0..3_u8, 0..120_u64), 1..60),
    ) {
        let mut ends = ends(4);
        let mut sequence = 0;
        let mut out = [false; 4];
        for (slot, step, state) in steps {
            match step {
                0 if !out[slot] => {
                    sequence += 1;
                    ends.producer.publish(slot, sequence, &note(0));
                    out[slot] = true;
                }
                1 => ends.raw.store(at(slot, STATE), state, Ordering::Relaxed),
                _ => {
                    let back = ends.producer.take_back(slot)
                        || matches!(ends.producer.collect(slot), Ok(Collected::Released | Collected::ReleasedMailed));
                    prop_assert!(!back || out[slot]);
                    out[slot] &= !back;
                }
            }
            for (slot, out) in out.iter().enumerate() {
                prop_assert_eq!(ends.producer.out(slot).is_some(), *out);
            }
        }
    }
}
