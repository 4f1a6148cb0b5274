//! DMA heaps: dma-bufs straight from the kernel's memory (`linux/dma-heap.h`).

use std::os::fd::{FromRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, opcode};

use super::dma_buf::DmaBuf;
use crate::error::{Error, Requirement, Result, Support};
use crate::layout::PAGE_BYTES;

const FOLDER: &str = "/dev/dma_heap";

/// A heap of `/dev/dma_heap`, opened: allocates dma-bufs without a GPU, and without the limits of udmabuf.
#[derive(Debug)]
pub struct DmaHeap {
    device: OwnedFd,
    name: String,
}

impl DmaHeap {
    /// The heap of ordinary pages, which every kernel with heaps has (`CONFIG_DMABUF_HEAPS_SYSTEM`).
    pub const SYSTEM: &'static str = "system";

    /// The names of the machine's heaps, sorted; empty where the kernel was built without heaps.
    pub fn names() -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(FOLDER) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Opens a heap by its name.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a name that no heap can have; [`Error::Unsupported`] with what to do, when the heap is absent or
    /// may not be opened.
    pub fn open(name: &str) -> Result<Self> {
        if name.is_empty() || name.contains(['/', '\0']) || name.starts_with('.') {
            return Err(Error::invalid(
                "heap name",
                format!("`{}`", name.escape_debug()),
                "the name of a file in /dev/dma_heap",
            ));
        }
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(format!("{FOLDER}/{name}"), flags, Mode::empty()) {
            Ok(device) => Ok(Self {
                device,
                name: name.to_owned(),
            }),
            Err(errno) => Err(Error::Unsupported {
                what: format!("allocating from the DMA heap `{name}`"),
                missing: vec![requirement(name, errno)],
            }),
        }
    }

    /// Whether a heap can be opened, and if not, what would change that.
    pub fn probe(name: &str) -> Support {
        match Self::open(name) {
            Ok(_) => Support::Yes(()),
            Err(Error::Unsupported { missing, .. }) => Support::No(missing),
            Err(other) => Support::no(Requirement::other(other.to_string())),
        }
    }

    /// The heap's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes a dma-buf of `size` zeroed bytes, a multiple of [`PAGE_BYTES`]. The caller owns it; the memory lives as
    /// long as anybody holds the dma-buf.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a size that is zero or not whole pages, or a heap that answers with less;
    /// [`Error::Os`] when the kernel refuses.
    #[doc(alias = "DMA_HEAP_IOCTL_ALLOC")]
    pub fn create(&self, size: u64) -> Result<DmaBuf> {
        if size == 0 || !size.is_multiple_of(PAGE_BYTES) {
            return Err(Error::invalid(
                "dma-heap size",
                size,
                format!("a positive multiple of {PAGE_BYTES} bytes"),
            ));
        }
        let request = Allocate(AllocationData {
            len: size,
            fd: 0,
            fd_flags: (OFlags::RDWR | OFlags::CLOEXEC).bits(),
            heap_flags: 0,
        });
        // SAFETY: ioctl(2) with DMA_HEAP_IOCTL_ALLOC on a heap reads and writes one `struct
        // dma_heap_allocation_data`, which `AllocationData` is (size and opcode are tested).
        let fd =
            unsafe { rustix::ioctl::ioctl(&self.device, request) }.map_err(|errno| Error::Os {
                operation: "DMA_HEAP_IOCTL_ALLOC",
                source: errno.into(),
                help: "the heap has not that much memory left",
            })?;
        let buffer = DmaBuf::new(fd)?;
        if buffer.size() < size {
            return Err(Error::invalid(
                "dma-heap buffer",
                format!("{} bytes", buffer.size()),
                format!("the {size} bytes that were asked for"),
            ));
        }
        Ok(buffer)
    }
}

fn requirement(name: &str, errno: Errno) -> Requirement {
    Requirement::device_node(
        format!("{FOLDER}/{name}"),
        errno,
        "only root may open heaps on most systems: let a udev rule give it to a group of yours, \
         or use /dev/udmabuf",
        "needs a kernel with CONFIG_DMABUF_HEAPS and this heap; /dev/udmabuf does the same",
    )
}

/// `struct dma_heap_allocation_data`.
#[repr(C)]
struct AllocationData {
    len: u64,
    fd: u32,
    fd_flags: u32,
    heap_flags: u64,
}

struct Allocate(AllocationData);

// SAFETY: rustix::ioctl::Ioctl asks that the opcode match the pointer's type and the output: DMA_HEAP_IOCTL_ALLOC is
// `_IOWR('H', 0, struct dma_heap_allocation_data)` (linux/dma-heap.h) and writes a new descriptor to `fd`.
unsafe impl Ioctl for Allocate {
    type Output = OwnedFd;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::read_write::<AllocationData>(b'H', 0)
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        (&raw mut self.0).cast()
    }

    unsafe fn output_from_ptr(
        _: IoctlOutput,
        data: *mut std::ffi::c_void,
    ) -> rustix::io::Result<OwnedFd> {
        // SAFETY: the trait's contract: `data` is what `as_ptr` returned, after a call that succeeded.
        let fd = unsafe { (*data.cast::<AllocationData>()).fd };
        let fd = i32::try_from(fd).map_err(|_| Errno::BADF)?;
        // SAFETY: OwnedFd::from_raw_fd needs an open descriptor that nobody else owns: the ioctl has just made it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_number_is_the_kernels() {
        let request = Allocate(AllocationData {
            len: 0,
            fd: 0,
            fd_flags: 0,
            heap_flags: 0,
        });
        assert_eq!(size_of::<AllocationData>(), 24);
        assert_eq!(request.opcode(), 0xc018_4800);
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        for name in ["", ".", "..", "../udmabuf", "/dev/udmabuf", "a\0b"] {
            let refused = DmaHeap::open(name);
            assert!(matches!(refused, Err(Error::Invalid { .. })), "{name:?}");
        }
    }

    #[test]
    fn an_absent_heap_says_what_to_do() {
        let reason = DmaHeap::probe("no-such-heap").reason();
        assert!(reason.contains("/dev/dma_heap"), "{reason}");
        assert!(reason.contains("no-such-heap"), "{reason}");
        assert!(reason.contains("udmabuf"), "{reason}");
    }
}
