//! The producer's end of a ring.

use std::sync::atomic::Ordering;

use super::{
    Bed, Breach, CONSUMER_SLEEPS, DAMAGE, FLAGS, FrameNote, GENERATION, HEAD, LATENCY, MAGIC, MAIL,
    PRODUCER_SLEEPS, Phase, RING_MAGIC, RingWords, SLOTS, STATE, TIMESTAMP, Words, announce_sleep,
    at, bounded, pack, unpack, wake_wanted,
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
    /// A bit for each slot that is out.
    mask: u32,
    /// The sequence number that each slot was published with last.
    sequences: [u64; MAX_SLOTS],
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
            mask: 0,
            sequences: [0; MAX_SLOTS],
            mail: 0,
        }
    }

    /// Publishes a frame, whose slot must not be out, under a sequence number higher than any before. Says whether the
    /// consumer has to be woken, and where.
    #[inline]
    pub(crate) fn publish(&mut self, slot: usize, sequence: u64, note: &FrameNote) -> Option<Bed> {
        debug_assert!(slot < self.slots && self.out(slot).is_none());
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
        self.sequences[bounded(slot)] = sequence;
        self.mask |= 1 << bounded(slot);
        // Release: whoever sees the head sees every frame up to it, and so takes them in order.
        words.store(HEAD, sequence, Ordering::Release);
        wake_wanted(words, CONSUMER_SLEEPS)
    }

    /// Takes a published frame back, if the consumer has not taken it: true if the slot is the producer's again.
    #[inline]
    pub(crate) fn take_back(&mut self, slot: usize) -> bool {
        let Some(sequence) = self.out(slot) else {
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

    /// Takes back every published frame that the consumer has not taken, but one.
    pub(crate) fn take_back_all_but(
        &mut self,
        slot: usize,
    ) -> impl Iterator<Item = usize> + use<W> {
        let mut taken = 0_u32;
        for older in slots_of(self.mask & !(1 << bounded(slot))) {
            if self.take_back(older) {
                taken |= 1 << older;
            }
        }
        slots_of(taken)
    }

    /// Takes back the slots whose readers are done and have sent no fence: a bit for each. The other mask has those that
    /// [`collect`](Self::collect) has to look at.
    #[inline]
    pub(crate) fn collect_released(&mut self) -> (u32, u32) {
        let (mut released, mut others) = (0, 0);
        for slot in slots_of(self.mask) {
            // Acquire: what the consumer did with the frame before it released it, has happened.
            let state = self.words.load(at(slot, STATE), Ordering::Acquire);
            let sequence = self.sequences[bounded(slot)];
            if state == pack(sequence, Phase::Released) {
                released |= 1 << slot;
            } else if !is_held(state, sequence) {
                others |= 1 << slot;
            }
        }
        self.mask &= !released;
        (released, others)
    }

    /// Looks whether a slot that is out has come back.
    pub(crate) fn collect(&mut self, slot: usize) -> Result<Collected, Breach> {
        let Some(sequence) = self.out(slot) else {
            return Ok(Collected::Held);
        };
        // Acquire: as above.
        let state = self.words.load(at(slot, STATE), Ordering::Acquire);
        let collected = match unpack(state) {
            _ if is_held(state, sequence) => return Ok(Collected::Held),
            Some((same, Phase::Released)) if same == sequence => Collected::Released,
            Some((same, Phase::ReleasedMailed)) if same == sequence => Collected::ReleasedMailed,
            _ => {
                return Err(Breach {
                    word: "state",
                    slot: Some(slot),
                    got: state,
                    limit: "a state of the frame that was published there",
                });
            }
        };
        self.forget(slot);
        Ok(collected)
    }

    /// How old a frame was when the consumer took it, in nanoseconds, as it says itself; 0 where it has not said so.
    pub(crate) fn latency(&self) -> u64 {
        self.words.load(LATENCY, Ordering::Relaxed)
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    #[inline]
    fn forget(&mut self, slot: usize) {
        self.mask &= !(1 << bounded(slot));
    }

    /// The sequence number of the frame in this slot, while it is out.
    #[inline]
    pub(crate) fn out(&self, slot: usize) -> Option<u64> {
        let is_out = slot < MAX_SLOTS && self.mask & 1 << slot != 0;
        is_out.then(|| self.sequences[bounded(slot)])
    }

    /// Every slot that is out, with its frame's sequence number.
    pub(crate) fn all_out(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        (0..MAX_SLOTS).filter_map(|slot| Some((slot, self.out(slot)?)))
    }

    /// Counts a message that was sent on the socket, so that a consumer which is awake looks there.
    pub(crate) fn mailed(&mut self) {
        self.mail += 1;
        self.words.store(MAIL, self.mail, Ordering::Release);
    }

    /// Whether a consumer has to be woken at its word for a message: at its socket it sees that by itself.
    ///
    /// That it sleeps there stays noted. It may have read the message already, and gone to sleep since: then only a frame wakes it.
    pub(crate) fn mail_wakes(&self) -> bool {
        self.words.fence();
        let at_word = Bed::Word as u64;
        self.words.exchange(CONSUMER_SLEEPS, at_word, 0).is_ok()
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

impl RingProducer<RingWords> {
    /// Wakes a consumer that sleeps at its word.
    #[inline]
    pub(crate) fn wake_at_word(&self) {
        self.words.wake(CONSUMER_SLEEPS);
    }
}

/// Whether the consumer has the frame, or may still take it.
#[inline]
fn is_held(state: u64, sequence: u64) -> bool {
    state == pack(sequence, Phase::Published) || state == pack(sequence, Phase::Taken)
}

/// The slots of a mask.
#[inline]
pub(crate) fn slots_of(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let slot = mask.trailing_zeros() as usize;
        mask &= mask.checked_sub(1)?;
        Some(slot)
    })
}
