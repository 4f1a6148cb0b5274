//! What a file descriptor refers to, for checks and for messages.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, SealFlags, SeekFrom};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// `DMA_BUF_MAGIC` of `linux/magic.h`: what `fstatfs` answers for every real dma-buf.
const DMA_BUF_MAGIC: u32 = 0x444d_4142;
/// `TMPFS_MAGIC` of `linux/magic.h`: what it answers for a memfd of ordinary pages.
const TMPFS_MAGIC: u32 = 0x0102_1994;

/// A new descriptor for the same object, close-on-exec.
pub(crate) fn duplicate(fd: impl AsFd, what: &'static str) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(|errno| Error::os(what, errno))
}

/// Whether the kernel says that this is a dma-buf.
pub(crate) fn is_dma_buf(fd: impl AsFd) -> Result<bool> {
    Ok(file_system(fd)? == DMA_BUF_MAGIC)
}

/// Whether a memfd is one of ordinary pages.
pub(crate) fn is_tmpfs(fd: impl AsFd) -> Result<bool> {
    Ok(file_system(fd)? == TMPFS_MAGIC)
}

fn file_system(fd: impl AsFd) -> Result<u32> {
    let stat = rustix::fs::fstatfs(fd).map_err(|errno| Error::os("fstatfs of a buffer", errno))?;
    // The field is signed or unsigned by platform; the magic's 32 bits are all that counts.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "file system magics are 32 bits wide, whatever the field's type"
    )]
    #[expect(clippy::cast_sign_loss, reason = "compared bit by bit")]
    let magic = stat.f_type as u32;
    Ok(magic)
}

/// Refuses what no driver exports as memory of `bytes` bytes: dma-bufs, sealed memfds and devices can be, and nothing
/// else. A driver that reads a pipe or an eventfd to find out would wait for ever; one that maps a memory file beyond
/// its end, or one that shrinks later, would be killed by SIGBUS.
pub(crate) fn check_driver_memory(fd: impl AsFd, bytes: u64) -> Result<()> {
    let fd = fd.as_fd();
    let stat =
        rustix::fs::fstat(fd).map_err(|errno| Error::os("fstat of a memory object", errno))?;
    match FileType::from_raw_mode(stat.st_mode) {
        // Only the driver knows what lies behind it.
        FileType::CharacterDevice => return Ok(()),
        FileType::RegularFile => {
            let seals = rustix::fs::fcntl_get_seals(fd);
            if !seals.is_ok_and(|seals| seals.contains(SealFlags::SHRINK)) {
                return Err(Error::invalid(
                    "memory object",
                    format!("{} that may still shrink", describe(fd)),
                    "a dma-buf, device or memfd sealed with F_SEAL_SHRINK that a driver exported",
                ));
            }
        }
        _ if is_dma_buf(fd)? => {}
        _ => {
            return Err(Error::invalid(
                "memory object",
                describe(fd),
                "a dma-buf, memory file or device that a driver exported",
            ));
        }
    }
    let size = size(fd)?;
    if size < bytes {
        return Err(Error::invalid(
            "allocation size",
            bytes,
            format!("at most {size} bytes, which is all that the descriptor has"),
        ));
    }
    Ok(())
}

/// Refuses what no driver exports as a semaphore: files, pipes, sockets and directories.
pub(crate) fn check_driver_semaphore(fd: impl AsFd) -> Result<()> {
    let fd = fd.as_fd();
    let stat = rustix::fs::fstat(fd).map_err(|errno| Error::os("fstat of a semaphore", errno))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile
        | FileType::Directory
        | FileType::Fifo
        | FileType::Socket
        | FileType::BlockDevice
        | FileType::Symlink => Err(Error::invalid(
            "semaphore",
            describe(fd),
            "a kernel object or device that a driver exported",
        )),
        FileType::CharacterDevice | FileType::Unknown => Ok(()),
    }
}

/// Names the kind of object, for error messages.
pub(crate) fn describe(fd: impl AsFd) -> String {
    let Ok(stat) = rustix::fs::fstat(fd.as_fd()) else {
        return "a closed file descriptor".to_owned();
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if rustix::fs::fcntl_get_seals(fd.as_fd()).is_ok() => {
            "a memfd".to_owned()
        }
        FileType::RegularFile => "a regular file".to_owned(),
        FileType::Directory => "a directory".to_owned(),
        FileType::Fifo => "a pipe".to_owned(),
        FileType::Socket => "a socket".to_owned(),
        FileType::CharacterDevice => "a character device".to_owned(),
        FileType::BlockDevice => "a block device".to_owned(),
        FileType::Symlink => "a symbolic link".to_owned(),
        // eventfd, sync_file, pidfd and others share the anonymous inode.
        _ => "an anonymous kernel object".to_owned(),
    }
}

/// The size in bytes, as `lseek(SEEK_END)` tells; the offset is put back to the start.
pub(crate) fn size(fd: impl AsFd) -> Result<u64> {
    let fd = fd.as_fd();
    let size = rustix::fs::seek(fd, SeekFrom::End(0))
        .map_err(|errno| Error::os("lseek(SEEK_END) of a buffer", errno))?;
    // A dma-buf answers only SEEK_END and SEEK_SET to 0; drivers expect the start.
    rustix::fs::seek(fd, SeekFrom::Start(0))
        .map_err(|errno| Error::os("lseek(SEEK_SET) of a buffer", errno))?;
    Ok(size)
}

/// Blocks until `poll(2)` reports `wanted`, `timeout` at most; a timeout beyond the clock's range never ends.
pub(crate) fn wait_ready(
    fd: impl AsFd,
    wanted: PollFlags,
    timeout: Duration,
    waiting_for: &'static str,
) -> Result<()> {
    let deadline = Instant::now().checked_add(timeout);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let limit = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::new(&fd, wanted)];
        match rustix::event::poll(&mut fds, limit.as_ref()) {
            Ok(_)
                if fds[0]
                    .revents()
                    .intersects(PollFlags::ERR | PollFlags::NVAL) =>
            {
                return Err(Error::os("poll of a buffer", Errno::INVAL));
            }
            Ok(_) if fds[0].revents().intersects(wanted) => return Ok(()),
            Ok(_) if left.is_some_and(|left| left.is_zero()) => {
                return Err(Error::Timeout {
                    waiting_for,
                    after: timeout,
                });
            }
            // A signal handler or a clock that rounds down: go on with what time is left.
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::os("poll of a buffer", errno)),
        }
    }
}
