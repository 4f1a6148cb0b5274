//! A ring of frames that a producer writes in turn.

use std::sync::Arc;

use super::frame::Frame;
use super::lent::{Home, PoolFrame};
use super::turn::Free;

/// The frames of one producer; each is in exactly one state at any time.
///
/// With three frames the producer can write one while another is shown and the third waits. A frame comes back to the pool
/// when its turn ends, in whichever way it ends. Threads may share a pool.
///
/// ```
/// use lucarne::{Fence, Pool};
///
/// # use lucarne::{DeviceId, Extent, Format, Frame, FrameLayout, Memory, kernel::Memfd};
/// # let (layout, size) = FrameLayout::linear(Extent::new(64, 64), Format::XRGB8888)?;
/// # let memory = Memory::HostMemory(Memfd::create("frame", size)?);
/// # let frame = Frame::new(layout, memory, DeviceId::default())?;
/// let pool = Pool::new(vec![frame]);
/// let (writing, _gate) = pool.acquire().expect("a free frame").acquire();
/// assert!(pool.acquire().is_none()); // the only frame is in use
///
/// let (reading, _acquire) = writing.send(Fence::Signaled).receive().acquire();
/// reading.release(Fence::Signaled);
/// assert_eq!(pool.free(), 1);
/// # Ok::<(), lucarne::Error>(())
/// ```
#[derive(Debug)]
pub struct Pool {
    home: Arc<Home>,
}

impl Pool {
    /// A pool of these frames, all free.
    pub fn new(frames: Vec<Frame>) -> Self {
        Self {
            home: Arc::new(Home::new(frames)),
        }
    }

    /// The frame that has been free for longest, or `None` while all are in use. Does not block.
    pub fn acquire(&self) -> Option<Free> {
        let (index, release) = self.home.free().pop_front()?;
        Some(Free::new(PoolFrame::new(index, release, &self.home)))
    }

    /// All frames, in the order of their index.
    pub fn frames(&self) -> &[Frame] {
        self.home.frames()
    }

    /// How many frames are free now.
    pub fn free(&self) -> usize {
        self.home.free().len()
    }
}
