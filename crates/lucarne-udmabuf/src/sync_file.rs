//! An emulated sync file, and its requests. The rules are those of the kernel's `drivers/dma-buf/sync_file.c`.
//!
//! It is always signalled: an eventfd, as it answers `poll` and `epoll`, with the highest count that it can hold, as it
//! then says "readable" and never "writable", like a sync file.

use core::ffi::{c_char, c_int, c_ulong, c_void};

use crate::errno::{Answer, Errno, check};
use crate::mark::{Mark, close};
use crate::real_ioctl;
use crate::uapi::{
    Argument, FenceInfo, FileInfo, Merge, Request, SYNC_IOC_FILE_INFO, SYNC_IOC_MERGE, SetDeadline,
};

const NAME: [c_char; 32] = text(b"lucarne-emulated");
const DRIVER: [c_char; 32] = text(b"lucarne-udmabuf");
const SIGNALLED: c_int = 1;

/// Makes a signalled sync file.
pub(crate) fn signalled() -> Answer {
    // EFD_SEMAPHORE: a stray `read` takes one off the count, not all of it.
    let flags = libc::EFD_CLOEXEC | libc::EFD_NONBLOCK | libc::EFD_SEMAPHORE;
    // SAFETY: eventfd(2): takes numbers and touches no memory.
    let fd = check(unsafe { libc::eventfd(0, flags) })?;
    let count = (u64::MAX - 1).to_ne_bytes();
    let bytes: *const c_void = count.as_ptr().cast();
    // SAFETY: write(2): `bytes` points at eight readable bytes.
    if unsafe { libc::write(fd, bytes, count.len()) } < 0 {
        let error = Errno::current();
        close(fd);
        return Err(error);
    }
    Mark::SyncFile.put(fd)
}

/// Answers one of a sync file's requests.
///
/// # Safety
///
/// `argument` is what `request` asks for.
pub(crate) unsafe fn answer(request: Request, argument: Argument) -> Answer {
    match request {
        // SAFETY: the caller's argument is for this request.
        SYNC_IOC_MERGE => unsafe { merge(argument) },
        // SAFETY: the caller's argument is for this request.
        SYNC_IOC_FILE_INFO => unsafe { file_info(argument) },
        _ => {
            // SAFETY: SYNC_IOC_SET_DEADLINE takes a `struct sync_set_deadline`.
            let deadline = unsafe { argument.read::<SetDeadline>() }?;
            if deadline.pad == 0 {
                Ok(0)
            } else {
                Err(Errno(libc::EINVAL))
            }
        }
    }
}

/// `SYNC_IOC_MERGE`: an emulated sync file adds nothing to another one, so the answer is a new one of the other's kind.
///
/// # Safety
///
/// `argument` is null or a `struct sync_merge_data`.
unsafe fn merge(argument: Argument) -> Answer {
    // SAFETY: as this function's caller promises.
    let mut data = unsafe { argument.read::<Merge>() }?;
    if data.flags != 0 || data.pad != 0 {
        return Err(Errno(libc::EINVAL));
    }
    if !Mark::SyncFile.is_on(data.fd2) {
        return merge_with_itself(data.fd2, argument, data).map_err(|_| Errno(libc::ENOENT));
    }
    data.fence = signalled()?;
    // SAFETY: `read` has just accepted the address.
    unsafe { argument.write(data) };
    Ok(0)
}

/// `SYNC_IOC_MERGE` on a real sync file that the kernel has refused to merge with `fd2` (`ENOENT`). Where that is an
/// emulated one, the answer is a new real sync file with the same fences.
///
/// # Safety
///
/// `argument` is null or a `struct sync_merge_data`.
pub(crate) unsafe fn merge_into_real(fd: c_int, argument: Argument) -> Answer {
    // SAFETY: as this function's caller promises.
    let data = unsafe { argument.read::<Merge>() }?;
    if !Mark::SyncFile.is_on(data.fd2) {
        return Err(Errno(libc::ENOENT));
    }
    merge_with_itself(fd, argument, data)
}

/// Has the kernel merge a real sync file with itself, which copies it.
fn merge_with_itself(fd: c_int, argument: Argument, mut data: Merge) -> Answer {
    let asked = data.fd2;
    data.fd2 = fd;
    let own = Argument((&raw mut data).cast());
    // SAFETY: `own` points at a `struct sync_merge_data`, which this request takes.
    let done = unsafe { real_ioctl::call(fd, c_ulong::from(SYNC_IOC_MERGE), own) }?;
    data.fd2 = asked;
    // SAFETY: both callers have read a `struct sync_merge_data` from this address, which the request writes back.
    unsafe { argument.write(data) };
    Ok(done)
}

/// `SYNC_IOC_FILE_INFO`: one fence, signalled.
///
/// # Safety
///
/// `argument` is null or a `struct sync_file_info` whose array has room for the number of fences it says.
unsafe fn file_info(argument: Argument) -> Answer {
    // SAFETY: as this function's caller promises.
    let mut info = unsafe { argument.read::<FileInfo>() }?;
    if info.flags != 0 || info.pad != 0 {
        return Err(Errno(libc::EINVAL));
    }
    if info.num_fences > 0 {
        let Some(fences) = usize::try_from(info.sync_fence_info)
            .ok()
            .filter(|address| *address != 0)
        else {
            return Err(Errno(libc::EFAULT));
        };
        // The time when it signalled: before anybody could ask. One nanosecond is after the clock's start.
        let fence = FenceInfo {
            obj_name: NAME,
            driver_name: DRIVER,
            status: SIGNALLED,
            flags: 0,
            timestamp_ns: 1,
        };
        // SAFETY: the caller promises an array with room for at least one fence.
        unsafe { Argument(core::ptr::with_exposed_provenance_mut(fences)).write(fence) };
    }
    info = FileInfo {
        name: NAME,
        status: SIGNALLED,
        num_fences: 1,
        ..info
    };
    // SAFETY: `read` has just accepted the address.
    unsafe { argument.write(info) };
    Ok(0)
}

/// The status of a real sync file: 0 while it is active, 1 once signalled, negative after an error. `None`: it is none.
pub(crate) fn real_status(fd: c_int) -> Option<c_int> {
    let mut info = FileInfo {
        name: [0; 32],
        status: 0,
        flags: 0,
        num_fences: 0,
        pad: 0,
        sync_fence_info: 0,
    };
    let argument = Argument((&raw mut info).cast());
    // SAFETY: `argument` points at a `struct sync_file_info` that asks for no fences.
    unsafe { real_ioctl::call(fd, c_ulong::from(SYNC_IOC_FILE_INFO), argument) }.ok()?;
    Some(info.status)
}

/// A C string in one of the kernel's name fields.
const fn text(bytes: &[u8]) -> [c_char; 32] {
    assert!(
        bytes.len() < 32,
        "the kernel's names are at most 31 bytes long"
    );
    let mut name = [0; 32];
    let mut at = 0;
    while at < bytes.len() {
        name[at] = bytes[at] as c_char;
        at += 1;
    }
    name
}
