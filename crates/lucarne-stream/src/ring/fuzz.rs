//! One honest end of a ring against a peer that writes any word at any moment, as bytes decide.
//!
//! The peer's writes come between any two accesses of the honest side, so that what it read once may be different when it
//! looks again. The honest side must not panic, must not go round for ever, must not hand out a slot that is not there or
//! that is out already, and must know at every moment which slots are out.

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;

use super::{
    Bed, Breach, Collected, DamageList, FIRST_SLOT, FenceRoute, FrameNote, GENERATION, HEAD, MAGIC,
    MAX_SEQUENCE, Phase, RING_MAGIC, RingConsumer, RingProducer, SLOT_WORDS, SLOTS, STATE, Words,
    at, pack,
};
use crate::wire::{Delivery, MAX_SLOTS};

const WORDS: usize = 512;
const GENERATION_NUMBER: u64 = 7;
/// More accesses than any one call makes: each attempt looks at every slot's state, and at five words of one.
const MOST_ACCESSES: usize = 4 * (MAX_SLOTS + 8) + 16;

/// The bytes that decide, read one after the other; zeros once they are over.
struct Script<'a> {
    bytes: &'a [u8],
    next: Cell<usize>,
}

impl Script<'_> {
    fn byte(&self) -> u8 {
        let at = self.next.get();
        self.next.set(at + 1);
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn is_over(&self) -> bool {
        self.next.get() >= self.bytes.len()
    }

    fn number(&self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }
}

/// A page that the peer writes while it is being read.
struct Page<'a> {
    words: RefCell<[u64; WORDS]>,
    script: &'a Script<'a>,
    /// The newest sequence number that either side spoke of: the peer's writes are mostly near it.
    near: Cell<u64>,
    accesses: Cell<usize>,
}

impl Page<'_> {
    /// Before each access, the peer has its turn: often it does nothing.
    fn peer(&self) {
        self.accesses.set(self.accesses.get() + 1);
        if self.script.is_over() {
            return;
        }
        for _ in 0..self.script.byte() & 3 {
            self.write();
        }
    }

    /// One write of the peer's: a state, a head, or anything anywhere.
    fn write(&self) {
        let (what, which) = (self.script.byte(), usize::from(self.script.byte()));
        let near = self.near.get().wrapping_add(u64::from(what >> 5));
        let near = near.wrapping_sub(2);
        let slot = which % MAX_SLOTS;
        let (index, value) = match what & 7 {
            0..=2 => (at(slot, STATE), near << 4 | which as u64 >> 4),
            3 => (at(slot, STATE), near << 4 | 1),
            4 => (HEAD, near),
            5 => (
                FIRST_SLOT + which % (MAX_SLOTS * SLOT_WORDS),
                self.script.number(),
            ),
            6 => (
                FIRST_SLOT + which % (MAX_SLOTS * SLOT_WORDS),
                u64::from(self.script.byte()),
            ),
            _ => (
                (which * 2 + usize::from(what >> 7)) % WORDS,
                self.script.number(),
            ),
        };
        self.words.borrow_mut()[index] = value;
    }

    fn swap_unseen(&self, index: usize, value: u64) -> u64 {
        std::mem::replace(&mut self.words.borrow_mut()[index], value)
    }

    /// A call of the honest side, which makes a bounded number of accesses.
    fn bounded<T>(&self, call: impl FnOnce() -> T) -> T {
        self.accesses.set(0);
        let result = call();
        let made = self.accesses.get();
        assert!(made <= MOST_ACCESSES, "{made} accesses in one call");
        result
    }
}

impl Words for &Page<'_> {
    fn load(&self, index: usize, _: Ordering) -> u64 {
        self.peer();
        self.words.borrow()[index]
    }

    fn store(&self, index: usize, value: u64, _: Ordering) {
        self.peer();
        self.swap_unseen(index, value);
    }

    fn swap(&self, index: usize, value: u64, _: Ordering) -> u64 {
        self.peer();
        self.swap_unseen(index, value)
    }

    fn exchange(&self, index: usize, current: u64, new: u64) -> Result<(), u64> {
        self.peer();
        let word = &mut self.words.borrow_mut()[index];
        if *word == current {
            *word = new;
            return Ok(());
        }
        Err(*word)
    }

    fn fence(&self) {}
}

/// Takes the bytes as what both sides do, in turns.
///
/// # Panics
///
/// When the honest side breaks a promise.
pub fn check(bytes: &[u8]) {
    let script = Script {
        bytes,
        next: Cell::new(0),
    };
    let first = script.byte();
    let slots = 1 + usize::from(first >> 1) % MAX_SLOTS;
    let page = Page {
        words: RefCell::new([0; WORDS]),
        script: &script,
        near: Cell::new(2),
        accesses: Cell::new(0),
    };
    if first & 1 == 0 {
        consumer(&page, slots);
    } else {
        producer(&page, slots);
    }
}

fn consumer(page: &Page<'_>, slots: usize) {
    for (index, value) in [
        (MAGIC, RING_MAGIC),
        (GENERATION, GENERATION_NUMBER),
        (SLOTS, slots as u64),
    ] {
        page.swap_unseen(index, value);
    }
    let Ok(ring) = page.bounded(|| RingConsumer::new(page, GENERATION_NUMBER, slots)) else {
        return;
    };
    let mut held: Vec<(usize, u64)> = Vec::new();
    let mut last = 0;
    while !page.script.is_over() {
        let act = page.script.byte();
        match act & 7 {
            0..=2 => {
                let delivery = if act & 8 == 0 {
                    Delivery::Latest
                } else {
                    Delivery::Every
                };
                let taken = match page.bounded(|| ring.take(delivery, last, usize::from(act >> 4)))
                {
                    Ok(Some(taken)) => taken,
                    Ok(None) => continue,
                    // The honest side hangs up: nothing is taken any more, and what is held goes back.
                    Err(breach) => return end(page, &ring, &held, &breach),
                };
                assert!(taken.slot < slots, "{taken:?}");
                assert!(
                    taken.sequence > last && taken.sequence <= MAX_SEQUENCE,
                    "{taken:?}"
                );
                let again = held.iter().any(|(slot, _)| *slot == taken.slot);
                assert!(!again, "slot {} was handed out twice", taken.slot);
                let (_, flags) = page.bounded(|| ring.note(taken.slot));
                match page.bounded(|| ring.read_flags(taken.slot, flags)) {
                    Ok((_, damage)) => {
                        let count = damage.unwrap_or(0);
                        assert!(ring.damage(taken.slot, count).count() == count.into());
                    }
                    Err(breach) => return end(page, &ring, &held, &breach),
                }
                last = taken.sequence;
                page.near.set(last);
                held.push((taken.slot, taken.sequence));
            }
            3 | 4 if !held.is_empty() => {
                let (slot, sequence) = held.swap_remove(usize::from(act >> 3) % held.len());
                page.bounded(|| ring.release(slot, sequence, act & 1 != 0));
            }
            5 if act & 8 == 0 => page.bounded(|| ring.announce_sleep(Bed::Word)),
            5 => page.bounded(|| ring.announce_sleep(Bed::Socket)),
            6 => {
                page.bounded(|| ring.has_more(last));
                page.bounded(|| ring.mail());
            }
            _ => page.bounded(|| ring.awake()),
        }
    }
    end(page, &ring, &held, &"the end");
}

fn end(
    page: &Page<'_>,
    ring: &RingConsumer<&Page<'_>>,
    held: &[(usize, u64)],
    why: &dyn std::fmt::Display,
) {
    assert!(!why.to_string().is_empty());
    for (slot, sequence) in held {
        page.bounded(|| ring.release(*slot, *sequence, false));
    }
}

fn producer(page: &Page<'_>, slots: usize) {
    let mut ring = page.bounded(|| RingProducer::new(page, GENERATION_NUMBER, slots));
    let mut out: [Option<u64>; MAX_SLOTS] = [None; MAX_SLOTS];
    let mut sequence = 0;
    while !page.script.is_over() {
        let act = page.script.byte();
        let slot = usize::from(act >> 3) % slots;
        match act & 7 {
            0 | 1 if out[slot].is_none() => {
                sequence += 1;
                page.near.set(sequence);
                let note = note(page.script.byte());
                page.bounded(|| ring.publish(slot, sequence, &note));
                out[slot] = Some(sequence);
            }
            0..=2 => {
                if page.bounded(|| ring.take_back(slot)) {
                    assert!(out[slot].take().is_some(), "slot {slot} came back twice");
                }
            }
            3 | 4 => match page.bounded(|| ring.collect(slot)) {
                Ok(Collected::Held) => {}
                Ok(Collected::Released | Collected::ReleasedMailed) => {
                    assert!(out[slot].take().is_some(), "slot {slot} came back twice");
                }
                Err(breach) => return farewell(&ring, &out, &breach),
            },
            // The peer does what an honest one would, so that scripts get further.
            5 => {
                if let Some(sequence) = out[slot] {
                    let phase = [Phase::Taken, Phase::Released, Phase::ReleasedMailed];
                    let phase = phase[usize::from(page.script.byte()) % phase.len()];
                    page.swap_unseen(at(slot, STATE), pack(sequence, phase));
                }
            }
            6 => page.bounded(|| ring.announce_sleep()),
            _ => {
                page.bounded(|| ring.awake());
                page.bounded(|| ring.mailed());
            }
        }
        agree(&ring, &out);
    }
}

/// The slots that are out are known without the peer, so that all of them are free when it is shown the door.
fn agree(ring: &RingProducer<&Page<'_>>, out: &[Option<u64>; MAX_SLOTS]) {
    let expected = out.iter().enumerate();
    let expected = expected.filter_map(|(slot, sequence)| sequence.map(|number| (slot, number)));
    assert!(ring.all_out().eq(expected), "a slot was lost");
    assert!((0..MAX_SLOTS).all(|slot| ring.out(slot) == out[slot]));
}

fn farewell(ring: &RingProducer<&Page<'_>>, out: &[Option<u64>; MAX_SLOTS], breach: &Breach) {
    assert!(breach.slot.is_none_or(|slot| slot < MAX_SLOTS) && !breach.to_string().is_empty());
    agree(ring, out);
}

fn route(act: u8) -> FenceRoute {
    match act % 3 {
        0 => FenceRoute::Signaled,
        1 => FenceRoute::Attached,
        _ => FenceRoute::Mailed,
    }
}

fn note(byte: u8) -> FrameNote {
    let count = usize::from(byte >> 2) % (super::MAX_DAMAGE + 1);
    FrameNote {
        timestamp: u64::from(byte),
        fence: route(byte),
        damage: (byte & 0x80 != 0).then_some(DamageList {
            rectangles: [u64::from(byte); super::MAX_DAMAGE],
            count,
        }),
    }
}
