//! The consumer's end of a ring.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::{
    Bed, Breach, CONSUMER_SLEEPS, DAMAGE, Damage, FLAGS, FenceRoute, FrameNote, GENERATION, HEAD,
    LATENCY, MAGIC, MAIL, MAX_DAMAGE, MAX_SEQUENCE, PRODUCER_SLEEPS, Phase, RING_MAGIC, RingWords,
    SLOTS, STATE, TIMESTAMP, Words, announce_sleep, at, bounded, pack, unpack, wake_wanted,
};
use crate::wire::{Delivery, MAX_SLOTS};

/// A frame that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) slot: usize,
    pub(crate) sequence: u64,
}

/// The consumer's end: takes frames and gives them back.
///
/// Releasing needs no exclusive access, so that whoever holds a frame can give it back from any thread. The sequence number
/// of the last frame is remembered by the caller.
#[derive(Debug)]
pub(crate) struct RingConsumer<W> {
    words: W,
    slots: usize,
    /// A bit for each slot whose frame is held, in memory that the producer cannot reach: a slot is not handed out twice,
    /// whatever its state says. Ordered by the state words, between which it changes.
    held: AtomicU32,
    /// The damage of each slot whose frame is held, as it was read when the frame was taken.
    damage: [[AtomicU64; MAX_DAMAGE]; MAX_SLOTS],
}

/// How often a frame is looked for that the producer takes back meanwhile. Giving up loses nothing: the producer has
/// published a newer one by then, and wakes whoever sleeps.
const ATTEMPTS: usize = 4;

impl<W: Words> RingConsumer<W> {
    /// Takes a producer's ring and checks its header.
    pub(crate) fn new(words: W, generation: u64, slots: usize) -> Result<Self, Breach> {
        let expected = [
            ("magic", MAGIC, RING_MAGIC),
            ("generation", GENERATION, generation),
            ("slots", SLOTS, slots as u64),
        ];
        for (word, index, value) in expected {
            let got = words.load(index, Ordering::Acquire);
            if got != value {
                let limit = "as the Configure message says";
                return Err(Breach {
                    word,
                    slot: None,
                    got,
                    limit,
                });
            }
        }
        Ok(Self {
            words,
            slots,
            held: AtomicU32::new(0),
            damage: [const { [const { AtomicU64::new(0) }; MAX_DAMAGE] }; MAX_SLOTS],
        })
    }

    /// Takes the next frame after `last`, which is the newest for [`Delivery::Latest`] and the oldest for
    /// [`Delivery::Every`]. `None` where there is none. Never waits.
    ///
    /// `guess` is the slot that is looked into first: slots mostly come in turn, and the others need not be read then.
    #[inline]
    pub(crate) fn take(
        &self,
        delivery: Delivery,
        last: u64,
        guess: usize,
    ) -> Result<Option<Taken>, Breach> {
        // Acquire: every frame up to the head is visible in its slot.
        let head = self.words.load(HEAD, Ordering::Acquire);
        if head == last {
            return Ok(None);
        }
        // The newest frame is what Latest wants; the next one is what Every wants.
        let wanted = delivery == Delivery::Latest || head == last + 1;
        if wanted
            && guess < self.slots
            && (last..MAX_SEQUENCE).contains(&(head.wrapping_sub(1)))
            && let Some(taken) = self.try_slot(guess, head)?
        {
            return Ok(Some(taken));
        }
        self.search(delivery, last)
    }

    /// Looks through all slots.
    #[cold]
    fn search(&self, delivery: Delivery, last: u64) -> Result<Option<Taken>, Breach> {
        for _ in 0..ATTEMPTS {
            let head = self.words.load(HEAD, Ordering::Acquire);
            if head < last || head > MAX_SEQUENCE {
                let limit = if head < last {
                    "no lower than the last frame's"
                } else {
                    "below 2^60"
                };
                return Err(Breach {
                    word: "head",
                    slot: None,
                    got: head,
                    limit,
                });
            }
            let Some((sequence, slot)) = self.find(delivery, last, head)? else {
                return Ok(None);
            };
            if let Some(taken) = self.try_slot(slot, sequence)? {
                return Ok(Some(taken));
            }
        }
        Ok(None)
    }

    /// Takes a frame out of a slot, if it is published there.
    #[inline]
    fn try_slot(&self, slot: usize, sequence: u64) -> Result<Option<Taken>, Breach> {
        let published = pack(sequence, Phase::Published);
        let taken = pack(sequence, Phase::Taken);
        // Acquire on success: the note, and what was written into the frame, is visible.
        let exchanged = self.words.exchange(at(slot, STATE), published, taken);
        if exchanged.is_err() {
            return Ok(None);
        }
        if self.held.fetch_or(1 << slot, Ordering::Relaxed) & 1 << slot != 0 {
            return Err(Breach {
                word: "state",
                slot: Some(slot),
                got: published,
                limit: "taken: its last frame has not been released",
            });
        }
        Ok(Some(Taken { slot, sequence }))
    }

    /// The published frame after `last` and not after `head` that is wanted: (sequence, slot).
    fn find(
        &self,
        delivery: Delivery,
        last: u64,
        head: u64,
    ) -> Result<Option<(u64, usize)>, Breach> {
        let mut found: Option<(u64, usize)> = None;
        for slot in 0..self.slots {
            let state = self.words.load(at(slot, STATE), Ordering::Relaxed);
            let Some((sequence, phase)) = unpack(state) else {
                return Err(Breach {
                    word: "state",
                    slot: Some(slot),
                    got: state,
                    limit: "a state that the protocol has",
                });
            };
            if phase != Phase::Published || sequence > head {
                continue;
            }
            let again = found.is_some_and(|(other, _)| other == sequence);
            // One that Every has not taken yet is newer than its last; from Latest older ones are taken back.
            let is_over = sequence < last && delivery == Delivery::Every;
            if again || is_over || sequence == last {
                return Err(Breach {
                    word: "state",
                    slot: Some(slot),
                    got: state,
                    limit: "of a number that was not published before",
                });
            }
            if sequence < last {
                continue;
            }
            let better = found.is_none_or(|(best, _)| match delivery {
                Delivery::Latest => sequence > best,
                Delivery::Every => sequence < best,
            });
            if better {
                found = Some((sequence, slot));
            }
        }
        Ok(found)
    }

    /// What is said of a frame that this side holds: its time in nanoseconds, and its flags.
    #[inline]
    pub(crate) fn note(&self, slot: usize) -> (u64, u64) {
        let timestamp = self.words.load(at(slot, TIMESTAMP), Ordering::Relaxed);
        let flags = self.words.load(at(slot, FLAGS), Ordering::Relaxed);
        (timestamp, flags)
    }

    /// What flags say: how the acquire fence comes, and how many rectangles differ from the frame before, or `None` for
    /// everything. The rectangles are read now, and kept until the frame is given back. No flag is set of a frame that is
    /// ready and has changed everywhere.
    pub(crate) fn read_flags(
        &self,
        slot: usize,
        flags: u64,
    ) -> Result<(FenceRoute, Option<u8>), Breach> {
        let Some((fence, damage)) = FrameNote::read_flags(flags) else {
            return Err(Breach {
                word: "flags",
                slot: Some(slot),
                got: flags,
                limit: "flags that the protocol has",
            });
        };
        let kept = &self.damage[bounded(slot)];
        for (index, kept) in kept.iter().take(damage.unwrap_or(0).into()).enumerate() {
            let rectangle = self.words.load(at(slot, DAMAGE + index), Ordering::Relaxed);
            kept.store(rectangle, Ordering::Relaxed);
        }
        Ok((fence, damage))
    }

    /// The first `count` rectangles of a frame that is held.
    pub(crate) fn damage(&self, slot: usize, count: u8) -> impl Iterator<Item = Damage> + '_ {
        let kept = self.damage[bounded(slot)].iter().take(count.into());
        kept.map(|word| Damage::unpack(word.load(Ordering::Relaxed)))
    }

    /// Gives a frame back that was taken; `mailed` where its release fence was sent on the socket before. Says whether the
    /// producer has to be woken.
    #[inline]
    pub(crate) fn release(&self, slot: usize, sequence: u64, mailed: bool) -> bool {
        let phase = if mailed {
            Phase::ReleasedMailed
        } else {
            Phase::Released
        };
        // Before the state: from then on the slot can come again.
        self.held.fetch_and(!(1 << slot), Ordering::Relaxed);
        // Release: whoever sees the state comes after every access to the frame.
        let state = pack(sequence, phase);
        self.words.store(at(slot, STATE), state, Ordering::Release);
        wake_wanted(&self.words, PRODUCER_SLEEPS).is_some()
    }

    /// Says how old a frame was when it was taken.
    pub(crate) fn tell_latency(&self, nanoseconds: u64) {
        self.words.store(LATENCY, nanoseconds, Ordering::Relaxed);
    }

    /// Whether the producer says that it has published after `last`.
    #[inline]
    pub(crate) fn has_frame_after(&self, last: u64) -> bool {
        self.words.load(HEAD, Ordering::Acquire) != last
    }

    /// Whether a frame after `last` may still be taken.
    pub(crate) fn has_more(&self, last: u64) -> bool {
        let head = self.words.load(HEAD, Ordering::Acquire);
        head > last
            && (0..self.slots).any(|slot| {
                let state = self.words.load(at(slot, STATE), Ordering::Relaxed);
                matches!(unpack(state), Some((sequence, Phase::Published)) if sequence > last && sequence <= head)
            })
    }

    /// How many messages the producer says it has sent on the socket.
    #[inline]
    pub(crate) fn mail(&self) -> u64 {
        self.words.load(MAIL, Ordering::Acquire)
    }

    /// Says that the consumer is about to sleep; the caller takes once more before it does.
    #[inline]
    pub(crate) fn announce_sleep(&self, bed: Bed) {
        announce_sleep(&self.words, CONSUMER_SLEEPS, bed);
    }

    /// The consumer is awake again: no wake-ups are needed.
    #[inline]
    pub(crate) fn awake(&self) {
        self.words.store(CONSUMER_SLEEPS, 0, Ordering::Relaxed);
    }
}

impl RingConsumer<RingWords> {
    /// Sleeps after `announce_sleep` with [`Bed::Word`] and a last look: until the producer wakes it, or for `time`.
    #[inline]
    pub(crate) fn sleep(&self, time: Duration) -> lucarne::Result<bool> {
        self.words.sleep(CONSUMER_SLEEPS, Bed::Word as u32, time)
    }
}
