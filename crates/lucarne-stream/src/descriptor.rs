//! What a descriptor from a peer is, found out without asking the file itself.
//!
//! A peer can send any descriptor. One of a file system in user space (FUSE) makes `fstat`, `lseek`, `poll`, an ioctl and even
//! `close` wait for a process of the peer's, for ever. So before anything else is done, the kernel is asked what it knows by
//! itself, and what is no memory and no fence is never asked anything.

use std::ffi::CStr;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use lucarne::kernel::{BufferIdentity, Memfd, SyncFile};

use rustix::fs::{AtFlags, CWD, FileType, OFlags, SealFlags, StatxFlags};

use crate::closing;
use crate::error::{Error, Result};
use crate::wire::Malformed;

// Names of nameless kernel objects; those of files begin with a slash, wherever they are mounted.
const SYNC_FILE: &[u8] = b"anon_inode:sync_file";
const EVENTFD: &[u8] = b"anon_inode:[eventfd]";
/// Longer than these, and than the path where they are found.
const MAX_FENCE_NAME: usize = 64;
/// The majors of devices that drivers give out as memory: NVIDIA's, and DRM's.
const GRAPHICS: [u32; 2] = [195, 226];
/// As much of a file in `/proc/self/fdinfo` as is of interest.
const FDINFO: u64 = 4096;

/// Takes the descriptors of a message: each a memfd, a dma-buf, a device that a driver gave out, or a fence. None of the
/// others stays open.
pub(crate) fn accept(mut fds: Vec<OwnedFd>) -> Result<Vec<OwnedFd>> {
    let mut refused = None;
    let is_refused = |fd: &mut OwnedFd| match check_known(fd.as_fd()) {
        Ok(()) => false,
        Err(error) => {
            refused = Some(error);
            true
        }
    };
    fds.extract_if(.., is_refused).for_each(closing::close);
    refused.map_or(Ok(fds), Err)
}

fn check_known(fd: BorrowedFd<'_>) -> Result<()> {
    if is_sealable(fd) || fence_kind(fd)?.is_some() || is_memory(fd)? {
        return Ok(());
    }
    let limit = "a memfd, a dma-buf, a device, a sync_file or an eventfd";
    let kind = read_name(fd).unwrap_or_else(|error| error.to_string());
    Err(Malformed::new("descriptor", kind, limit).into())
}

/// Checks that a descriptor can be a frame's memory: a memfd, a dma-buf, or a device that a driver gave out.
pub(crate) fn check_memory(fd: impl AsFd) -> Result<()> {
    let fd = fd.as_fd();
    if is_memory(fd)? {
        return Ok(());
    }
    let limit = "a memfd, a dma-buf or a device";
    Err(Malformed::new("memory", read_name(fd)?, limit).into())
}

fn is_memory(fd: BorrowedFd<'_>) -> Result<bool> {
    Ok(is_sealable(fd) || is_dma_buf(fd)? || is_device(fd))
}

/// Checks that shared memory can be mapped for writing: a ring is written by both ends.
pub(crate) fn check_writable(memory: &Memfd) -> Result<()> {
    let failed = |operation| move |errno| Error::os(operation, errno);
    let seals = rustix::fs::fcntl_get_seals(memory).map_err(failed("fcntl (F_GET_SEALS)"))?;
    let flags = rustix::fs::fcntl_getfl(memory).map_err(failed("fcntl (F_GETFL)"))?;
    let got = if seals.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE) {
        "a memfd that is sealed against writing"
    } else if flags & OFlags::RWMODE != OFlags::RDWR {
        "a descriptor for reading only"
    } else {
        return Ok(());
    };
    Err(Malformed::new("the ring's memory", got, "writable: both sides write it").into())
}

/// Only memory of the kernel's own has seals: `F_GET_SEALS` asks no file system.
fn is_sealable(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_get_seals(fd).is_ok()
}

/// What can be waited for as a fence.
#[derive(Clone, Copy)]
enum FenceKind {
    SyncFile,
    /// In a sync_file's place, for work that no driver does.
    Eventfd,
}

/// Takes a descriptor as a fence: a sync_file, or an eventfd in its place. Allocates nothing for one that is.
pub(crate) fn accept_fence(fd: OwnedFd) -> Result<SyncFile> {
    match fence_kind(fd.as_fd())? {
        Some(FenceKind::SyncFile) => Ok(SyncFile::new(fd)?),
        Some(FenceKind::Eventfd) => Ok(SyncFile::stand_in(fd)),
        None => Err(Malformed::new("fence", read_name(&fd)?, "a sync_file").into()),
    }
}

fn fence_kind(fd: BorrowedFd<'_>) -> Result<Option<FenceKind>> {
    let failed = |error: std::io::Error| Error::os("reading a link in /proc/self/fd", error);
    let mut path = [0; MAX_FENCE_NAME];
    write!(&mut path[..], "/proc/self/fd/{}\0", fd.as_raw_fd()).map_err(failed)?;
    let path = CStr::from_bytes_until_nul(&path).unwrap_or_default();
    let mut name = [0; MAX_FENCE_NAME];
    let length = rustix::fs::readlinkat_raw(CWD, path, &mut name[..])
        .map_err(|errno| failed(errno.into()))?;
    Ok(match &name[..length] {
        SYNC_FILE => Some(FenceKind::SyncFile),
        EVENTFD => Some(FenceKind::Eventfd),
        _ => None,
    })
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

/// Whether it is a graphics driver's device. What else is a device may do anything when it is read or asked: a terminal waits
/// for somebody to type.
fn is_device(fd: BorrowedFd<'_>) -> bool {
    // A descriptor that is only a path never reached the driver: a file system may say anything of it.
    let is_path = rustix::fs::fcntl_getfl(fd).is_ok_and(|flags| flags.contains(OFlags::PATH));
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let known = rustix::fs::statx(fd, c"", flags, StatxFlags::TYPE);
    known.is_ok_and(|known| {
        let mode = rustix::fs::RawMode::from(known.stx_mode);
        let is_device = FileType::from_raw_mode(mode) == FileType::CharacterDevice;
        !is_path && is_device && GRAPHICS.contains(&known.stx_rdev_major)
    })
}

/// Which kernel object it is.
pub(crate) fn identify(fd: impl AsFd) -> Result<BufferIdentity> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let known = rustix::fs::statx(fd, c"", flags, StatxFlags::INO)
        .map_err(|errno| Error::os("statx of a frame's memory", errno))?;
    Ok(BufferIdentity {
        device: rustix::fs::makedev(known.stx_dev_major, known.stx_dev_minor),
        inode: known.stx_ino,
    })
}

/// The name that the kernel has for it.
pub(crate) fn read_name(fd: impl AsFd) -> Result<String> {
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    let name = std::fs::read_link(path)
        .map_err(|error| Error::os("reading a link in /proc/self/fd", error))?;
    Ok(name.display().to_string())
}

#[cfg(test)]
mod tests {
    use rustix::event::EventfdFlags;
    use rustix::fs::Mode;

    use super::*;

    #[test]
    fn memory_is_what_the_kernel_says_it_is() {
        let memfd = Memfd::create("memory", 4096).expect("a memfd");
        check_memory(&memfd).expect("memory");
        let null = std::fs::File::open("/dev/null").expect("a device");
        let file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).expect("a file");
        let (pipe, _end) = rustix::pipe::pipe().expect("a pipe");
        let folder = std::fs::File::open("/").expect("a folder");
        let eventfd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
        let path = rustix::fs::open("/dev/null", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let path = path.expect("a path");
        let others = [
            file.as_fd(),
            pipe.as_fd(),
            folder.as_fd(),
            eventfd.as_fd(),
            null.as_fd(),
            path.as_fd(),
        ];
        for other in others {
            let error = check_memory(other).expect_err("no memory").to_string();
            assert!(error.contains("memory is"), "{error}");
        }
    }

    #[test]
    fn fences_lie_in_no_file_system() {
        let eventfd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
        drop(accept_fence(eventfd).expect("it can stand in"));
        let memfd = Memfd::create("anon_inode:sync_file", 4096).expect("a memfd");
        let (pipe, _end) = rustix::pipe::pipe().expect("a pipe");
        let null = std::fs::File::open("/dev/null").expect("a device");
        for other in [memfd.as_fd(), pipe.as_fd(), null.as_fd()] {
            let other = other.try_clone_to_owned().expect("a descriptor");
            let error = accept_fence(other).expect_err("no fence").to_string();
            assert!(error.contains("a sync_file"), "{error}");
        }
    }
}
