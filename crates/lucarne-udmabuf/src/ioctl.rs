//! `ioctl`: the real one first, the emulated objects where that one does not know the request.

use core::ffi::{c_int, c_ulong, c_void};

use crate::errno::{Answer, Errno, give};
use crate::mark::Mark;
use crate::uapi::{self, Argument, Request};
use crate::{device, dma_buf, real_ioctl, sync_file};

/// `ioctl`, with the third argument taken as an ordinary one: as in `open.rs`.
#[unsafe(no_mangle)]
unsafe extern "C" fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int {
    let argument = Argument(argument);
    // SAFETY: the caller keeps ioctl's contract.
    let answer = unsafe { real_ioctl::call(fd, request, argument) };
    match answer {
        Ok(value) => value,
        Err(error) => {
            #[allow(
                clippy::cast_possible_truncation,
                reason = "the kernel looks at 32 bits"
            )]
            let request = request as Request;
            // SAFETY: the caller keeps ioctl's contract.
            give(unsafe { answer_instead(fd, request, argument, error) })
        }
    }
}

/// Answers a request that the real `ioctl` has refused with `error`, where `fd` is an emulated object that knows it.
///
/// # Safety
///
/// `argument` is what `request` asks for.
unsafe fn answer_instead(fd: c_int, request: Request, argument: Argument, error: Errno) -> Answer {
    // A real sync file does not know the emulated one it is to be merged with.
    if error == Errno(libc::ENOENT) && request == uapi::SYNC_IOC_MERGE {
        // SAFETY: the request is SYNC_IOC_MERGE, and the caller's argument is for it.
        return unsafe { sync_file::merge_into_real(fd, argument) };
    }
    if error != Errno(libc::ENOTTY) {
        return Err(error);
    }
    let Some(kind) = kind_for(request).filter(|kind| kind.is_on(fd)) else {
        return Err(error);
    };
    match kind {
        // SAFETY: the caller's argument is for this request, in each of the three.
        Mark::Device => unsafe { device::answer(request, argument) },
        // SAFETY: as above.
        Mark::DmaBuf => unsafe { dma_buf::answer(request, argument) },
        // SAFETY: as above.
        Mark::SyncFile => unsafe { sync_file::answer(request, argument) },
    }
}

/// Which kind of object knows the request.
fn kind_for(request: Request) -> Option<Mark> {
    match request {
        uapi::UDMABUF_CREATE | uapi::UDMABUF_CREATE_LIST => Some(Mark::Device),
        uapi::DMA_BUF_IOCTL_SYNC
        | uapi::DMA_BUF_SET_NAME_A
        | uapi::DMA_BUF_SET_NAME_B
        | uapi::DMA_BUF_IOCTL_EXPORT_SYNC_FILE
        | uapi::DMA_BUF_IOCTL_IMPORT_SYNC_FILE => Some(Mark::DmaBuf),
        uapi::SYNC_IOC_MERGE | uapi::SYNC_IOC_FILE_INFO | uapi::SYNC_IOC_SET_DEADLINE => {
            Some(Mark::SyncFile)
        }
        _ => None,
    }
}
