//! One turn for pools and streams.

use lucarne::{Fence, Frame};
use lucarne_stream::SlotWriting;

use crate::failure::{Failure, Result};
use crate::ffi::lucarne_image;

/// A frame that may be written.
#[derive(Debug)]
pub(crate) enum Writing {
    Pool(lucarne::Writing),
    Stream(SlotWriting<lucarne_image>),
}

impl Writing {
    pub(crate) fn index(&self) -> usize {
        match self {
            Self::Pool(writing) => writing.index(),
            Self::Stream(slot) => slot.index(),
        }
    }

    pub(crate) fn frame(&self) -> &Frame {
        match self {
            Self::Pool(writing) => writing.frame(),
            Self::Stream(slot) => slot.frame(),
        }
    }

    pub(crate) fn gate(&self) -> &Fence {
        match self {
            Self::Pool(writing) => writing.gate(),
            Self::Stream(slot) => slot.gate(),
        }
    }

    /// A pool has no generations.
    pub(crate) fn generation(&self) -> u64 {
        match self {
            Self::Pool(_) => 0,
            Self::Stream(slot) => slot.generation(),
        }
    }

    /// A pool has frames only.
    pub(crate) fn image(&self) -> Option<&lucarne_image> {
        match self {
            Self::Pool(_) => None,
            Self::Stream(slot) => Some(slot.image()),
        }
    }

    pub(crate) fn of_pool(self) -> Result<lucarne::Writing> {
        match self {
            Self::Pool(writing) => Ok(writing),
            Self::Stream(_) => {
                let wanted = "a pool's: lucarne_producer_send sends a stream's";
                Err(Failure::argument("writing", "a stream's", wanted))
            }
        }
    }

    pub(crate) fn of_stream(self) -> Result<SlotWriting<lucarne_image>> {
        match self {
            Self::Stream(slot) => Ok(slot),
            Self::Pool(_) => {
                let wanted = "a stream's: lucarne_writing_send sends a pool's";
                Err(Failure::argument("writing", "a pool's", wanted))
            }
        }
    }
}

/// A frame that may be read.
#[derive(Debug)]
pub(crate) enum Reading {
    Pool(lucarne::Reading),
    Stream(lucarne_stream::Reading<lucarne_image>),
}

impl Reading {
    pub(crate) fn frame(&self) -> &Frame {
        match self {
            Self::Pool(reading) => reading.frame(),
            Self::Stream(reading) => reading.frame(),
        }
    }

    pub(crate) fn image(&self) -> Option<&lucarne_image> {
        match self {
            Self::Pool(_) => None,
            Self::Stream(reading) => Some(reading.image()),
        }
    }

    pub(crate) fn release(self, fence: Fence) -> Result<()> {
        match self {
            Self::Pool(reading) => {
                reading.release(fence);
                Ok(())
            }
            Self::Stream(reading) => Ok(reading.release(fence)?),
        }
    }
}
