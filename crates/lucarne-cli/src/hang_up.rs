//! The end of a terminal or a display, by its descriptor.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{Errno, Result};

/// Waits until something of `events` has happened, `within` at most. Says whether the other side is gone.
pub(crate) fn hangs_up(fd: BorrowedFd<'_>, events: PollFlags, within: Duration) -> Result<bool> {
    let mut fds = [PollFd::from_borrowed_fd(fd, events)];
    let within = Timespec::try_from(within).ok();
    match rustix::event::poll(&mut fds, within.as_ref()) {
        Ok(_) => {
            let ends = PollFlags::HUP | PollFlags::ERR;
            Ok(fds[0].revents().intersects(ends))
        }
        // A signal: the window's size has changed, for instance.
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}
