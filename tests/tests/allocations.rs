//! A turn costs Rust's allocator nothing. What drivers and the validation layer allocate is theirs, and not seen here.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[path = "allocations/gl.rs"]
mod gl;
#[path = "allocations/vk.rs"]
mod vk;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, and how often this thread has asked it for memory.
struct Counting;

fn count() {
    // A thread that ends has no counter any more, and nobody who looks at it.
    let _counted = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: GlobalAlloc: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(run: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    run();
    COUNT.get() - before
}

#[test]
fn allocations_are_counted() {
    assert_ne!(allocations(|| drop(vec![0_u8; 64])), 0);
}
