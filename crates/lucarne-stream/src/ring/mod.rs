//! The ring: whose turn each slot is, in memory that both processes write.
//!
//! One ring connects the producer with one consumer for one generation. Each slot has one state word; a frame's sequence
//! number is part of it, so that no state comes twice. The algorithm is generic over its words: loom checks the same code
//! over its own atomics that runs over [`RingWords`] here.
//!
//! Neither side believes what it reads: each word is loaded once, and a value that the protocol does not allow there is a
//! [`Breach`], after which the honest side hangs up. What a side knows by itself (which frames it published, which it
//! holds) it keeps in memory of its own.
//!
//! docs/protocol.md has every word, and why no wake-up is lost.

mod consumer;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
#[cfg(test)]
mod model;
mod producer;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{Ordering, fence};

use lucarne::kernel::SharedWords;

use crate::wire::{MAX_SEQUENCE, MAX_SLOTS};

pub(crate) use consumer::{RingConsumer, Taken};
pub(crate) use producer::{Collected, RingProducer, slots_of};

/// A ring's memory: whole and sealed, in bytes.
pub(crate) const RING_BYTES: u64 = 4096;
/// The same, in words.
const RING_WORDS: usize = 512;
/// A ring's memory, mapped.
pub(crate) type RingWords = SharedWords<RING_WORDS>;
/// What word 0 holds: "LCRING" and the ring's version, 1.
pub(crate) const RING_MAGIC: u64 = u64::from_le_bytes(*b"LCRING\x01\0");

// Words, each group in a cache line (64 bytes) of its own, so that sides do not slow each other down.
const MAGIC: usize = 0;
const GENERATION: usize = 1;
const SLOTS: usize = 2;
/// 0 while the consumer is awake; otherwise it sleeps, or is about to: 1 at its socket, 2 at this word.
const CONSUMER_SLEEPS: usize = 8;
/// How old a frame was when the consumer took it, in nanoseconds: of one frame now and then. 0 before the first.
const LATENCY: usize = 9;
/// 1 while the producer sleeps, or is about to.
const PRODUCER_SLEEPS: usize = 16;
/// The newest sequence number that was published.
const HEAD: usize = 24;
/// How many messages the producer has sent on the socket since the ring was made.
const MAIL: usize = 25;
/// The slots, [`SLOT_WORDS`] each.
const FIRST_SLOT: usize = 64;
const SLOT_WORDS: usize = 8;
// Words of a slot.
const STATE: usize = 0;
const TIMESTAMP: usize = 1;
const FLAGS: usize = 2;
const DAMAGE: usize = 4;

/// The most damage rectangles of a frame; more are to be merged.
pub const MAX_DAMAGE: usize = 4;

/// What a state word says beside the sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The producer's: nothing was published, or it was taken back.
    Free = 0,
    /// Whoever is first: the consumer to take it, the producer to take it back.
    Published = 1,
    /// The consumer's.
    Taken = 2,
    /// The producer's again; its reader is done.
    Released = 3,
    /// As `Released`; the reader's fence was sent on the socket before.
    ReleasedMailed = 4,
}

/// How the acquire fence of a frame reaches its consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FenceRoute {
    /// It has signalled.
    Signaled,
    /// The kernel keeps it with the frame's dma-bufs.
    Attached,
    /// It is a sync_file that was sent on the socket before this.
    Mailed,
}

fn pack(sequence: u64, phase: Phase) -> u64 {
    sequence << 4 | phase as u64
}

/// A state word as (sequence, phase), where the phase is known.
fn unpack(word: u64) -> Option<(u64, Phase)> {
    let phase = match word & 0xf {
        0 => Phase::Free,
        1 => Phase::Published,
        2 => Phase::Taken,
        3 => Phase::Released,
        4 => Phase::ReleasedMailed,
        _ => return None,
    };
    Some((word >> 4, phase))
}

/// A value in a ring that the protocol does not allow there. The peer has a fault, or is hostile.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ring's {word}{} is {got:#x}, but must be {limit}", of_slot(*.slot))]
pub struct Breach {
    /// Which word.
    pub word: &'static str,
    /// Whose; `None` for a word of the whole ring.
    pub slot: Option<usize>,
    /// What it held.
    pub got: u64,
    /// What would have been right.
    pub limit: &'static str,
}

/// As `Display`: what a `main` that returns it prints.
impl fmt::Debug for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn of_slot(slot: Option<usize>) -> String {
    slot.map_or(String::new(), |slot| format!(" of slot {slot}"))
}

/// The rectangle of a frame that differs from the frame before, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Damage {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// At least 1.
    pub width: u32,
    /// At least 1.
    pub height: u32,
}

impl Damage {
    /// Sixteen bits each: x, y, width - 1, height - 1. `None` for what does not fit.
    pub(crate) fn pack(self) -> Option<u64> {
        let field = |value: u32| u16::try_from(value).ok().map(u64::from);
        let size = |value: u32| value.checked_sub(1).and_then(field);
        Some(
            field(self.x)?
                | field(self.y)? << 16
                | size(self.width)? << 32
                | size(self.height)? << 48,
        )
    }

    fn unpack(word: u64) -> Self {
        let [x0, x1, y0, y1, w0, w1, h0, h1] = word.to_le_bytes();
        let field = |low, high| u32::from(u16::from_le_bytes([low, high]));
        Self {
            x: field(x0, x1),
            y: field(y0, y1),
            width: field(w0, w1) + 1,
            height: field(h0, h1) + 1,
        }
    }
}

/// What a producer says of a frame beside its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameNote {
    /// Nanoseconds on `CLOCK_MONOTONIC`.
    pub(crate) timestamp: u64,
    /// The acquire fence.
    pub(crate) fence: FenceRoute,
    /// What has changed since the frame before; `None` for everything.
    pub(crate) damage: Option<DamageList>,
}

/// At most [`MAX_DAMAGE`] rectangles, without an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DamageList {
    pub(crate) rectangles: [u64; MAX_DAMAGE],
    pub(crate) count: usize,
}

impl DamageList {
    /// The rectangles packed, or `None` where they are too many or too large: then everything has changed.
    pub(crate) fn new(rectangles: &[Damage]) -> Option<Self> {
        let mut list = Self {
            rectangles: [0; MAX_DAMAGE],
            count: rectangles.len(),
        };
        if rectangles.len() > MAX_DAMAGE {
            return None;
        }
        for (to, from) in list.rectangles.iter_mut().zip(rectangles) {
            *to = from.pack()?;
        }
        Some(list)
    }
}

// The flags word: bits 0 and 1 are the fence's route, bit 2 says that the damage is known, bits 4 to 7 count it.
impl FrameNote {
    pub(crate) fn flags(&self) -> u64 {
        let route = match self.fence {
            FenceRoute::Signaled => 0,
            FenceRoute::Attached => 1,
            FenceRoute::Mailed => 2,
        };
        match &self.damage {
            None => route,
            Some(list) => route | 1 << 2 | (list.count as u64) << 4,
        }
    }

    /// The route, and how many rectangles there are where the damage is known.
    fn read_flags(word: u64) -> Option<(FenceRoute, Option<u8>)> {
        let route = match word & 3 {
            0 => FenceRoute::Signaled,
            1 => FenceRoute::Attached,
            2 => FenceRoute::Mailed,
            _ => return None,
        };
        let count = u8::try_from(word >> 4 & 0xf).unwrap_or(u8::MAX);
        match (word & !0xf7, word & 4) {
            (0, 0) if count == 0 => Some((route, None)),
            (0, 4) if usize::from(count) <= MAX_DAMAGE => Some((route, Some(count))),
            _ => None,
        }
    }
}

/// Words that another side touches at the same time.
pub(crate) trait Words {
    fn load(&self, index: usize, order: Ordering) -> u64;
    fn store(&self, index: usize, value: u64, order: Ordering);
    fn swap(&self, index: usize, value: u64, order: Ordering) -> u64;
    /// Puts `new` where `current` is, with `AcqRel`; otherwise gives what is there, with `Acquire`.
    fn exchange(&self, index: usize, current: u64, new: u64) -> Result<(), u64>;
    /// A fence that all threads and processes see in one order.
    fn fence(&self);
}

impl Words for RingWords {
    #[inline]
    fn load(&self, index: usize, order: Ordering) -> u64 {
        self.word(index).load(order)
    }

    #[inline]
    fn store(&self, index: usize, value: u64, order: Ordering) {
        self.word(index).store(value, order);
    }

    #[inline]
    fn swap(&self, index: usize, value: u64, order: Ordering) -> u64 {
        self.word(index).swap(value, order)
    }

    #[inline]
    fn exchange(&self, index: usize, current: u64, new: u64) -> Result<(), u64> {
        let word = self.word(index);
        let result = word.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire);
        result.map(|_| ())
    }

    #[inline]
    fn fence(&self) {
        fence(Ordering::SeqCst);
    }
}

/// The index of a slot's word.
#[inline]
fn at(slot: usize, word: usize) -> usize {
    debug_assert!(slot < MAX_SLOTS && word < SLOT_WORDS);
    FIRST_SLOT + bounded(slot) * SLOT_WORDS + word
}

/// The same slot, in words that the compiler understands: no place in a ring and no list of slots is checked then.
#[inline]
fn bounded(slot: usize) -> usize {
    slot % MAX_SLOTS
}

/// Where a side that sleeps waits to be woken; the values of the *sleeps* words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bed {
    /// In `poll`: a Wake message wakes it.
    Socket = 1,
    /// At its *sleeps* word: a futex. Quicker, but nothing else wakes it: for short sleeps only.
    Word = 2,
}

/// Says that this side is about to sleep. The caller looks once more before it does: whatever was published or released
/// before is seen then, and whatever comes after wakes.
fn announce_sleep<W: Words>(words: &W, flag: usize, bed: Bed) {
    words.store(flag, bed as u64, Ordering::Relaxed);
    // Pairs with the fence in `wake_wanted`: either the other side sees the flag, or this side sees its news.
    words.fence();
}

/// Whether the other side sleeps, and where, and so must be woken after the news that were stored before this call.
fn wake_wanted<W: Words>(words: &W, flag: usize) -> Option<Bed> {
    words.fence();
    // Swapped, so that one sleep costs one wake-up; loaded first, as an unchanged cache line stays where it is.
    if words.load(flag, Ordering::Relaxed) == 0 {
        return None;
    }
    match words.swap(flag, 0, Ordering::Relaxed) {
        0 => None,
        // A value that the protocol does not have wakes at the socket: the peer sees to it that it hears.
        asleep if asleep == Bed::Word as u64 => Some(Bed::Word),
        _ => Some(Bed::Socket),
    }
}
