//! The kernel's interface: `linux/udmabuf.h`, `linux/dma-buf.h`, `linux/sync_file.h`.

use core::ffi::{c_char, c_int, c_void};

use crate::errno::Errno;

/// `struct udmabuf_create`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Create {
    pub(crate) memfd: u32,
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// `struct udmabuf_create_list`, without the items that follow it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct CreateList {
    pub(crate) flags: u32,
    pub(crate) count: u32,
}

/// `struct udmabuf_create_item`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct CreateItem {
    pub(crate) memfd: u32,
    pub(crate) pad: u32,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// `struct dma_buf_export_sync_file`, and `struct dma_buf_import_sync_file`, which has the same fields.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct DmaBufSyncFile {
    pub(crate) flags: u32,
    pub(crate) fd: c_int,
}

/// `struct sync_merge_data`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Merge {
    pub(crate) name: [c_char; 32],
    pub(crate) fd2: c_int,
    pub(crate) fence: c_int,
    pub(crate) flags: u32,
    pub(crate) pad: u32,
}

/// `struct sync_file_info`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct FileInfo {
    pub(crate) name: [c_char; 32],
    pub(crate) status: c_int,
    pub(crate) flags: u32,
    pub(crate) num_fences: u32,
    pub(crate) pad: u32,
    /// Address of an array of [`FenceInfo`].
    pub(crate) sync_fence_info: u64,
}

/// `struct sync_fence_info`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct FenceInfo {
    pub(crate) obj_name: [c_char; 32],
    pub(crate) driver_name: [c_char; 32],
    pub(crate) status: c_int,
    pub(crate) flags: u32,
    pub(crate) timestamp_ns: u64,
}

/// `struct sync_set_deadline`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct SetDeadline {
    pub(crate) deadline_ns: u64,
    pub(crate) pad: u64,
}

pub(crate) const UDMABUF_FLAGS_CLOEXEC: u32 = 1;
pub(crate) const DMA_BUF_SYNC_RW: u32 = 3;
pub(crate) const DMA_BUF_SYNC_END: u32 = 4;
pub(crate) const DMA_BUF_NAME_LEN: usize = 32;

/// A request number. The kernel looks at 32 bits, whatever width the C library's `ioctl` takes.
pub(crate) type Request = u32;

/// The number that the kernel's `_IOW(kind, number, T)` gives.
#[allow(clippy::cast_possible_truncation, reason = "the number has 32 bits")]
const fn iow<T>(kind: u8, number: u32) -> Request {
    libc::_IOW::<T>(kind as u32, number) as Request
}

/// The number that the kernel's `_IOWR(kind, number, T)` gives.
#[allow(clippy::cast_possible_truncation, reason = "the number has 32 bits")]
const fn iowr<T>(kind: u8, number: u32) -> Request {
    libc::_IOWR::<T>(kind as u32, number) as Request
}

pub(crate) const UDMABUF_CREATE: Request = iow::<Create>(b'u', 0x42);
pub(crate) const UDMABUF_CREATE_LIST: Request = iow::<CreateList>(b'u', 0x43);
pub(crate) const DMA_BUF_IOCTL_SYNC: Request = iow::<u64>(b'b', 0);
pub(crate) const DMA_BUF_SET_NAME_A: Request = iow::<u32>(b'b', 1);
pub(crate) const DMA_BUF_SET_NAME_B: Request = iow::<u64>(b'b', 1);
pub(crate) const DMA_BUF_IOCTL_EXPORT_SYNC_FILE: Request = iowr::<DmaBufSyncFile>(b'b', 2);
pub(crate) const DMA_BUF_IOCTL_IMPORT_SYNC_FILE: Request = iow::<DmaBufSyncFile>(b'b', 3);
pub(crate) const SYNC_IOC_MERGE: Request = iowr::<Merge>(b'>', 3);
pub(crate) const SYNC_IOC_FILE_INFO: Request = iowr::<FileInfo>(b'>', 4);
pub(crate) const SYNC_IOC_SET_DEADLINE: Request = iow::<SetDeadline>(b'>', 5);

/// An `ioctl`'s third argument: an address in the caller's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Argument(pub(crate) *mut c_void);

impl Argument {
    /// Reads what the address points at. A null address is `EFAULT`, as in the kernel; any other bad address ends the
    /// process, where the kernel would answer `EFAULT` too.
    ///
    /// # Safety
    ///
    /// The address is null or points at a readable `T`.
    pub(crate) unsafe fn read<T: Copy>(self) -> Result<T, Errno> {
        if self.0.is_null() {
            return Err(Errno(libc::EFAULT));
        }
        // SAFETY: not null, so readable as the caller promises; no alignment is asked for.
        Ok(unsafe { self.0.cast::<T>().read_unaligned() })
    }

    /// Writes where the address points.
    ///
    /// # Safety
    ///
    /// The address points at a writable `T`.
    pub(crate) unsafe fn write<T: Copy>(self, value: T) {
        // SAFETY: writable as the caller promises; no alignment is asked for.
        unsafe { self.0.cast::<T>().write_unaligned(value) };
    }

    /// The address `bytes` further on.
    pub(crate) fn after(self, bytes: usize) -> Self {
        Self(self.0.wrapping_byte_add(bytes))
    }
}
