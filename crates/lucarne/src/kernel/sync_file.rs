//! sync_file: a fence with a descriptor (`linux/sync_file.h`).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::fd;
use crate::error::{Error, Result};

/// A fence that signals once, when work that was submitted before it was made has finished.
///
/// Owns its descriptor and closes it on drop.
#[derive(Debug)]
#[must_use = "a fence that nobody waits for protects nothing"]
pub struct SyncFile {
    fd: OwnedFd,
}

impl SyncFile {
    /// Takes a descriptor that an API exported as a native fence (`VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT`,
    /// `eglDupNativeFenceFDANDROID`, `DMA_BUF_IOCTL_EXPORT_SYNC_FILE`).
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Blocks this thread until the fence has signalled, `timeout` at most.
    ///
    /// Drivers are made to wait only after this: a software driver waits for ever, on the calling thread.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] when it did not signal in time; [`Error::Os`] when the descriptor is no fence, or the
    /// fence ended in an error.
    pub fn wait(&self, timeout: Duration) -> Result<()> {
        // A deadline beyond the end of the clock is none at all.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            match self.poll(left) {
                Ok(true) => return Ok(()),
                Ok(false) if left.is_some_and(|left| left.is_zero()) => {
                    return Err(Error::Timeout {
                        waiting_for: "a fence's signal",
                        after: timeout,
                    });
                }
                // A signal handler or a clock that rounds down: go on with what time is left.
                Ok(false) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(Error::os("poll of a sync_file", errno)),
            }
        }
    }

    /// Whether the fence has signalled. Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the descriptor is no fence.
    pub fn is_signaled(&self) -> Result<bool> {
        // Even a poll that does not block is interrupted by a signal that is pending.
        rustix::io::retry_on_intr(|| self.poll(Some(Duration::ZERO)))
            .map_err(|errno| Error::os("poll of a sync_file", errno))
    }

    /// A new descriptor for the same fence, close-on-exec, owned by the caller.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the process has no descriptor left.
    pub fn duplicate(&self) -> Result<OwnedFd> {
        fd::duplicate(&self.fd, "duplicating a fence's descriptor")
    }

    fn poll(&self, timeout: Option<Duration>) -> rustix::io::Result<bool> {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        let timeout = timeout
            .map(Timespec::try_from)
            .transpose()
            .map_err(|_| rustix::io::Errno::INVAL)?;
        rustix::event::poll(&mut fds, timeout.as_ref())?;
        let events = fds[0].revents();
        if events.intersects(PollFlags::ERR | PollFlags::NVAL) {
            return Err(rustix::io::Errno::INVAL);
        }
        if events.contains(PollFlags::IN) {
            return Ok(true);
        }
        // A fence never hangs up; a pipe whose writer is gone does, and would never signal.
        if events.contains(PollFlags::HUP) {
            return Err(rustix::io::Errno::INVAL);
        }
        Ok(false)
    }
}

impl AsFd for SyncFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
