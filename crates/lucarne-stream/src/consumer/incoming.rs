//! A generation as its consumer sees it, and the frames that are out of it.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use lucarne::{Fence, Frame, Lent, kernel::SharedWords};

use crate::error::{Error, Result};
use crate::ring::{Damage, RingConsumer, Taken};
use crate::socket::Socket;
use crate::wire::{Configure, FenceFor, Message};

/// One generation: its memory, its imports, its ring. Frames that are held keep it alive.
pub(super) struct Incoming<I> {
    pub(super) configure: Configure,
    pub(super) frames: Vec<Frame>,
    pub(super) images: Vec<I>,
    pub(super) ring: RingConsumer<SharedWords>,
    pub(super) socket: Arc<Socket>,
    pub(super) patience: Duration,
}

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
    pub(super) fn after(&self, slot: usize) -> usize {
        if slot + 1 < self.frames.len() {
            slot + 1
        } else {
            0
        }
    }

    fn release(&self, taken: &Taken, fence: Fence) -> Result<()> {
        let sent = self.send_fence(taken, fence);
        // Whatever became of the fence, the slot goes back: the producer needs it.
        let mailed = *sent.as_ref().unwrap_or(&false);
        if self.ring.release(taken.slot, taken.sequence, mailed) {
            self.socket.wake();
        }
        sent.map(|_| ())
    }

    /// Sends a release fence, where there is something to wait for: true if it is under way. It is never attached to the frame,
    /// where the kernel merges it with those of others (docs/adr/0010-release-fences-are-mailed.md).
    fn send_fence(&self, taken: &Taken, fence: Fence) -> Result<bool> {
        if matches!(fence, Fence::Signaled) || fence.is_signaled()? {
            return Ok(false);
        }
        let Some(file) = fence.to_sync_file(self.patience)? else {
            return Ok(false);
        };
        let message = Message::Fence(FenceFor {
            generation: self.configure.generation,
            sequence: taken.sequence,
            slot: taken.slot,
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
    pub(super) taken: Taken,
    pub(super) dropped: u64,
    /// Whether the stream's frame before was seen, too.
    pub(super) follows: bool,
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

    fn frame(&self) -> &Frame {
        &self.incoming.frames[self.taken.slot]
    }

    /// The slot's number within its generation.
    fn index(&self) -> usize {
        self.taken.slot
    }

    fn give_back(&mut self, release: Option<Fence>) -> Result<()> {
        // The producer knows itself when its own writing is done.
        let release = release.unwrap_or(Fence::Signaled);
        self.incoming.release(&self.taken, release)
    }
}

impl<I> StreamFrame<I> {
    /// The program's own import of the frame.
    pub fn image(&self) -> &I {
        &self.incoming.images[self.taken.slot]
    }

    /// The generation's number.
    pub fn generation(&self) -> u64 {
        self.incoming.configure.generation
    }

    /// The frame's number in the stream, from 1.
    pub fn sequence(&self) -> u64 {
        self.taken.sequence
    }

    /// When it was made, as its producer says: on `CLOCK_MONOTONIC`.
    pub fn timestamp(&self) -> Duration {
        Duration::from_nanos(self.taken.note.timestamp)
    }

    /// How many frames this consumer missed between the one before and this.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The rectangles that have changed since the stream's frame before. `None` means that everything may have changed: so it
    /// is for a consumer's first frame, and after frames were dropped.
    pub fn damage(&self) -> Option<impl Iterator<Item = Damage> + '_> {
        let list = self.taken.note.damage.as_ref().filter(|_| self.follows);
        list.map(crate::ring::DamageList::iter)
    }
}
