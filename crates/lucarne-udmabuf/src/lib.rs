//! A `/dev/udmabuf` for machines without one.
//!
//! Mesa's software drivers (llvmpipe, lavapipe) share memory as dma-bufs, with modifiers and native fences, only where
//! they can open `/dev/udmabuf`. Containers and most CI machines have no such device. This library, preloaded with
//! `LD_PRELOAD`, answers for it: a udmabuf is a view of a memfd's pages, and a second description of the same memfd is
//! exactly that for everyone who maps it. The memory is really shared and runs at native speed; what is emulated is
//! the kernel object around it.
//!
//! # What it does, and when
//!
//! Every call goes to the real function first. The emulation answers only after that one has failed in a way that
//! says "there is no such device" (`open`) or "this object knows no such request" (`ioctl`), and only for objects it
//! made itself. On a machine whose `/dev/udmabuf` can be opened nothing changes, and no working call is slower.
//! `LUCARNE_NO_EMULATION=1` in the environment turns it off.
//!
//! | request | answer |
//! |---|---|
//! | open `/dev/udmabuf` | a sealed, empty memfd named `lucarne-udmabuf-device` |
//! | `UDMABUF_CREATE` | the kernel's checks and errors, then a new description of the memfd |
//! | `UDMABUF_CREATE_LIST` | the same, for a list of one item |
//! | `DMA_BUF_IOCTL_SYNC`, `DMA_BUF_SET_NAME` | checked, nothing to do |
//! | `DMA_BUF_IOCTL_EXPORT_SYNC_FILE` | a signalled sync file |
//! | `DMA_BUF_IOCTL_IMPORT_SYNC_FILE` | accepts a signalled sync file |
//! | `SYNC_IOC_MERGE`, `SYNC_IOC_FILE_INFO`, `SYNC_IOC_SET_DEADLINE` | as for a signalled sync file |
//!
//! # What it cannot do
//!
//! It refuses with `EINVAL`, and one line on standard error that says why, what a memfd cannot express: a part of a
//! memfd, a list of several, a fence that has not signalled yet. Besides, an emulated dma-buf can be read, written and
//! resized like the memfd it is, `epoll` does not take it, its fdinfo has no `exp_name`, and two of them made from one
//! memfd have the same inode.
//!
//! # Who is told
//!
//! Nothing is printed in normal use. A process finds out with
//! `dlsym(RTLD_DEFAULT, "lucarne_udmabuf_emulated")`; see [`lucarne_udmabuf_emulated`].

mod device;
mod dma_buf;
mod errno;
mod forbidden;
mod ioctl;
mod mark;
mod next;
mod open;
mod real_ioctl;
mod start;
mod sync_file;
mod uapi;

use core::ffi::c_int;

/// Says whether `/dev/udmabuf` is emulated in this process: 1 when it is, 0 when opening it reaches a real device, or
/// reaches nothing because the emulation is turned off.
///
/// The C declaration is `int lucarne_udmabuf_emulated(void);`. Until the emulation has answered once, each call opens
/// and closes the real device to find out. It does not block and may be called from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_udmabuf_emulated() -> c_int {
    c_int::from(device::is_emulated())
}
