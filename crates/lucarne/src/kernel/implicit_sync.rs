//! The bridge to implicit sync: the fences that a dma-buf itself carries (`linux/dma-buf.h`, Linux 6.0 and newer).
//!
//! Some programs and drivers pass no fences. They rely on the fences that the kernel keeps with each buffer. Here such
//! fences are taken from a buffer, and fences are added to a buffer for those who look only there.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, Updater, opcode};

use super::dma_buf::{DmaBuf, DmaBufKind};
use super::sync_file::SyncFile;
use crate::error::{Error, Requirement, Result, Support};

/// Whom a fence gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FenceRole {
    /// The reader: it signals when the writers' work is done.
    Acquire,
    /// The writer: it signals when the readers' work is done.
    Release,
}

const READ: u32 = 1;
const WRITE: u32 = 2;

impl DmaBuf {
    /// Whether fences can be taken from this buffer and put there, and if not, why.
    pub fn implicit_sync(&self) -> Support {
        if self.kind() == DmaBufKind::Emulated {
            return emulated();
        }
        match self.take(READ) {
            Ok(_) => Support::Yes(()),
            Err(errno) => Support::no(requirement(errno)),
        }
    }

    /// The fence that the buffer carries: for a reader the work of all writers, for a writer the work of all writers
    /// and readers. Already signalled where it carries none, which is also what it says where the driver does no
    /// implicit sync. Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] on a kernel before 6.0, and for an emulated buffer; [`Error::Os`] when the process has no
    /// descriptor left.
    #[doc(alias = "DMA_BUF_IOCTL_EXPORT_SYNC_FILE")]
    pub fn export_sync_file(&self, role: FenceRole) -> Result<SyncFile> {
        self.require_kernel()?;
        // "before reading" collects writers, "before writing" collects everybody.
        let before = match role {
            FenceRole::Acquire => READ,
            FenceRole::Release => WRITE,
        };
        let fd = self.take(before).map_err(|errno| {
            refused(
                "DMA_BUF_IOCTL_EXPORT_SYNC_FILE",
                "taking a dma-buf's fence",
                errno,
            )
        })?;
        Ok(SyncFile::given(fd))
    }

    /// Adds a fence to those that the buffer carries: as a writer's work, or as a reader's. Lends the descriptor; the
    /// buffer holds the fence until it signals. Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] on a kernel before 6.0, and for an emulated buffer; [`Error::Os`] when `file` is no
    /// sync_file.
    #[doc(alias = "DMA_BUF_IOCTL_IMPORT_SYNC_FILE")]
    pub fn import_sync_file(&self, file: &SyncFile, role: FenceRole) -> Result<()> {
        self.require_kernel()?;
        let flags = match role {
            FenceRole::Acquire => WRITE,
            FenceRole::Release => READ,
        };
        let fd = file.as_fd().as_raw_fd();
        // SAFETY: Setter::new: DMA_BUF_IOCTL_IMPORT_SYNC_FILE reads one `struct dma_buf_import_sync_file`, which
        // `Fenced` is (size and opcode are tested).
        let request = unsafe { Setter::<IMPORT, Fenced>::new(Fenced { flags, fd }) };
        // SAFETY: ioctl(2): the request holds its argument, whose descriptor is open for the call.
        unsafe { rustix::ioctl::ioctl(self.as_fd(), request) }.map_err(|errno| {
            refused(
                "DMA_BUF_IOCTL_IMPORT_SYNC_FILE",
                "putting a fence on a dma-buf",
                errno,
            )
        })
    }

    fn require_kernel(&self) -> Result<()> {
        match self.kind() {
            DmaBufKind::Kernel => Ok(()),
            DmaBufKind::Emulated => emulated().require("fences on a dma-buf"),
        }
    }

    fn take(&self, flags: u32) -> rustix::io::Result<OwnedFd> {
        let mut fenced = Fenced { flags, fd: -1 };
        // SAFETY: Updater::new: DMA_BUF_IOCTL_EXPORT_SYNC_FILE reads and writes one `struct dma_buf_export_sync_file`,
        // which `Fenced` is (size and opcode are tested).
        let request = unsafe { Updater::<EXPORT, Fenced>::new(&mut fenced) };
        // SAFETY: ioctl(2): the request points at a value that lives through the call.
        unsafe { rustix::ioctl::ioctl(self.as_fd(), request) }?;
        if fenced.fd < 0 {
            return Err(Errno::BADF);
        }
        // SAFETY: OwnedFd::from_raw_fd: the kernel has just made this descriptor, close-on-exec, for the caller.
        Ok(unsafe { OwnedFd::from_raw_fd(fenced.fd) })
    }
}

fn emulated() -> Support {
    Support::no(Requirement::other(
        "the buffer is a memfd that stands in for a dma-buf, and carries no fences",
    ))
}

fn refused(operation: &'static str, what: &str, errno: Errno) -> Error {
    match errno {
        Errno::NOTTY => Error::Unsupported {
            what: what.to_owned(),
            missing: vec![requirement(errno)],
        },
        Errno::INVAL => Error::Os {
            operation,
            source: errno.into(),
            help: "the fence's descriptor is no sync_file",
        },
        _ => Error::os(operation, errno),
    }
}

fn requirement(errno: Errno) -> Requirement {
    match errno {
        // Its dma-bufs give and take sync_files.
        Errno::NOTTY => Requirement::Version {
            api: "Linux",
            at_least: "6.0",
            found: "an older one".to_owned(),
        },
        _ => Requirement::other(format!("DMA_BUF_IOCTL_EXPORT_SYNC_FILE failed: {errno}")),
    }
}

const EXPORT: Opcode = opcode::read_write::<Fenced>(b'b', 2);
const IMPORT: Opcode = opcode::write::<Fenced>(b'b', 3);

/// `struct dma_buf_export_sync_file` and `struct dma_buf_import_sync_file`, which are alike.
#[repr(C)]
struct Fenced {
    flags: u32,
    fd: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_numbers_are_the_kernels() {
        assert_eq!(size_of::<Fenced>(), 8);
        assert_eq!(EXPORT, 0xc008_6202);
        assert_eq!(IMPORT, 0x4008_6203);
    }

    #[test]
    fn a_stand_in_carries_no_fences_and_says_so() {
        let memory = crate::kernel::Memfd::create("stand-in", 4096).expect("a memfd");
        let fd = memory.as_fd().try_clone_to_owned().expect("a descriptor");
        let buffer = DmaBuf::new(fd).expect("sealed, so it stands in");
        let support = buffer.implicit_sync();
        assert!(support.reason().contains("stands in"), "{support:?}");
        let error = buffer.export_sync_file(FenceRole::Acquire);
        let error = error.expect_err("no fences there");
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }

    #[test]
    fn an_old_kernel_is_named() {
        let error = refused("DMA_BUF_IOCTL_EXPORT_SYNC_FILE", "it", Errno::NOTTY);
        assert!(error.to_string().contains("Linux 6.0"), "{error}");
    }
}
