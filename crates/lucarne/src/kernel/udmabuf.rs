//! udmabuf: dma-bufs made of memfd pages (`linux/udmabuf.h`).

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{MemfdFlags, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, opcode};

use super::c_library;
use super::dma_buf::DmaBuf;
use crate::error::{Error, Requirement, Result, Support};
use crate::layout::PAGE_BYTES;

const PATH: &CStr = c"/dev/udmabuf";
const UDMABUF_FLAGS_CLOEXEC: u32 = 1;

/// `/dev/udmabuf`, opened: what turns memory into dma-bufs on a machine without a GPU.
#[derive(Debug)]
pub struct Udmabuf {
    device: OwnedFd,
}

impl Udmabuf {
    /// Opens `/dev/udmabuf`.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] with what to do, when the node is absent or may not be opened.
    pub fn open() -> Result<Self> {
        match c_library::open(PATH, OFlags::RDWR) {
            Ok(device) => Ok(Self { device }),
            Err(errno) => Err(Error::Unsupported {
                what: "making a dma-buf of memory".to_owned(),
                missing: vec![requirement(errno)],
            }),
        }
    }

    /// Whether `/dev/udmabuf` can be opened for reading and writing, and if not, what would change that.
    pub fn probe() -> Support {
        match Self::open() {
            Ok(_) => Support::Yes(()),
            Err(Error::Unsupported { missing, .. }) => Support::No(missing),
            Err(other) => Support::no(Requirement::other(other.to_string())),
        }
    }

    /// Makes a dma-buf of `size` zeroed bytes, a multiple of [`PAGE_BYTES`]. The caller owns it; the memory lives
    /// as long as anybody holds the dma-buf. [`DmaBufMapping`](super::DmaBufMapping) fills it and reads it.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a size that is zero or not whole pages; [`Error::Os`] when the kernel refuses, for
    /// example beyond `/sys/module/udmabuf/parameters/size_limit_mb` (64 by default).
    #[doc(alias = "UDMABUF_CREATE")]
    pub fn create(&self, size: u64) -> Result<DmaBuf> {
        if size == 0 || !size.is_multiple_of(PAGE_BYTES) {
            return Err(Error::invalid(
                "udmabuf size",
                size,
                format!("a positive multiple of {PAGE_BYTES} bytes"),
            ));
        }
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memory = rustix::fs::memfd_create("lucarne-udmabuf", flags)
            .map_err(|errno| Error::os("memfd_create", errno))?;
        rustix::fs::ftruncate(&memory, size)
            .map_err(|errno| Error::os("ftruncate of a memfd", errno))?;
        // The kernel demands SHRINK and forbids WRITE.
        rustix::fs::fcntl_add_seals(&memory, SealFlags::SHRINK)
            .map_err(|errno| Error::os("sealing a memfd", errno))?;
        let request = Create(UdmabufCreate {
            memfd: memory.as_raw_fd().cast_unsigned(),
            flags: UDMABUF_FLAGS_CLOEXEC,
            offset: 0,
            size,
        });
        // SAFETY: ioctl(2) with UDMABUF_CREATE on /dev/udmabuf reads one `struct udmabuf_create`, which
        // `UdmabufCreate` is (size and opcode are tested), and its memfd is open for the call.
        let dma_buf =
            unsafe { c_library::ioctl(self.device.as_fd(), request) }.map_err(|errno| {
                Error::Os {
                    operation: "UDMABUF_CREATE",
                    source: errno.into(),
                    help: "the default limit is 64 MiB: \
                       /sys/module/udmabuf/parameters/size_limit_mb",
                }
            })?;
        DmaBuf::new(dma_buf)
    }
}

fn requirement(errno: Errno) -> Requirement {
    Requirement::device_node(
        OsStr::from_bytes(PATH.to_bytes()),
        errno,
        "add yourself to the group that owns it, kvm on most systems: sudo usermod -aG kvm $USER",
        "sudo modprobe udmabuf, then add yourself to group kvm; \
         where the kernel has none, preload lucarne-udmabuf, which emulates it: \
         https://github.com/lucarne/lucarne/blob/main/docs/emulation.md",
    )
}

/// `struct udmabuf_create`.
#[repr(C)]
struct UdmabufCreate {
    memfd: u32,
    flags: u32,
    offset: u64,
    size: u64,
}

struct Create(UdmabufCreate);

// SAFETY: rustix::ioctl::Ioctl asks that the opcode match the pointer's type and the output: UDMABUF_CREATE is
// `_IOW('u', 0x42, struct udmabuf_create)` (linux/udmabuf.h), reads that struct, and returns a new descriptor.
unsafe impl Ioctl for Create {
    type Output = OwnedFd;

    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        opcode::write::<UdmabufCreate>(b'u', 0x42)
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        (&raw mut self.0).cast()
    }

    unsafe fn output_from_ptr(
        out: IoctlOutput,
        _: *mut std::ffi::c_void,
    ) -> rustix::io::Result<OwnedFd> {
        if out < 0 {
            return Err(Errno::BADF);
        }
        // SAFETY: OwnedFd::from_raw_fd needs an open descriptor that nobody else owns: the ioctl has just made it.
        Ok(unsafe { OwnedFd::from_raw_fd(out) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_knows_whether_permission_is_all_that_is_missing() {
        for (errno, there, help) in [
            (Errno::ACCESS, true, "usermod"),
            (Errno::PERM, true, "usermod"),
            (Errno::NOENT, false, "modprobe"),
        ] {
            let requirement = requirement(errno);
            assert!(requirement.to_string().contains(help), "{requirement}");
            let Requirement::DeviceNode {
                path, available, ..
            } = requirement
            else {
                panic!("{requirement}");
            };
            assert_eq!((path.to_str(), available), (PATH.to_str().ok(), there));
        }
    }

    #[test]
    fn the_request_number_is_the_kernels() {
        let request = Create(UdmabufCreate {
            memfd: 0,
            flags: 0,
            offset: 0,
            size: 0,
        });
        assert_eq!(size_of::<UdmabufCreate>(), 24);
        assert_eq!(request.opcode(), 0x4018_7542);
    }
}
