//! memfd: memory without a name, which others get as a descriptor, and which can be sealed.

use crate::EXTENT;
use crate::child;
use crate::report::{Check, answer};
use lucarne::{Memory, MemoryPath};
use lucarne_examples::card;
use lucarne_examples::stream::Result;
use lucarne_stream::{Error, FrameTicket, TicketAccess, open_frame};
use rustix::fs::{Mode, OFlags};
use std::os::fd::AsRawFd as _;

pub(crate) fn checks() -> Result<Vec<Check>> {
    let image = card::share(MemoryPath::HostMemory, EXTENT)?;
    let frame = image.frame();
    let ticket = FrameTicket::new(frame)?;
    let number = ticket.descriptors()[0];
    let link = std::fs::read_link(format!("/proc/self/fd/{number}"))?;
    let named = link.to_string_lossy().starts_with("/memfd:");
    let fetched = child::ask("fetch", &ticket)?;
    let opened = child::ask("open", &ticket)?;
    let Memory::HostMemory(memfd) = frame.memory() else {
        return Err("host memory was asked for".into());
    };
    let shrunk = answer(rustix::fs::ftruncate(memfd, 0));
    // A new open file description: what a descriptor may do says nothing about the next one.
    let path = |fd: i32| format!("/proc/self/fd/{fd}");
    let reading = rustix::fs::open(
        path(number),
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let writing = OFlags::RDWR | OFlags::CLOEXEC;
    let again = rustix::fs::open(path(reading.as_raw_fd()), writing, Mode::empty());
    drop(image);
    // Its number is free, or something else's already.
    let gone = match open_frame(&ticket, TicketAccess::Read) {
        Ok(_) => "there".to_owned(),
        Err(Error::Foreign { .. } | Error::Stale { .. }) => "not there".to_owned(),
        Err(error) => error.to_string(),
    };
    Ok(vec![
        Check::new(
            "memfd:shared",
            "a child that may trace this process fetches it",
            "pidfd_getfd in a child",
            (fetched, "the same picture"),
        ),
        Check::new(
            "memfd:path",
            "a child of the same user opens it by its path",
            "open of /proc/PID/fd/N in a child",
            (opened, "the same picture"),
        ),
        Check::new(
            "memfd:nameless",
            "it has no name that another program could open or unlink",
            "the link in /proc/self/fd",
            (if named { "/memfd:…" } else { "a path" }, "/memfd:…"),
        ),
        Check::new(
            "memfd:sealed",
            "Lucarne's are sealed: nobody shrinks them",
            "ftruncate to 0",
            (shrunk, "EPERM"),
        ),
        Check::new(
            "memfd:reopened",
            "a descriptor for reading is no protection: its holder opens it again for writing",
            "open of /proc/self/fd/N with O_RDWR",
            (answer(again), "ok"),
        ),
        Check::new(
            "memfd:gone",
            "it is gone with its last descriptor: nobody cleans up",
            "open by path after the close",
            (gone, "not there"),
        ),
    ])
}
