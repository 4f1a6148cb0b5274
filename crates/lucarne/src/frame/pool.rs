//! A ring of frames that a producer writes in turn.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fence::Fence;
use super::frame::Frame;
use super::turn::{Free, Lent};

/// The frames of one producer; each is in exactly one state at any time.
///
/// Three let the producer write one while one is shown and one waits. Frames come back by themselves when their
/// turn ends, whichever way it ends. Threads may share a pool.
#[derive(Debug)]
pub struct Pool {
    home: Arc<Home>,
    frames: Vec<Frame>,
}

#[derive(Debug)]
struct Home {
    free: Mutex<VecDeque<(usize, Fence)>>,
}

impl Home {
    fn free(&self) -> MutexGuard<'_, VecDeque<(usize, Fence)>> {
        // The queue is valid after every single operation on it, so a panic elsewhere leaves no half state.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// A pool of these frames, all free.
    pub fn new(frames: Vec<Frame>) -> Self {
        let free = (0..frames.len())
            .map(|index| (index, Fence::Signaled))
            .collect();
        Self {
            home: Arc::new(Home {
                free: Mutex::new(free),
            }),
            frames,
        }
    }

    /// The frame that has been free for longest, or `None` while all are in use. Does not block.
    pub fn acquire(&self) -> Option<Free> {
        let (index, release) = self.home.free().pop_front()?;
        let frame = PoolFrame {
            index,
            frame: self.frames[index].clone(),
            release,
            home: Arc::clone(&self.home),
        };
        Some(Free::new(frame))
    }

    /// All frames, in the order of their index.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// How many frames are free now.
    pub fn free(&self) -> usize {
        self.home.free().len()
    }
}

/// A frame that a [`Pool`] has given out. Dropping it puts it back.
#[derive(Debug)]
pub struct PoolFrame {
    index: usize,
    frame: Frame,
    /// What the next writer must wait for if the frame goes back now.
    release: Fence,
    home: Arc<Home>,
}

impl PoolFrame {
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
