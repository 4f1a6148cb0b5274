//! Fences.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, IntoRawFd as _};
use std::time::Duration;

use lucarne::Fence;
use lucarne::kernel::SyncFile;

use super::descriptor::{self, LUCARNE_NO_FD};
use super::error::{lucarne_error, lucarne_status};
use super::guard::{self, given};

/// When a frame may be touched. An acquire fence gates the reader, a release fence gates the writer: nobody passes a frame
/// without one. End it with `lucarne_fence_free`. Any thread, several at once.
#[derive(Clone, Debug)]
pub struct lucarne_fence(Fence);

impl lucarne_fence {
    pub(super) fn new(fence: Fence) -> Self {
        Self(fence)
    }

    pub(super) fn fence(&self) -> &Fence {
        &self.0
    }
}

/// A fence that has signalled: the work had finished when the frame was passed on, for instance because the CPU waited for it.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_fence_signaled(
    fence: Option<&mut MaybeUninit<Option<Box<lucarne_fence>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(fence, "fence", error, || Ok(lucarne_fence(Fence::Signaled)))
}

/// A fence of a sync_file. Takes the descriptor `fd` on success alone; after a failure it is still the caller's. What is no
/// sync_file is refused.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_fence_from_sync_file(
    fd: i32,
    fence: Option<&mut MaybeUninit<Option<Box<lucarne_fence>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(fence, "fence", error, || {
        let file = SyncFile::new(descriptor::duplicate(fd, "fd")?)?;
        descriptor::close_given(&[fd]);
        Ok(lucarne_fence(Fence::sync_file(file)))
    })
}

/// The same fence as a sync_file: a new descriptor, which the caller closes. `LUCARNE_NO_FD` where it has signalled and there is
/// nothing to wait for. `timeout` is in nanoseconds; this waits only for a fence that nobody has submitted work for yet.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_fence_to_sync_file(
    fence: Option<&lucarne_fence>,
    timeout: u64,
    fd: Option<&mut MaybeUninit<i32>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        // Zero would be a descriptor.
        let place = given(fd, "fd")?.write(LUCARNE_NO_FD);
        let fence = given(fence, "fence")?;
        let file = fence.0.to_sync_file(Duration::from_nanos(timeout))?;
        if let Some(file) = file {
            let own = descriptor::duplicate_of(file.as_fd())?;
            *place = own.into_raw_fd();
        }
        Ok(())
    })
}

/// Blocks this thread until the fence has signalled, `timeout` nanoseconds at most.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_fence_wait(
    fence: Option<&lucarne_fence>,
    timeout: u64,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let fence = given(fence, "fence")?;
        Ok(fence.0.wait(Duration::from_nanos(timeout))?)
    })
}

/// Whether the fence has signalled: 1, or 0. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_fence_is_signaled(
    fence: Option<&lucarne_fence>,
    signaled: Option<&mut MaybeUninit<u32>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(signaled, "signaled", error, || {
        Ok(u32::from(given(fence, "fence")?.0.is_signaled()?))
    })
}

/// One fence that signals once all of `fences` have: use it to make one release fence of those of several readers. The array and
/// the fences in it stay the caller's. Does not block.
///
/// # Safety
///
/// `fences` is `NULL`, or points to `count` pointers; each is `NULL`, which is refused, or a fence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_fence_merge(
    fences: *const Option<&lucarne_fence>,
    count: usize,
    merged: Option<&mut MaybeUninit<Option<Box<lucarne_fence>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(merged, "merged", error, || {
        // SAFETY: this function's contract.
        let given_fences = unsafe { guard::array(fences, count, "fences") }?;
        let mut all = Vec::new();
        for fence in given_fences {
            all.push(given(*fence, "fences[]")?.0.clone());
        }
        Ok(lucarne_fence(Fence::merge(&all)?))
    })
}

/// The same fence once more. It shares the kernel's object.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_fence_clone(
    fence: Option<&lucarne_fence>,
    clone: Option<&mut MaybeUninit<Option<Box<lucarne_fence>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(clone, "clone", error, || Ok(given(fence, "fence")?.clone()))
}

/// Ends a fence: closes its descriptor, where nobody else has it. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_fence_free(fence: Option<Box<lucarne_fence>>) {
    guard::free(fence);
}
