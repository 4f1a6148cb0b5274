//! A ring of frames that a producer writes in turn.

use std::sync::Arc;

use super::frame::Frame;
use super::lent::{Home, PoolFrame};
use super::turn::Free;

/// The frames of one producer; each is in exactly one state at any time.
///
/// Three let the producer write one while one is shown and one waits. Frames come back by themselves when their
/// turn ends, whichever way it ends. Threads may share a pool.
#[derive(Debug)]
pub struct Pool {
    home: Arc<Home>,
    frames: Vec<Frame>,
}

impl Pool {
    /// A pool of these frames, all free.
    pub fn new(frames: Vec<Frame>) -> Self {
        Self {
            home: Arc::new(Home::new(frames.len())),
            frames,
        }
    }

    /// The frame that has been free for longest, or `None` while all are in use. Does not block.
    pub fn acquire(&self) -> Option<Free> {
        let (index, release) = self.home.free().pop_front()?;
        let frame = PoolFrame::new(index, self.frames[index].clone(), release, &self.home);
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
