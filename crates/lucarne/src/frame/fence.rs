//! What must happen before the other side may touch a frame.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::kernel::SyncFile;

/// When a frame may be touched.
///
/// An *acquire fence* gates the reader: it signals when the writer's work is done. A *release fence* gates the
/// writer: it signals when the last reader's work is done. Nobody passes a frame without one.
///
/// Cloning shares the kernel object.
#[derive(Clone, Debug)]
#[must_use = "a fence that nobody waits for protects nothing"]
#[non_exhaustive]
pub enum Fence {
    /// Already: the work had finished when the frame was passed, for instance because the CPU waited for it.
    Signaled,
    /// When this kernel fence signals.
    SyncFile(Arc<SyncFile>),
}

impl Fence {
    /// A fence that signals when `file` does.
    pub fn sync_file(file: SyncFile) -> Self {
        Self::SyncFile(Arc::new(file))
    }

    /// Blocks this thread until the fence has signalled, `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) when it did not signal in time;
    /// [`Error::Os`](crate::Error::Os) when its descriptor is no fence.
    pub fn wait(&self, timeout: Duration) -> Result<()> {
        match self {
            Self::Signaled => Ok(()),
            Self::SyncFile(file) => file.wait(timeout),
        }
    }
}
