//! Frames out of other processes by `/proc/PID/fd/N`.

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use lucarne::{Frame, kernel::Memfd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::process::{Process, refused};
use super::{FrameTicket, Place};
use crate::descriptor;
use crate::error::{Error, Result};
use crate::frame_message;

/// What a frame that is opened by path may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TicketAccess {
    /// Reading: the kernel refuses to map it for writing. Only the CPU can use such a frame.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// Opens a frame in host memory by its path, `/proc/PID/fd/N`: a memfd's entry there can be opened like a file.
///
/// The descriptor is close-on-exec and a *new open file description*: it may allow less or more than that process's own, as a
/// memfd belongs to its user and is made readable and writable (mode 0777). Seals hold for it all the same. Everything is
/// checked as by [`fetch_frame`](super::fetch_frame); nothing but a memfd is ever opened, so that no file, pipe or device of a
/// hostile process can make this wait. Does not block.
///
/// The kernel asks whether this process may *look at* that one (`PTRACE_MODE_READ_FSCREDS`): the same user will do, whatever
/// Yama's `ptrace_scope` says.
///
/// # Errors
///
/// [`Error::Invalid`] for whatever is no memfd, such as a dma-buf, whose entry there cannot be opened (ENXIO):
/// [`fetch_frame`](super::fetch_frame) is for those. [`Error::Foreign`] with the reason and what would work, where the process
/// is gone, has closed the frame, or is another user's; [`Error::Stale`], [`Error::Malformed`], [`Error::Core`] and [`Error::Os`] as
/// there.
///
/// # References
///
/// proc_pid_fd(5); memfd_create(2); ptrace(2), "Ptrace access mode checking".
#[doc(alias = "/proc/PID/fd")]
pub fn open_frame(ticket: &FrameTicket, access: TicketAccess) -> Result<Frame> {
    let process = Process::open(ticket.pid)?;
    process.check_started(ticket.started)?;
    let objects = ticket.objects.iter();
    let fds: Vec<OwnedFd> = objects
        .map(|place| open(&process, ticket.pid, place, access))
        .collect::<Result<_>>()?;
    frame_message::assemble(&ticket.frame, fds)
}

fn open(process: &Process, pid: u32, place: &Place, access: TicketAccess) -> Result<OwnedFd> {
    let descriptor = place.descriptor;
    let what = || format!("opening /proc/{pid}/fd/{descriptor}");
    // A place in the file system, and not yet the file: nobody is asked anything but the kernel.
    let path = process
        .at(&format!("fd/{descriptor}"), OFlags::PATH)
        .map_err(|errno| {
            let ended = errno == Errno::NOENT && process.has_ended();
            refused(pid, what(), if ended { Errno::SRCH } else { errno })
        })?;
    let found = descriptor::identify(&path)?;
    if found != place.identity {
        return Err(Error::Stale {
            problem: format!(
                "descriptor {descriptor} of process {pid} is {} now, not what it was",
                descriptor::read_name(&path)?
            ),
        });
    }
    // Every memfd of ordinary pages lies in one file system, which nothing else is in and nobody can mount.
    let memfd = Memfd::create("lucarne: where memfds are", 4096)?;
    if found.device != descriptor::identify(&memfd)?.device {
        return Err(Error::Invalid {
            field: "memory to be opened by its path",
            got: descriptor::read_name(&path)?,
            limit: "a memfd: a dma-buf, or what a driver gave out, cannot be opened so (ENXIO); fetch_frame gets it by \
                    pidfd_getfd, and send_frame passes it"
                .to_owned(),
        });
    }
    let flags = match access {
        TicketAccess::Read => OFlags::RDONLY,
        TicketAccess::ReadWrite => OFlags::RDWR,
    };
    reopen(path.as_fd(), flags).map_err(|errno| refused(pid, what(), errno))
}

/// Opens what a descriptor stands for, once more.
fn reopen(path: impl AsFd, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let name = format!("/proc/self/fd/{}", path.as_fd().as_raw_fd());
    rustix::fs::open(name, flags | OFlags::CLOEXEC, Mode::empty())
}
