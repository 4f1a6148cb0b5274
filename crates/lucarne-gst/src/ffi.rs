//! Calls of GStreamer for which its crates have no safe ones.

use std::ffi::c_void;
use std::os::fd::{IntoRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

use gst::glib;
use gst::glib::translate::IntoGlib as _;
use gst_allocators::prelude::*;
use gst_allocators::{DmaBufAllocator, FdAllocator, FdMemoryFlags};

/// Something that GStreamer's memory keeps until it is freed.
pub(crate) trait Kept: Send + Sync + 'static {
    /// One for each type.
    const NAME: &'static str;
}

/// Its address tells this library from another version of it in the same process.
static ANCHOR: u8 = 0;

fn key<T: Kept>() -> glib::Quark {
    glib::Quark::from_str(format!("{}-{:p}", T::NAME, &raw const ANCHOR))
}

/// Has `memory` keep a value, until the last reference to it is gone.
pub(crate) fn keep<T: Kept>(memory: &gst::MemoryRef, value: Arc<T>) {
    let memory = memory.as_ptr().cast_mut().cast();
    let value = Arc::into_raw(value).cast_mut().cast();
    // SAFETY: gst_mini_object_set_qdata takes a live mini object, which a `MemoryRef` is, and locks its data by itself. `forget`
    // frees exactly what `Arc::into_raw` gave, of the same type, once.
    unsafe {
        gst::ffi::gst_mini_object_set_qdata(
            memory,
            key::<T>().into_glib(),
            value,
            Some(forget::<T>),
        );
    }
}

/// What `memory` keeps.
pub(crate) fn kept<T: Kept>(memory: &gst::MemoryRef) -> Option<&T> {
    let object = memory.as_ptr().cast_mut().cast();
    // SAFETY: gst_mini_object_get_qdata takes a live mini object, which a `MemoryRef` is.
    let value = unsafe { gst::ffi::gst_mini_object_get_qdata(object, key::<T>().into_glib()) };
    let value = NonNull::new(value.cast::<T>())?;
    // SAFETY: the key is this library's and this type's own, so that `keep` has put a `T` there; it is set once, before anybody else
    // sees the memory, and lives as long as the memory, which is borrowed.
    Some(unsafe { value.as_ref() })
}

unsafe extern "C" fn forget<T>(value: *mut c_void) {
    // SAFETY: the pointer is one that `Arc::into_raw` gave for this type (`keep`, `wrap`), and GStreamer calls this once.
    drop(unsafe { Arc::from_raw(value.cast_const().cast::<T>()) });
}

/// `size` bytes at `address` as GStreamer's memory, which keeps `owner` until it is freed.
pub(crate) fn wrap<T: Send + Sync + 'static>(
    address: NonNull<u8>,
    size: usize,
    owner: Arc<T>,
) -> gst::Memory {
    let owner = Arc::into_raw(owner).cast_mut().cast();
    // SAFETY: gst_memory_new_wrapped takes memory that is valid until it calls the notification: `owner` keeps the mapping. `forget`
    // frees what `Arc::into_raw` gave, once.
    let memory = unsafe {
        gst::ffi::gst_memory_new_wrapped(
            0,
            address.as_ptr().cast(),
            size,
            0,
            size,
            owner,
            Some(forget::<T>),
        )
    };
    // SAFETY: it returns a new reference, never NULL.
    unsafe { gst::glib::translate::from_glib_full(memory) }
}

/// A dma-buf as GStreamer's memory, which owns the descriptor.
pub(crate) fn dma_buf(fd: OwnedFd, size: usize) -> Result<gst::Memory, glib::BoolError> {
    let allocator = DmaBufAllocator::new();
    let flags = FdMemoryFlags::KEEP_MAPPED;
    // SAFETY: gst_dmabuf_allocator_alloc_with_flags takes an open descriptor of `size` bytes, and owns it from here on.
    unsafe { allocator.alloc_dmabuf_with_flags(fd.into_raw_fd(), size, flags) }
}

/// A memfd as GStreamer's memory, which owns the descriptor.
pub(crate) fn memfd(fd: OwnedFd, size: usize) -> Result<gst::Memory, glib::BoolError> {
    let allocator = FdAllocator::new();
    let flags = FdMemoryFlags::KEEP_MAPPED;
    // SAFETY: gst_fd_allocator_alloc takes an open descriptor of `size` bytes, and owns it from here on.
    unsafe { allocator.alloc_fd(fd.into_raw_fd(), size, flags) }
}

/// A turn to read that may end on any thread.
#[derive(Debug)]
pub(crate) struct Carried<L: lucarne::Lent>(lucarne::Reading<L>);

// SAFETY: `Send` asks that the value may be used on another thread. A `Reading` is not `Send` because of what `Reading::on_drop` was
// given; `carry` is given one that comes from `acquire`, before anybody could give it anything, and its loan is `Send`.
unsafe impl<L: lucarne::Lent + Send> Send for Carried<L> {}

/// Takes the turn to read.
pub(crate) fn carry<L: lucarne::Lent>(
    received: lucarne::Received<L>,
) -> (Carried<L>, lucarne::Fence) {
    let (reading, acquire) = received.acquire();
    (Carried(reading), acquire)
}

impl<L: lucarne::Lent> Carried<L> {
    pub(crate) fn get(&self) -> &lucarne::Reading<L> {
        &self.0
    }

    pub(crate) fn into_inner(self) -> lucarne::Reading<L> {
        self.0
    }
}
