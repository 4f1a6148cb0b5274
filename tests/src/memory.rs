//! Memory for frames whose layout a test chooses, and what this process has of it.

use lucarne::Memory;
use lucarne::cpu::{Adapter, Allocator};
pub use lucarne_conformance::placement::Placement;

use crate::skip::skip;

/// Whether the machine has an allocator; a skip says why not.
pub fn can(allocator: &Allocator) -> bool {
    let support = Adapter::new(allocator.clone()).support();
    if !support.is_yes() {
        skip(skip_kind(allocator), &support.reason());
    }
    support.is_yes()
}

/// The kind of skip (docs/testing.md) where an allocator is missing.
pub fn skip_kind(allocator: &Allocator) -> &'static str {
    match allocator {
        Allocator::DmaHeap(_) => "dma-heap",
        _ => "udmabuf",
    }
}

/// At least `size` bytes: whole pages of a dma-buf, or a memfd of that size.
///
/// # Panics
///
/// When there is no memory left, or the allocator is missing: ask [`can`] first.
pub fn allocate(allocator: &Allocator, size: u64) -> Memory {
    lucarne_conformance::placement::allocate(allocator, size).expect("memory")
}

/// Resident memory of this process, in bytes (`proc_pid_status(5)`).
///
/// # Panics
///
/// When `/proc` is not mounted.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let text = line.expect("VmRSS").trim().trim_end_matches(" kB");
    text.parse::<u64>().expect("a number") * 1024
}
