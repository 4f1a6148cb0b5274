//! What a descriptor from a peer is, found out without asking the file itself.
//!
//! A peer can send any descriptor. One of a file system in user space (FUSE) makes `fstat`, `lseek`, `poll` or an ioctl wait
//! for a process of the peer's, for ever. So before anything else is asked, the kernel is asked what it knows by itself.

use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use lucarne::SyncFile;

use rustix::fs::{AtFlags, FileType, StatxFlags};

use crate::error::{Error, Result};
use crate::wire::Malformed;

/// As much of a file in `/proc/self/fdinfo` as is of interest.
const FDINFO: u64 = 4096;

/// Checks that a descriptor can be a frame's memory: a memfd, a dma-buf, or a device that a driver gave out.
pub(crate) fn check_memory(fd: impl AsFd) -> Result<()> {
    let fd = fd.as_fd();
    // Only memory of the kernel's own has seals: F_GET_SEALS asks no file system.
    if rustix::fs::fcntl_get_seals(fd).is_ok() || is_dma_buf(fd)? || is_device(fd) {
        return Ok(());
    }
    let limit = "a memfd, a dma-buf or a device";
    Err(Malformed::new("memory", name(fd)?, limit).into())
}

/// Takes a descriptor as a fence: a sync_file, or an eventfd in its place, for work that no driver does.
pub(crate) fn fence(fd: OwnedFd) -> Result<SyncFile> {
    // Names of files begin with a slash, wherever they are mounted.
    match name(fd.as_fd())?.as_str() {
        "anon_inode:sync_file" => Ok(SyncFile::new(fd)?),
        "anon_inode:[eventfd]" => Ok(SyncFile::stand_in(fd)),
        other => Err(Malformed::new("fence", other, "a sync_file").into()),
    }
}

/// dma-bufs tell their exporter's name in `/proc/self/fdinfo`; what a file in user space is called there, its maker does not
/// decide.
fn is_dma_buf(fd: BorrowedFd<'_>) -> Result<bool> {
    let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
    let failed = |error| Error::os("reading /proc/self/fdinfo", error);
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(FDINFO)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text.lines().any(|line| line.starts_with("exp_name:")))
}

/// The type alone, as the kernel remembers it.
fn is_device(fd: BorrowedFd<'_>) -> bool {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let known = rustix::fs::statx(fd, c"", flags, StatxFlags::TYPE);
    known.is_ok_and(|known| {
        let mode = rustix::fs::RawMode::from(known.stx_mode);
        FileType::from_raw_mode(mode) == FileType::CharacterDevice
    })
}

/// The name that the kernel has for it.
fn name(fd: BorrowedFd<'_>) -> Result<String> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let name = std::fs::read_link(path)
        .map_err(|error| Error::os("reading a link in /proc/self/fd", error))?;
    Ok(name.display().to_string())
}

#[cfg(test)]
mod tests {
    use lucarne::Memfd;
    use rustix::event::EventfdFlags;

    use super::*;

    #[test]
    fn memory_is_what_the_kernel_says_it_is() {
        let memfd = Memfd::create("memory", 4096).expect("a memfd");
        check_memory(&memfd).expect("memory");
        let null = std::fs::File::open("/dev/null").expect("a device");
        check_memory(&null).expect("drivers give out devices");
        let file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).expect("a file");
        let (pipe, _end) = rustix::pipe::pipe().expect("a pipe");
        let folder = std::fs::File::open("/").expect("a folder");
        let eventfd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
        let others = [file.as_fd(), pipe.as_fd(), folder.as_fd(), eventfd.as_fd()];
        for other in others {
            let error = check_memory(other).expect_err("no memory").to_string();
            assert!(error.contains("memory is"), "{error}");
        }
    }

    #[test]
    fn fences_lie_in_no_file_system() {
        let eventfd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
        drop(fence(eventfd).expect("it can stand in"));
        let memfd = Memfd::create("anon_inode:sync_file", 4096).expect("a memfd");
        let (pipe, _end) = rustix::pipe::pipe().expect("a pipe");
        let null = std::fs::File::open("/dev/null").expect("a device");
        for other in [memfd.as_fd(), pipe.as_fd(), null.as_fd()] {
            let other = other.try_clone_to_owned().expect("a descriptor");
            let error = fence(other).expect_err("no fence").to_string();
            assert!(error.contains("a sync_file"), "{error}");
        }
    }
}
