//! The producer's end of a ring.

use std::sync::atomic::Ordering;

use lucarne::kernel::SharedWords;

use super::{
    Bed, Breach, CONSUMER_SLEEPS, DAMAGE, FLAGS, FrameNote, GENERATION, HEAD, MAGIC, MAIL,
    PRODUCER_SLEEPS, Phase, RING_MAGIC, SLOTS, STATE, TIMESTAMP, Words, announce_sleep, at, pack,
    unpack, wake_wanted,
};
use crate::wire::MAX_SLOTS;

/// What became of a slot that was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collected {
    /// The consumer has not taken it yet, or reads it.
    Held,
    /// Its reader is done.
    Released,
    /// Its reader is done when the fence has signalled that was sent on the socket before.
    ReleasedMailed,
}

/// The producer's end: publishes frames, and gets their slots back.
///
/// What was published is remembered here, in memory that the consumer cannot reach.
#[derive(Debug)]
pub(crate) struct RingProducer<W> {
    words: W,
    slots: usize,
    /// The sequence number that each slot was published with, while it is out.
    out: [Option<u64>; MAX_SLOTS],
    /// A bit for each slot that is out.
    mask: u32,
    mail: u64,
}

impl<W: Words> RingProducer<W> {
    /// Writes a new ring's header. `words` are zero, and nobody else has them yet.
    pub(crate) fn new(words: W, generation: u64, slots: usize) -> Self {
        debug_assert!(slots <= MAX_SLOTS);
        words.store(GENERATION, generation, Ordering::Relaxed);
        words.store(SLOTS, slots as u64, Ordering::Relaxed);
        words.store(MAGIC, RING_MAGIC, Ordering::Release);
        Self {
            words,
            slots,
            out: [None; MAX_SLOTS],
            mask: 0,
            mail: 0,
        }
    }

    /// Publishes a frame, whose slot must not be out, under a sequence number higher than any before. Says whether the
    /// consumer has to be woken, and where.
    #[inline]
    pub(crate) fn publish(&mut self, slot: usize, sequence: u64, note: &FrameNote) -> Option<Bed> {
        debug_assert!(slot < self.slots && self.out[slot].is_none());
        let words = &self.words;
        words.store(at(slot, TIMESTAMP), note.timestamp, Ordering::Relaxed);
        words.store(at(slot, FLAGS), note.flags(), Ordering::Relaxed);
        if let Some(list) = &note.damage {
            for (index, rectangle) in list.rectangles.iter().take(list.count).enumerate() {
                words.store(at(slot, DAMAGE + index), *rectangle, Ordering::Relaxed);
            }
        }
        // Release: whoever sees the state sees the note, and what was written into the frame before.
        let state = pack(sequence, Phase::Published);
        words.store(at(slot, STATE), state, Ordering::Release);
        self.out[slot] = Some(sequence);
        self.mask |= 1 << slot;
        // Release: whoever sees the head sees every frame up to it, and so takes them in order.
        words.store(HEAD, sequence, Ordering::Release);
        wake_wanted(words, CONSUMER_SLEEPS)
    }

    /// Takes a published frame back, if the consumer has not taken it: true if the slot is the producer's again.
    #[inline]
    pub(crate) fn take_back(&mut self, slot: usize) -> bool {
        let Some(sequence) = self.out[slot] else {
            return false;
        };
        let published = pack(sequence, Phase::Published);
        let free = pack(sequence, Phase::Free);
        let back = self.words.exchange(at(slot, STATE), published, free);
        if back.is_ok() {
            self.forget(slot);
        }
        back.is_ok()
    }

    /// Looks whether a slot that is out has come back.
    #[inline]
    pub(crate) fn collect(&mut self, slot: usize) -> Result<Collected, Breach> {
        let Some(sequence) = self.out[slot] else {
            return Ok(Collected::Held);
        };
        // Acquire: what the consumer did with the frame before it released it, has happened.
        let state = self.words.load(at(slot, STATE), Ordering::Acquire);
        let collected = match unpack(state) {
            Some((same, Phase::Published | Phase::Taken)) if same == sequence => {
                return Ok(Collected::Held);
            }
            Some((same, Phase::Released)) if same == sequence => Collected::Released,
            Some((same, Phase::ReleasedMailed)) if same == sequence => Collected::ReleasedMailed,
            _ => {
                return Err(Breach {
                    word: "state",
                    slot,
                    got: state,
                    limit: "a state of the frame that was published there",
                });
            }
        };
        self.forget(slot);
        Ok(collected)
    }

    fn forget(&mut self, slot: usize) {
        self.out[slot] = None;
        self.mask &= !(1 << slot);
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// The slots that are out, a bit each.
    #[inline]
    pub(crate) fn mask(&self) -> u32 {
        self.mask
    }

    /// The sequence number of the frame in this slot, while it is out.
    #[inline]
    pub(crate) fn out(&self, slot: usize) -> Option<u64> {
        self.out.get(slot).copied().flatten()
    }

    /// Every slot that is out, with its frame's sequence number.
    pub(crate) fn all_out(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let slots = self.out.iter().enumerate();
        slots.filter_map(|(slot, sequence)| sequence.map(|sequence| (slot, sequence)))
    }

    /// Counts a message that was sent on the socket, so that a consumer which is awake looks there.
    pub(crate) fn mailed(&mut self) {
        self.mail += 1;
        self.words.store(MAIL, self.mail, Ordering::Release);
    }

    /// Whether a consumer has to be woken at its word for a message: at its socket it sees that by itself.
    pub(crate) fn mail_wakes(&self) -> bool {
        wake_wanted(&self.words, CONSUMER_SLEEPS) == Some(Bed::Word)
    }

    /// Says that the producer is about to sleep; the caller collects once more before it does.
    #[inline]
    pub(crate) fn announce_sleep(&self) {
        announce_sleep(&self.words, PRODUCER_SLEEPS, Bed::Socket);
    }

    /// The producer is awake again: no wake-ups are needed.
    #[inline]
    pub(crate) fn awake(&self) {
        self.words.store(PRODUCER_SLEEPS, 0, Ordering::Relaxed);
    }
}

impl RingProducer<SharedWords> {
    /// Wakes a consumer that sleeps at its word.
    pub(crate) fn wake_at_word(&self) {
        self.words.wake(CONSUMER_SLEEPS);
    }
}
