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
    lent: L,
    over: bool,
}

impl<L: Lent> Loan<L> {
    pub(super) fn new(lent: L) -> Self {
        Self { lent, over: false }
    }

    pub(super) fn end(&mut self, release: Option<Fence>) -> L::Returned {
        self.over = true;
        self.lent.give_back(release)
    }
}

impl<L: Lent> Drop for Loan<L> {
    fn drop(&mut self) {
        if !self.over {
            // Nobody is left to hear how that went.
            let _ = self.end(None);
        }
    }
}

impl<L: Lent> Deref for Loan<L> {
    type Target = L;

    fn deref(&self) -> &L {
        &self.lent
    }
}

/// Where the frames of a pool are while nobody uses them, each with what its next writer must wait for.
#[derive(Debug)]
pub(super) struct Home {
    free: Mutex<VecDeque<(usize, Fence)>>,
}

impl Home {
    /// Where `frames` frames are, and nobody uses one.
    pub(super) fn new(frames: usize) -> Self {
        let free = (0..frames).map(|index| (index, Fence::Signaled));
        Self {
            free: Mutex::new(free.collect()),
        }
    }

    pub(super) fn free(&self) -> MutexGuard<'_, VecDeque<(usize, Fence)>> {
        // The queue is valid after every single operation on it, so a panic elsewhere leaves no half state.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A frame that a [`Pool`](super::Pool) has given out. Dropping it puts it back.
#[derive(Debug)]
pub struct PoolFrame {
    index: usize,
    frame: Frame,
    /// What the next writer must wait for if the frame goes back now.
    release: Fence,
    home: Arc<Home>,
}

impl PoolFrame {
    pub(super) fn new(index: usize, frame: Frame, release: Fence, home: &Arc<Home>) -> Self {
        Self {
            index,
            frame,
            release,
            home: Arc::clone(home),
        }
    }

    /// What gates the next writer if the frame goes back now.
    pub(super) fn release(&self) -> Fence {
        self.release.clone()
    }

    /// Sets what gates the next writer.
    pub(super) fn gate_with(&mut self, release: Fence) {
        self.release = release;
    }
}

impl Lent for PoolFrame {
    type Returned = ();

    fn frame(&self) -> &Frame {
        &self.frame
    }

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
