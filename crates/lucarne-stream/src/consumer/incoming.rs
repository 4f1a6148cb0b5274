//! A generation as its consumer sees it, and the frames that are out of it.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use lucarne::{Fence, Frame, Lent};

use crate::discovery;
use crate::error::{Error, Result};
use crate::ring::{Breach, Damage, FenceRoute, RingConsumer, RingWords, Taken};
use crate::socket::Socket;
use crate::wire::{Configure, DETAILS_VERSION, FenceFor, MAX_SLOTS, Message};

/// One generation: its memory, its imports, its ring. Frames that are held keep it alive.
pub(super) struct Incoming<I> {
    pub(super) configure: Configure,
    pub(super) frames: Vec<Frame>,
    pub(super) images: Vec<I>,
    pub(super) ring: RingConsumer<RingWords>,
    pub(super) notes: [Note; MAX_SLOTS],
    pub(super) socket: Arc<Socket>,
    pub(super) patience: Duration,
}

/// What is said of a slot's frame while it is held. It lies here and not in [`StreamFrame`], which moves from state to state.
///
/// Written when the frame is taken: who took it has the only way here then.
#[derive(Debug, Default)]
pub(super) struct Note {
    sequence: AtomicU64,
    /// Nanoseconds.
    timestamp: AtomicU64,
    dropped: AtomicU64,
    /// How many rectangles differ from the stream's frame before; [`EVERYTHING`] where that is not known.
    damage: AtomicU8,
}

const EVERYTHING: u8 = u8::MAX;

impl<I> fmt::Debug for Incoming<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("generation", &self.configure.generation)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl<I> Incoming<I> {
    /// The slot after this one: they are used in turn.
    #[inline]
    pub(super) fn after(&self, slot: usize) -> usize {
        if slot + 1 < self.frames.len() {
            slot + 1
        } else {
            0
        }
    }

    /// Lends a frame that was taken.
    #[inline]
    pub(super) fn lend(self: &Arc<Self>, taken: Taken) -> StreamFrame<I> {
        let note = &self.notes[taken.slot % MAX_SLOTS];
        note.sequence.store(taken.sequence, Relaxed);
        StreamFrame {
            incoming: Arc::clone(self),
            slot: taken.slot,
        }
    }

    /// Notes what the producer says of a frame that was taken, and how its acquire fence comes. `before` is the last one before
    /// it that was taken, or 0.
    #[inline]
    pub(super) fn note(&self, taken: Taken, before: u64) -> Result<FenceRoute> {
        let (timestamp, flags) = self.ring.note(taken.slot);
        let note = &self.notes[taken.slot % MAX_SLOTS];
        note.timestamp.store(timestamp, Relaxed);
        let missed = taken.sequence.wrapping_sub(before).wrapping_sub(1);
        // Whoever comes late has missed nothing that it asked for, and knows no frame that others are compared with.
        let dropped = if before == 0 { 0 } else { missed };
        note.dropped.store(dropped, Relaxed);
        note.damage.store(EVERYTHING, Relaxed);
        if flags == 0 {
            return Ok(FenceRoute::Signaled);
        }
        let (fence, damage) = self.ring.read_flags(taken.slot, flags)?;
        if let Some(count) = damage {
            self.check_damage(taken.slot, count)?;
            if missed == 0 {
                note.damage.store(count, Relaxed);
            }
        }
        Ok(fence)
    }

    #[inline]
    fn sequence(&self, slot: usize) -> u64 {
        self.notes[slot % MAX_SLOTS].sequence.load(Relaxed)
    }

    #[inline]
    fn release(&self, slot: usize, mailed: bool) {
        if self.ring.release(slot, self.sequence(slot), mailed) {
            self.socket.wake();
        }
    }

    #[inline(never)]
    fn release_with(&self, slot: usize, fence: &Fence) -> Result<()> {
        let sent = self.send_fence(slot, fence);
        // Whatever became of the fence, the slot goes back: the producer needs it.
        self.release(slot, *sent.as_ref().unwrap_or(&false));
        sent.map(|_| ())
    }

    /// Refuses damage beyond the frame.
    fn check_damage(&self, slot: usize, count: u8) -> Result<()> {
        let extent = self.configure.extent;
        let is_beyond = |damage: &Damage| {
            damage.x + damage.width > extent.width || damage.y + damage.height > extent.height
        };
        match self.ring.damage(slot, count).find(is_beyond) {
            None => Ok(()),
            Some(damage) => Err(Error::Breach(Breach {
                word: "damage",
                slot: Some(slot),
                got: damage.pack().unwrap_or_default(),
                limit: "within the frame",
            })),
        }
    }

    /// Sends a release fence, where there is something to wait for: true if it is under way. It is never attached to the frame,
    /// where the kernel merges it with those of others (docs/adr/0010-release-fences-are-mailed.md).
    fn send_fence(&self, slot: usize, fence: &Fence) -> Result<bool> {
        if fence.is_signaled()? {
            return Ok(false);
        }
        let Some(file) = fence.to_sync_file(self.patience)? else {
            return Ok(false);
        };
        let message = Message::Fence(FenceFor {
            generation: self.configure.generation,
            sequence: self.sequence(slot),
            slot,
        });
        match self.socket.send(&message, &[file.as_fd()]) {
            Ok(()) => Ok(true),
            // Nobody waits for it any more.
            Err(Error::PeerGone) => Ok(false),
            Err(Error::SocketFull) => {
                file.wait(self.patience)?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// A frame of a stream, lent by its producer. [`Received`] and [`Reading`] lead to it.
#[derive(Debug)]
pub struct StreamFrame<I> {
    pub(super) incoming: Arc<Incoming<I>>,
    pub(super) slot: usize,
}

/// A frame that has come. Dropping it gives it back unread.
pub type Received<I> = lucarne::Received<StreamFrame<I>>;

/// A frame that may be read, once the fence that it came with has signalled.
///
/// [`release`](lucarne::Reading::release) gives it back with a fence. It does not block, unless the fence cannot be sent to
/// the producer and has to be waited for. It returns [`Error::Core`] for a descriptor that is not a fence, and for a fence
/// that does not signal in time. The frame is given back in every case.
pub type Reading<I> = lucarne::Reading<StreamFrame<I>>;

impl<I> Lent for StreamFrame<I> {
    type Returned = Result<()>;

    #[inline]
    fn frame(&self) -> &Frame {
        &self.incoming.frames[self.slot]
    }

    /// The slot's number within its generation.
    fn index(&self) -> usize {
        self.slot
    }

    #[inline]
    fn give_back(&mut self, release: Option<Fence>) -> Result<()> {
        match release {
            // The producer knows itself when its own writing is done.
            None | Some(Fence::Signaled) => {
                self.incoming.release(self.slot, false);
                Ok(())
            }
            Some(fence) => self.incoming.release_with(self.slot, &fence),
        }
    }
}

impl<I> StreamFrame<I> {
    /// The program's own import of the frame.
    #[inline]
    pub fn image(&self) -> &I {
        &self.incoming.images[self.slot]
    }

    /// The generation's number.
    pub fn generation(&self) -> u64 {
        self.incoming.configure.generation
    }

    /// The frame's number in the stream, from 1.
    pub fn sequence(&self) -> u64 {
        self.incoming.sequence(self.slot)
    }

    /// When it was made, as its producer says: on `CLOCK_MONOTONIC`.
    pub fn timestamp(&self) -> Duration {
        Duration::from_nanos(self.note().timestamp.load(Relaxed))
    }

    /// Tells the producer how old the frame is, for whoever observes the stream.
    pub(super) fn tell_latency(&self) {
        if self.incoming.configure.version >= DETAILS_VERSION {
            let made = self.note().timestamp.load(Relaxed);
            let latency = discovery::now().saturating_sub(made);
            self.incoming.ring.tell_latency(latency);
        }
    }

    /// How many frames this consumer missed between the one before and this.
    pub fn dropped(&self) -> u64 {
        self.note().dropped.load(Relaxed)
    }

    /// The rectangles that have changed since the stream's frame before. `None` means that everything may have changed: so it
    /// is for a consumer's first frame, and after frames were dropped.
    pub fn damage(&self) -> Option<impl Iterator<Item = Damage> + '_> {
        let count = self.note().damage.load(Relaxed);
        (count != EVERYTHING).then(|| self.incoming.ring.damage(self.slot, count))
    }

    #[inline]
    fn note(&self) -> &Note {
        &self.incoming.notes[self.slot % MAX_SLOTS]
    }
}
