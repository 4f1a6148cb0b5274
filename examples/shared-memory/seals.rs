//! What each seal prevents, and what happens without it.

use crate::child::Other;
use crate::map::Mapped;
use crate::report::{Check, answer};
use lucarne_examples::stream::Result;
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use std::os::fd::{AsRawFd as _, OwnedFd};

const BYTES: u64 = 4096;

fn memfd(seals: SealFlags) -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create("lucarne-example", flags)?;
    rustix::fs::ftruncate(&fd, BYTES)?;
    rustix::fs::fcntl_add_seals(&fd, seals)?;
    Ok(fd)
}

pub(crate) fn checks() -> Result<Vec<Check>> {
    let mut checks = shrinking()?;
    checks.extend(growing_and_sealing()?);
    checks.extend(writing()?);
    checks.extend(future_writing()?);
    Ok(checks)
}

/// A reader has it mapped while somebody else makes it shorter.
fn shrinking() -> Result<Vec<Check>> {
    let shrunk_under_a_reader = |seals| -> Result<(String, String)> {
        let fd = memfd(seals)?;
        let path = format!("/proc/{}/fd/{}", std::process::id(), fd.as_raw_fd());
        let mut reader = Other::start("touch", path)?;
        assert_eq!(reader.says()?, "mapped");
        let shrunk = answer(rustix::fs::ftruncate(&fd, 0));
        let said = reader.says()?;
        let ended = reader.ended()?;
        Ok((shrunk, if said.is_empty() { ended } else { said }))
    };
    let (plain, killed) = shrunk_under_a_reader(SealFlags::empty())?;
    let (sealed, read) = shrunk_under_a_reader(SealFlags::SHRINK)?;
    Ok(vec![
        Check::new(
            "seals:none",
            "without a seal one process kills another that reads",
            "ftruncate to 0 while a child has it mapped, and the child's read",
            (format!("{plain}, {killed}"), "ok, SIGBUS"),
        ),
        Check::new(
            "seals:shrink",
            "F_SEAL_SHRINK: it cannot become shorter, and readers live",
            "the same",
            (format!("{sealed}, {read}"), "EPERM, read 0"),
        ),
    ])
}

fn growing_and_sealing() -> Result<Vec<Check>> {
    let fd = memfd(SealFlags::GROW)?;
    let grown = answer(rustix::fs::ftruncate(&fd, 2 * BYTES));
    let fd = memfd(SealFlags::SEAL)?;
    let more = answer(rustix::fs::fcntl_add_seals(&fd, SealFlags::WRITE));
    let unsealable = rustix::fs::memfd_create("lucarne-example", MemfdFlags::CLOEXEC)?;
    let never = answer(rustix::fs::fcntl_add_seals(&unsealable, SealFlags::SHRINK));
    Ok(vec![
        Check::new(
            "seals:grow",
            "F_SEAL_GROW: it cannot become longer and use up memory that is not the writer's to spend",
            "ftruncate to twice its size",
            (grown, "EPERM"),
        ),
        Check::new(
            "seals:seal",
            "F_SEAL_SEAL: nobody adds seals, such as one against the owner's own writing",
            "F_ADD_SEALS",
            (more, "EPERM"),
        ),
        Check::new(
            "seals:allowed",
            "a memfd made without MFD_ALLOW_SEALING is never sealed",
            "F_ADD_SEALS",
            (never, "EPERM"),
        ),
    ])
}

fn writing() -> Result<Vec<Check>> {
    let fd = memfd(SealFlags::empty())?;
    let mapped = Mapped::new(&fd, 4096, true)?;
    let busy = answer(rustix::fs::fcntl_add_seals(&fd, SealFlags::WRITE));
    drop(mapped);
    rustix::fs::fcntl_add_seals(&fd, SealFlags::WRITE)?;
    let written = answer(rustix::io::pwrite(&fd, b"x", 0));
    let mapped = answer(Mapped::new(&fd, 4096, true));
    let reading = answer(Mapped::new(&fd, 4096, false));
    Ok(vec![
        Check::new(
            "seals:busy",
            "F_SEAL_WRITE must wait until nobody has it mapped for writing",
            "F_ADD_SEALS while it is mapped",
            (busy, "EBUSY"),
        ),
        Check::new(
            "seals:write",
            "F_SEAL_WRITE: nobody writes any more, the owner neither",
            "pwrite, a mapping for writing, one for reading",
            (
                format!("{written}, {mapped}, {reading}"),
                "EPERM, EPERM, ok",
            ),
        ),
    ])
}

fn future_writing() -> Result<Vec<Check>> {
    let fd = memfd(SealFlags::empty())?;
    let mut mapped = Mapped::new(&fd, 4096, true)?;
    rustix::fs::fcntl_add_seals(&fd, SealFlags::FUTURE_WRITE)?;
    mapped.write(0, 42);
    let mut byte = [0];
    let _ = rustix::io::pread(&fd, &mut byte, 0)?;
    // What a receiver can try: write, map, and open it again.
    let written = answer(rustix::io::pwrite(&fd, b"x", 0));
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let again = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let anew = answer(Mapped::new(&again, 4096, true));
    Ok(vec![
        Check::new(
            "seals:future-write-owner",
            "F_SEAL_FUTURE_WRITE: mappings that were there go on writing",
            "42 through the owner's mapping, and pread",
            (byte[0].to_string(), "42"),
        ),
        Check::new(
            "seals:future-write",
            "F_SEAL_FUTURE_WRITE: nobody else begins to, not by opening it again either",
            "pwrite, a mapping for writing after a new open",
            (format!("{written}, {anew}"), "EPERM, EPERM"),
        ),
    ])
}
