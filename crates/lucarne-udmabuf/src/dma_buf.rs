//! An emulated dma-buf's requests. The rules are those of the kernel's `drivers/dma-buf/dma-buf.c`.
//!
//! It carries no fences. That is the truth for every fence that has signalled, and others are refused, so that what
//! this buffer says about them is never wrong.

use core::ffi::c_char;

use crate::errno::{Answer, Errno, complain};
use crate::mark::Mark;
use crate::sync_file;
use crate::uapi::{self, Argument, DMA_BUF_SYNC_END, DMA_BUF_SYNC_RW, DmaBufSyncFile, Request};

/// Answers one of a dma-buf's requests.
///
/// # Safety
///
/// `argument` is what `request` asks for.
pub(crate) unsafe fn answer(request: Request, argument: Argument) -> Answer {
    match request {
        uapi::DMA_BUF_IOCTL_SYNC => {
            // SAFETY: DMA_BUF_IOCTL_SYNC takes a `struct dma_buf_sync`, which is one 64-bit number.
            let flags = unsafe { argument.read::<u64>() }?;
            sync(flags)
        }
        // SAFETY: DMA_BUF_SET_NAME takes a string.
        uapi::DMA_BUF_SET_NAME_A | uapi::DMA_BUF_SET_NAME_B => unsafe { set_name(argument) },
        // SAFETY: the caller's argument is for this request.
        uapi::DMA_BUF_IOCTL_EXPORT_SYNC_FILE => unsafe { export_sync_file(argument) },
        // SAFETY: the caller's argument is for this request.
        uapi::DMA_BUF_IOCTL_IMPORT_SYNC_FILE => unsafe { import_sync_file(argument) },
        _ => Err(Errno(libc::ENOTTY)),
    }
}

/// `DMA_BUF_IOCTL_SYNC`: CPU caches need no care, as every user of an emulated dma-buf is a CPU.
fn sync(flags: u64) -> Answer {
    let known = u64::from(DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END);
    if flags & !known != 0 || flags & u64::from(DMA_BUF_SYNC_RW) == 0 {
        return Err(Errno(libc::EINVAL));
    }
    Ok(0)
}

/// `DMA_BUF_SET_NAME`: checks the name. It would be seen in fdinfo only, which is not emulated.
///
/// # Safety
///
/// `argument` is null or a string.
unsafe fn set_name(argument: Argument) -> Answer {
    if argument.0.is_null() {
        return Err(Errno(libc::EFAULT));
    }
    let name: *const c_char = argument.0.cast();
    // SAFETY: strnlen(3): a string, as the caller promises; it is read to its end and no further.
    let length = unsafe { libc::strnlen(name, uapi::DMA_BUF_NAME_LEN) };
    if length == uapi::DMA_BUF_NAME_LEN {
        Err(Errno(libc::EINVAL))
    } else {
        Ok(0)
    }
}

/// `DMA_BUF_IOCTL_EXPORT_SYNC_FILE`: gives a signalled sync file.
///
/// # Safety
///
/// `argument` is null or a `struct dma_buf_export_sync_file`.
unsafe fn export_sync_file(argument: Argument) -> Answer {
    // SAFETY: as this function's caller promises.
    let mut export = unsafe { argument.read::<DmaBufSyncFile>() }?;
    check_direction(export.flags)?;
    export.fd = sync_file::signalled()?;
    // SAFETY: `read` has just accepted the address.
    unsafe { argument.write(export) };
    Ok(0)
}

/// `DMA_BUF_IOCTL_IMPORT_SYNC_FILE`: accepts a sync file that has signalled, which then has nothing to add.
///
/// # Safety
///
/// `argument` is null or a `struct dma_buf_import_sync_file`.
unsafe fn import_sync_file(argument: Argument) -> Answer {
    // SAFETY: as this function's caller promises.
    let import = unsafe { argument.read::<DmaBufSyncFile>() }?;
    check_direction(import.flags)?;
    if Mark::SyncFile.is_on(import.fd) {
        return Ok(0);
    }
    match sync_file::real_status(import.fd) {
        None => Err(Errno(libc::EINVAL)),
        Some(0) => {
            complain(
                "lucarne-udmabuf: emulated: a dma-buf cannot carry a fence that has not signalled yet\n",
            );
            Err(Errno(libc::EINVAL))
        }
        Some(_) => Ok(0),
    }
}

/// A fence is asked for, or given, for reading, writing or both.
fn check_direction(flags: u32) -> Result<(), Errno> {
    if flags & !DMA_BUF_SYNC_RW != 0 || flags & DMA_BUF_SYNC_RW == 0 {
        return Err(Errno(libc::EINVAL));
    }
    Ok(())
}
