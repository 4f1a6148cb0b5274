//! Frames out of other processes by `pidfd_getfd(2)`.

use lucarne::Frame;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::process::{PTracer, Pid, PidfdFlags, PidfdGetfdFlags};

use super::FrameTicket;
use super::process::{Process, check_pid, refused};
use crate::deadline;
use crate::descriptor;
use crate::error::{Error, Result};
use crate::frame_message;

/// Fetches a frame out of the process that keeps it (`pidfd_getfd(2)`, Linux 5.6): new descriptors, close-on-exec, for the same
/// memory, whichever kind it is. That process takes no part.
///
/// Everything is checked as by [`receive_frame`](crate::receive_frame), and that the process and the memory are those which the
/// ticket was made for. Does not block.
///
/// The kernel asks whether this process may trace that one (`PTRACE_MODE_ATTACH_REALCREDS`): the same user, and where Yama's
/// `ptrace_scope` is 1, as on Ubuntu, an ancestor or [allowed by it](allow_fetch_by).
///
/// # Errors
///
/// [`Error::Foreign`] with the reason and what would work, where the process is gone, has closed the frame, or may not be traced;
/// [`Error::Stale`] where the process or its descriptor is another one by now; [`Error::Malformed`] and [`Error::Core`] for memory
/// that does not fit the ticket; [`Error::Os`]. What was fetched until then is closed.
///
/// # References
///
/// pidfd_getfd(2); ptrace(2), "Ptrace access mode checking".
#[doc(alias = "pidfd_getfd")]
pub fn fetch_frame(ticket: &FrameTicket) -> Result<Frame> {
    let pid = ticket.pid;
    let number = pid_of(pid)?;
    let process = rustix::process::pidfd_open(number, PidfdFlags::empty())
        .map_err(|errno| refused(pid, "pidfd_open", errno))?;
    // Read after the process is held: a number that is given to another one from now on makes `pidfd_getfd` fail.
    Process::open(pid)?.check_started(ticket.started)?;
    let mut fds = Vec::new();
    for place in &ticket.objects {
        let descriptor = place.descriptor;
        let none = PidfdGetfdFlags::empty();
        let fd = rustix::process::pidfd_getfd(&process, descriptor, none).map_err(|errno| {
            // Before Linux 6.9 a process that is just ending answers EBADF.
            let ended = deadline::is_ready(&process, PollFlags::IN).unwrap_or(false);
            let errno = if ended { Errno::SRCH } else { errno };
            refused(
                pid,
                format!("pidfd_getfd of descriptor {descriptor}"),
                errno,
            )
        })?;
        let found = descriptor::identify(&fd);
        let name = descriptor::read_name(&fd);
        // What is no memory may be slow to close, and is closed elsewhere.
        let known = descriptor::accept(vec![fd]);
        if found? != place.identity {
            return Err(Error::Stale {
                problem: format!(
                    "descriptor {descriptor} of process {pid} is {} now, not what it was",
                    name?
                ),
            });
        }
        fds.extend(known?);
    }
    frame_message::assemble(&ticket.frame, fds)
}

/// Lets one other process [fetch](fetch_frame) from this one where Yama's `ptrace_scope` is 1 (`prctl(PR_SET_PTRACER)`): that
/// process, and those that it starts. Replaces whoever was allowed before. Does nothing where there is no Yama.
///
/// Whoever may fetch descriptors may as well trace this process: read and change all of its memory. Between programs
/// that do not trust each other, [`send_frame`](crate::send_frame) is right.
///
/// # Errors
///
/// [`Error::Foreign`] when there is no such process.
#[doc(alias = "PR_SET_PTRACER")]
pub fn allow_fetch_by(pid: u32) -> Result<()> {
    let number = pid_of(pid)?;
    match rustix::process::set_ptracer(PTracer::ProcessID(number)) {
        Ok(()) => Ok(()),
        // No Yama, or no such process.
        Err(Errno::INVAL) => Process::open(pid).map(drop),
        Err(errno) => Err(Error::os("prctl(PR_SET_PTRACER)", errno)),
    }
}

fn pid_of(pid: u32) -> Result<Pid> {
    let number = i32::try_from(check_pid(pid)?).ok().and_then(Pid::from_raw);
    number.ok_or_else(|| refused(pid, "looking for it", Errno::SRCH))
}
