//! What is lent, and its way back.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fence::Fence;
use super::frame::Frame;

/// A frame that somebody lends to a reader, and its way back.
///
/// [`Pool`](super::Pool) lends [`PoolFrame`]s within one process, and a stream's consumer lends what came from another one.
/// A program that takes frames from elsewhere, out of a compositor or a media graph, implements this, and has the states
/// [`Received`](super::Received) and [`Reading`](super::Reading) for its frames too:
///
/// ```
/// use std::sync::mpsc::{SendError, Sender};
///
/// use lucarne::{Fence, Frame, Lent, Received};
///
/// struct Buffer {
///     frame: Frame,
///     id: usize,
///     owner: Sender<(usize, Fence)>,
/// }
///
/// impl Lent for Buffer {
///     type Returned = Result<(), SendError<(usize, Fence)>>;
///
///     fn frame(&self) -> &Frame {
///         &self.frame
///     }
///
///     fn index(&self) -> usize {
///         self.id
///     }
///
///     fn give_back(&mut self, release: Option<Fence>) -> Self::Returned {
///         self.owner.send((self.id, release.unwrap_or(Fence::Signaled)))
///     }
/// }
///
/// fn read(buffer: Buffer, ready: Fence) -> Result<(), SendError<(usize, Fence)>> {
///     let (reading, acquire) = Received::new(buffer, ready).acquire();
///     // … wait for `acquire`, read `reading.frame()` …
///     # let _ = acquire;
///     reading.release(Fence::Signaled)
/// }
/// ```
pub trait Lent {
    /// What giving a frame back can answer: nothing, or whether its fence could travel.
    type Returned;

    /// The frame.
    fn frame(&self) -> &Frame;

    /// The frame's number among those that are lent in turn, from 0.
    fn index(&self) -> usize;

    /// Takes the frame back. The states call it once.
    ///
    /// `release` signals when the reading is done. `None` means that nobody has read the frame: the next writer then waits
    /// for the fence that the reader would have waited for.
    fn give_back(&mut self, release: Option<Fence>) -> Self::Returned;
}

/// What a state of the reader's holds: given back once, in the end by being dropped.
#[derive(Debug)]
pub(super) struct Loan<L: Lent> {
    /// Until it is given back.
    lent: Option<L>,
}

impl<L: Lent> Loan<L> {
    #[inline]
    pub(super) fn new(lent: L) -> Self {
        Self { lent: Some(lent) }
    }

    #[inline]
    pub(super) fn end(&mut self, release: Fence) -> L::Returned {
        let mut lent = self.lent.take().expect("it is given back once");
        lent.give_back(Some(release))
    }

    /// Nobody is left to hear how that went.
    #[cold]
    fn end_unheard(mut lent: L) {
        let _ = lent.give_back(None);
    }
}

impl<L: Lent> Drop for Loan<L> {
    #[inline]
    fn drop(&mut self) {
        if let Some(lent) = self.lent.take() {
            Self::end_unheard(lent);
        }
    }
}

impl<L: Lent> Deref for Loan<L> {
    type Target = L;

    #[inline]
    fn deref(&self) -> &L {
        self.lent.as_ref().expect("it has not been given back")
    }
}

/// The frames of a pool, and those that nobody uses: each with what its next writer must wait for.
#[derive(Debug)]
pub(super) struct Home {
    frames: Vec<Frame>,
    free: Mutex<VecDeque<(usize, Fence)>>,
}

impl Home {
    /// Where these frames are, and nobody uses one.
    pub(super) fn new(frames: Vec<Frame>) -> Self {
        let free = (0..frames.len()).map(|index| (index, Fence::Signaled));
        Self {
            free: Mutex::new(free.collect()),
            frames,
        }
    }

    pub(super) fn frames(&self) -> &[Frame] {
        &self.frames
    }

    pub(super) fn free(&self) -> MutexGuard<'_, VecDeque<(usize, Fence)>> {
        // The queue is valid after every single operation on it, so a panic elsewhere leaves no half state.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A frame that a [`Pool`](super::Pool) has given out. Dropping it puts it back. It keeps all of the pool's memory.
#[derive(Debug)]
pub struct PoolFrame {
    index: usize,
    /// What the next writer must wait for if the frame goes back now.
    release: Fence,
    home: Arc<Home>,
}

impl PoolFrame {
    pub(super) fn new(index: usize, release: Fence, home: &Arc<Home>) -> Self {
        Self {
            index,
            release,
            home: Arc::clone(home),
        }
    }

    /// What gates the next writer if the frame goes back now.
    #[inline]
    pub(super) fn release(&self) -> &Fence {
        &self.release
    }

    /// Sets what gates the next writer.
    #[inline]
    pub(super) fn gate_with(&mut self, release: Fence) {
        self.release = release;
    }
}

impl Lent for PoolFrame {
    type Returned = ();

    fn frame(&self) -> &Frame {
        &self.home.frames[self.index]
    }

    #[inline]
    fn index(&self) -> usize {
        self.index
    }

    fn give_back(&mut self, release: Option<Fence>) {
        if let Some(release) = release {
            self.gate_with(release);
        }
        // The drop that follows puts it into the pool.
    }
}

impl Drop for PoolFrame {
    fn drop(&mut self) {
        let release = std::mem::replace(&mut self.release, Fence::Signaled);
        self.home.free().push_back((self.index, release));
    }
}
