//! A stream's frame that GStreamer reads: its turn ends with the memory.

use std::sync::{Arc, Mutex, PoisonError};

use lucarne::Fence;
use lucarne::kernel::FenceRole;
use lucarne_stream::StreamFrame;

use crate::ffi::{Carried, Kept};
use crate::import::Imported;
use crate::lock;

/// The turn, kept by each memory of the frame.
#[derive(Debug)]
pub(crate) struct Turn {
    reading: Mutex<Option<Carried<StreamFrame<Imported>>>>,
}

impl Kept for Turn {
    const NAME: &'static str = "lucarne-turn";
}

impl Turn {
    pub(crate) fn new(reading: Carried<StreamFrame<Imported>>) -> Arc<Self> {
        Arc::new(Self {
            reading: Mutex::new(Some(reading)),
        })
    }

    /// Looks at the frame's import, which the turn keeps.
    pub(crate) fn with_image<T>(&self, look: impl FnOnce(&Imported) -> T) -> Option<T> {
        let reading = lock(&self.reading);
        reading.as_ref().map(|reading| look(reading.get().image()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let reading = self
            .reading
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(reading) = reading.take() else {
            return;
        };
        let reading = reading.into_inner();
        // A device that still reads has left its fence with the dma-buf; the CPU is done.
        let release = reading.frame().implicit_fence(FenceRole::Release);
        // Nobody is left to hear of a producer that has gone.
        let _ = reading.release(release.unwrap_or(Fence::Signaled));
    }
}
