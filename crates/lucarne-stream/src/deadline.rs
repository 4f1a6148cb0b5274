//! Waiting for descriptors, no longer than until a given moment.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::error::{Error, Result};

/// A moment on `CLOCK_MONOTONIC`, as of the kernel's last tick: a few milliseconds old, and cheap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tick {
    nanoseconds: i64,
}

impl Tick {
    #[inline]
    pub(crate) fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
        // It overflows after 292 years.
        let seconds = now.tv_sec.wrapping_mul(1_000_000_000);
        Self {
            nanoseconds: seconds.wrapping_add(now.tv_nsec),
        }
    }

    /// Whether it is so much later than another moment.
    #[inline]
    pub(crate) fn is_after(self, earlier: Self, time: Duration) -> bool {
        i128::from(self.nanoseconds.wrapping_sub(earlier.nanoseconds))
            >= time.as_nanos().cast_signed()
    }
}

/// A moment until which is waited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    end: Option<Instant>,
    timeout: Duration,
}

impl Deadline {
    /// `timeout` from now; one beyond the clock's range never comes.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            end: Instant::now().checked_add(timeout),
            timeout,
        }
    }

    pub(crate) fn left(&self) -> Option<Duration> {
        let end = self.end?;
        Some(end.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    pub(crate) fn error(&self, waiting_for: &'static str) -> Error {
        Error::Timeout {
            waiting_for,
            after: self.timeout,
        }
    }

    /// Blocks until `fd` is ready, or hung up.
    pub(crate) fn wait(
        &self,
        fd: BorrowedFd<'_>,
        events: PollFlags,
        waiting_for: &'static str,
    ) -> Result<()> {
        if self.is_over() {
            return Err(self.error(waiting_for));
        }
        poll(fd, events, self.left())
    }
}

/// Blocks until `fd` is ready, hung up, or the time is over.
pub(crate) fn poll(fd: BorrowedFd<'_>, events: PollFlags, time: Option<Duration>) -> Result<()> {
    let limit = time.and_then(|time| Timespec::try_from(time).ok());
    let mut fds = [PollFd::from_borrowed_fd(fd, events)];
    match rustix::event::poll(&mut fds, limit.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(Error::os("poll", errno)),
    }
}

/// Whether there is something to be read, or to be told.
#[cfg(feature = "tokio")]
pub(crate) fn is_readable(end: impl AsFd) -> Result<bool> {
    is_ready(end, PollFlags::IN)
}

/// Whether `poll(2)` has something to tell at once.
pub(crate) fn is_ready(fd: impl AsFd, events: PollFlags) -> Result<bool> {
    let fd = fd.as_fd();
    let mut fds = [PollFd::from_borrowed_fd(fd, events)];
    match rustix::event::poll(&mut fds, Some(&Timespec::default())) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(errno) => Err(Error::os("poll", errno)),
    }
}
