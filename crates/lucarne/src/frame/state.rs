//! Whose turn it is: `Free → Writing → Sent`, `Received → Reading →` free again.
//!
//! Each state is a value that its next step consumes, so a program that writes a frame that somebody reads does
//! not compile. Each step carries the fence that gates the other side.
//!
//! ```compile_fail
//! fn twice(writing: lucarne::Writing) {
//!     let sent = writing.send(lucarne::Fence::Signaled);
//!     let again = writing.send(lucarne::Fence::Signaled); // error: `writing` was moved
//! }
//! ```
//!
//! ```compile_fail
//! fn unsent(writing: lucarne::Writing) {
//!     let reading = writing.acquire(); // error: a frame cannot be read before it is sent and received
//! }
//! ```

use std::fmt;

use super::fence::Fence;
use super::frame::Frame;
use super::pool::Slot;

/// A frame nobody uses. Made by [`Pool::acquire`](super::Pool::acquire).
#[derive(Debug)]
#[must_use = "dropping a free frame puts it back into its pool"]
pub struct Free {
    slot: Slot,
}

/// A frame that the producer may write, once the fence it came with has signalled.
#[derive(Debug)]
#[must_use = "dropping a frame that is being written discards what was written"]
pub struct Writing {
    slot: Slot,
}

/// A frame on its way to a consumer.
#[derive(Debug)]
#[must_use = "dropping a sent frame means that nobody sees it"]
pub struct Sent {
    slot: Slot,
    acquire: Fence,
}

/// A frame that has reached a consumer.
#[derive(Debug)]
#[must_use = "dropping a received frame means that nobody sees it"]
pub struct Received {
    slot: Slot,
    acquire: Fence,
}

/// A frame that a consumer may read, once the fence it came with has signalled.
///
/// Dropping it without [`Reading::release`] runs what [`Reading::on_drop`] was given, which waits for the reads
/// to finish, and then gives the frame back: slow, but nothing tears and no slot is lost. With the feature
/// `tracing` this is logged as a warning.
#[must_use = "release the frame with the fence that says when reading ends"]
pub struct Reading {
    slot: Slot,
    quiesce: Option<Box<dyn FnOnce()>>,
}

impl Free {
    pub(super) fn new(slot: Slot) -> Self {
        Self { slot }
    }

    /// Takes the turn to write. The fence is the last reader's release fence: wait for it before writing.
    pub fn acquire(self) -> (Writing, Fence) {
        let release = self.slot.release();
        (Writing { slot: self.slot }, release)
    }
}

impl Writing {
    /// Passes the frame on; `acquire` signals when the writing is done.
    pub fn send(mut self, acquire: Fence) -> Sent {
        // Should nobody read it, the next writer waits for this one: writes to one frame stay in order.
        self.slot.gate_with(acquire.clone());
        Sent {
            slot: self.slot,
            acquire,
        }
    }
}

impl Sent {
    /// Hands the frame over within this process.
    pub fn receive(self) -> Received {
        Received {
            slot: self.slot,
            acquire: self.acquire,
        }
    }
}

impl Received {
    /// Takes the turn to read. The fence is the writer's acquire fence: wait for it before reading.
    pub fn acquire(self) -> (Reading, Fence) {
        let reading = Reading {
            slot: self.slot,
            quiesce: None,
        };
        (reading, self.acquire)
    }
}

impl Reading {
    /// What to run if this value is dropped unreleased: it must block until all reads that were begun are over,
    /// `glFinish` for instance. Without it, a dropped frame is taken to be unread.
    pub fn on_drop(mut self, quiesce: impl FnOnce() + 'static) -> Self {
        self.quiesce = Some(Box::new(quiesce));
        self
    }

    /// Ends the turn; `release` signals when the reading is done, and gates the next writer.
    pub fn release(mut self, release: Fence) {
        self.quiesce = None;
        self.slot.gate_with(release);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(quiesce) = self.quiesce.take() {
            #[cfg(feature = "tracing")]
            tracing::warn!(
                slot = self.slot.index(),
                "a frame was dropped while it was being read; waiting for its reads"
            );
            quiesce();
            self.slot.gate_with(Fence::Signaled);
        }
        // The slot's own drop gives the frame back to its pool.
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("slot", &self.slot)
            .field("on_drop", &self.quiesce.is_some())
            .finish()
    }
}

macro_rules! slot_accessors {
    ($($state:ident)*) => {$(
        impl $state {
            /// The frame's number in its pool, from 0.
            pub fn index(&self) -> usize {
                self.slot.index()
            }

            /// The frame.
            pub fn frame(&self) -> &Frame {
                self.slot.frame()
            }
        }
    )*};
}

slot_accessors!(Free Writing Sent Received Reading);
