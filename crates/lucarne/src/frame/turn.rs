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
use std::ops::Deref;

use super::fence::Fence;
use super::frame::Frame;
use super::lent::{Lent, Loan, PoolFrame};

/// A frame nobody uses. Made by [`Pool::acquire`](super::Pool::acquire).
#[derive(Debug)]
#[must_use = "dropping a free frame puts it back into its pool"]
pub struct Free {
    lent: PoolFrame,
}

/// A frame that the producer may write, once the fence it came with has signalled.
#[derive(Debug)]
#[must_use = "dropping a frame that is being written discards what was written"]
pub struct Writing {
    lent: PoolFrame,
}

/// A frame on its way to a consumer.
#[derive(Debug)]
#[must_use = "dropping a sent frame means that nobody sees it"]
pub struct Sent {
    /// What gates its reader would gate the next writer.
    lent: PoolFrame,
}

/// A frame that has reached a consumer. Dropping it gives it back unread.
#[derive(Debug)]
#[must_use = "dropping a received frame means that nobody sees it"]
pub struct Received<L: Lent = PoolFrame> {
    loan: Loan<L>,
    acquire: Fence,
}

/// A frame that a consumer may read, once the fence it came with has signalled.
///
/// When it is dropped without [`Reading::release`], it runs the function that [`Reading::on_drop`] was given, which waits
/// for the reads to finish. Then it gives the frame back. That is slow, but nothing tears and no frame is lost. With the
/// feature `tracing` it is logged as a warning.
#[must_use = "release the frame with the fence that says when reading ends"]
pub struct Reading<L: Lent = PoolFrame> {
    loan: Loan<L>,
    quiesce: Option<Box<dyn FnOnce()>>,
}

impl Free {
    pub(super) fn new(lent: PoolFrame) -> Self {
        Self { lent }
    }

    /// Takes the turn to write. The fence is the last reader's release fence: wait for it before writing.
    #[inline]
    pub fn acquire(self) -> (Writing, Fence) {
        let release = self.lent.release().clone();
        (Writing { lent: self.lent }, release)
    }
}

impl Writing {
    /// The fence that it came with: the last reader's release fence.
    #[inline]
    pub fn gate(&self) -> &Fence {
        self.lent.release()
    }

    /// Passes the frame on; `acquire` signals when the writing is done.
    #[inline]
    pub fn send(mut self, acquire: Fence) -> Sent {
        // Should nobody read it, the next writer waits for this one: writes to one frame stay in order.
        self.lent.gate_with(acquire);
        Sent { lent: self.lent }
    }
}

impl Sent {
    /// Hands the frame over within this process.
    pub fn receive(self) -> Received {
        let acquire = self.lent.release().clone();
        Received::new(self.lent, acquire)
    }

    /// Takes the frame back, past the others of its pool. For a lender who knows that its readers elsewhere are done: what
    /// gates the next writer is the frame's own writing alone.
    #[inline]
    pub fn take_back(self) -> Free {
        Free { lent: self.lent }
    }

    /// Gives the frame back for readers elsewhere: another process, a compositor, an encoder. `release` signals when all of
    /// them are done, and gates the next writer. Dropping a sent frame says that nobody has read it.
    pub fn release(mut self, release: Fence) {
        self.lent.gate_with(release);
    }
}

impl<L: Lent> Received<L> {
    /// A frame that somebody lends; `acquire` signals when its writing is done.
    #[inline]
    pub fn new(lent: L, acquire: Fence) -> Self {
        let loan = Loan::new(lent);
        Self { loan, acquire }
    }

    /// The fence that it came with, for a reader who would rather look again later than wait.
    #[inline]
    pub fn acquire_fence(&self) -> &Fence {
        &self.acquire
    }

    /// Takes the turn to read. The fence is the writer's acquire fence: wait for it before reading.
    #[inline]
    pub fn acquire(self) -> (Reading<L>, Fence) {
        let reading = Reading {
            loan: self.loan,
            quiesce: None,
        };
        (reading, self.acquire)
    }
}

impl<L: Lent> Reading<L> {
    /// What to run if this value is dropped unreleased: it must block until all reads that were begun are over,
    /// `glFinish` for instance. Without it, a dropped frame is taken to be unread.
    pub fn on_drop(mut self, quiesce: impl FnOnce() + 'static) -> Self {
        self.quiesce = Some(Box::new(quiesce));
        self
    }

    /// Ends the turn. `release` signals when the reading is done; the next writer waits for it. Returns the answer of
    /// whoever lent the frame; a [`Pool`](super::Pool) answers nothing.
    #[inline]
    pub fn release(mut self, release: Fence) -> L::Returned {
        self.quiesce = None;
        self.loan.end(release)
    }
}

impl<L: Lent> Reading<L> {
    /// Waits for reads that were begun and not released.
    #[cold]
    fn end_unreleased(&mut self, quiesce: Box<dyn FnOnce()>) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            index = self.loan.index(),
            "a frame was dropped while it was being read; waiting for its reads"
        );
        quiesce();
        let _ = self.loan.end(Fence::Signaled);
    }
}

impl<L: Lent> Drop for Reading<L> {
    #[inline]
    fn drop(&mut self) {
        if let Some(quiesce) = self.quiesce.take() {
            self.end_unreleased(quiesce);
        }
        // The loan's own drop gives back what was not read.
    }
}

impl<L: Lent + fmt::Debug> fmt::Debug for Reading<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("loan", &self.loan)
            .field("on_drop", &self.quiesce.is_some())
            .finish()
    }
}

/// What the lender knows of the frame.
impl<L: Lent> Deref for Received<L> {
    type Target = L;

    fn deref(&self) -> &L {
        &self.loan
    }
}

/// What the lender knows of the frame.
impl<L: Lent> Deref for Reading<L> {
    type Target = L;

    fn deref(&self) -> &L {
        &self.loan
    }
}

macro_rules! accessors {
    ($([$($generics:tt)*] $state:ty, $($lent:ident).+;)*) => {$(
        impl $($generics)* $state {
            /// The frame's number in its pool, from 0.
            pub fn index(&self) -> usize {
                self.$($lent).+.index()
            }

            /// The frame.
            pub fn frame(&self) -> &Frame {
                self.$($lent).+.frame()
            }
        }
    )*};
}

accessors! {
    [] Free, lent;
    [] Writing, lent;
    [] Sent, lent;
    [<L: Lent>] Received<L>, loan;
    [<L: Lent>] Reading<L>, loan;
}
