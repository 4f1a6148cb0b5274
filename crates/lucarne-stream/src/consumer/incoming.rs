//! A generation as its consumer sees it, and the frames that are out of it.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use lucarne::{Fence, Frame, kernel::SharedWords};

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

/// What is known of a frame that was taken out of a stream.
#[derive(Debug)]
struct Held<I> {
    incoming: Arc<Incoming<I>>,
    taken: Taken,
    dropped: u64,
    /// Whether the stream's frame before was seen, too.
    follows: bool,
}

/// A frame that has come. Dropping it gives it back unread.
#[derive(Debug)]
#[must_use = "dropping a received frame means that nobody sees it"]
pub struct Received<I> {
    /// Taken out by `acquire`.
    held: Option<Held<I>>,
    acquire: Fence,
}

/// A frame that may be read, once the fence that it came with has signalled.
///
/// Dropping it without [`release`](Self::release) runs what [`on_drop`](Self::on_drop) was given, and then gives the frame
/// back; without a closure the frame is taken to be unread.
#[must_use = "release the frame with the fence that says when reading ends"]
pub struct Reading<I> {
    /// Taken out by `release`.
    held: Option<Held<I>>,
    quiesce: Option<Box<dyn FnOnce()>>,
}

impl<I> Received<I> {
    pub(super) fn new(
        incoming: Arc<Incoming<I>>,
        taken: Taken,
        (dropped, follows): (u64, bool),
        acquire: Fence,
    ) -> Self {
        let held = Some(Held {
            incoming,
            taken,
            dropped,
            follows,
        });
        Self { held, acquire }
    }

    /// Sets the fence that gates reading.
    pub(super) fn gate(&mut self, acquire: Fence) {
        self.acquire = acquire;
    }

    /// Takes the turn to read. The fence is the producer's acquire fence: wait for it before reading.
    pub fn acquire(mut self) -> (Reading<I>, Fence) {
        let reading = Reading {
            held: self.held.take(),
            quiesce: None,
        };
        (reading, self.acquire.clone())
    }
}

impl<I> Drop for Received<I> {
    fn drop(&mut self) {
        give_back(self.held.take());
    }
}

impl<I> Reading<I> {
    /// What to run if this value is dropped unreleased: it must block until all reads that were begun are over.
    pub fn on_drop(mut self, quiesce: impl FnOnce() + 'static) -> Self {
        self.quiesce = Some(Box::new(quiesce));
        self
    }

    /// Ends the turn; `release` signals when the reading is done, and gates the producer. Does not block, except for a fence
    /// that cannot travel.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] for a fence that is none, or that does not signal where it has to be waited for. The frame is given
    /// back in every case.
    pub fn release(mut self, release: Fence) -> Result<()> {
        self.quiesce = None;
        match self.held.take() {
            Some(held) => held.incoming.release(&held.taken, release),
            None => Ok(()),
        }
    }
}

impl<I> Drop for Reading<I> {
    fn drop(&mut self) {
        if let Some(quiesce) = self.quiesce.take() {
            quiesce();
        }
        give_back(self.held.take());
    }
}

impl<I> fmt::Debug for Reading<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("sequence", &self.sequence())
            .field("on_drop", &self.quiesce.is_some())
            .finish_non_exhaustive()
    }
}

fn give_back<I>(held: Option<Held<I>>) {
    if let Some(held) = held {
        // A fence that has signalled can always travel.
        let _ = held.incoming.release(&held.taken, Fence::Signaled);
    }
}

macro_rules! held_accessors {
    ($($state:ident)*) => {$(
        impl<I> $state<I> {
            fn held(&self) -> &Held<I> {
                self.held.as_ref().expect("held until it is consumed")
            }

            /// The program's own import of the frame.
            pub fn image(&self) -> &I {
                let held = self.held();
                &held.incoming.images[held.taken.slot]
            }

            /// The frame.
            pub fn frame(&self) -> &Frame {
                let held = self.held();
                &held.incoming.frames[held.taken.slot]
            }

            /// The slot's number within its generation.
            pub fn index(&self) -> usize {
                self.held().taken.slot
            }

            /// The generation's number.
            pub fn generation(&self) -> u64 {
                self.held().incoming.configure.generation
            }

            /// The frame's number in the stream, from 1.
            pub fn sequence(&self) -> u64 {
                self.held().taken.sequence
            }

            /// When it was made, by its producer's word: on `CLOCK_MONOTONIC`.
            pub fn timestamp(&self) -> Duration {
                Duration::from_nanos(self.held().taken.note.timestamp)
            }

            /// How many frames this consumer missed between the one before and this.
            pub fn dropped(&self) -> u64 {
                self.held().dropped
            }

            /// What has changed since the stream's frame before; `None` for everything, for a consumer's first frame, and
            /// after frames were dropped.
            pub fn damage(&self) -> Option<impl Iterator<Item = Damage> + '_> {
                let held = self.held();
                let list = held.taken.note.damage.as_ref().filter(|_| held.follows);
                list.map(crate::ring::DamageList::iter)
            }
        }
    )*};
}

held_accessors!(Received Reading);
