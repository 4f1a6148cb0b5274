//! CPU: frames in memory that the CPU allocates, writes and reads.
//!
//! The end that needs no driver: a software renderer, a file, a network, a test. [`Adapter`] says which allocators the
//! machine has; a [`Device`] makes frames with one of them, and imports every frame that a CPU can understand: linear
//! dma-bufs whose exporter lets itself be mapped, and host memory. An [`Image`]'s rows are copied in and out, or their
//! addresses are given to somebody who reads and writes there ([`Mapped`]); no reference to shared memory is ever made, as
//! others may write it at any time.
//!
//! Frames that reach this backend have passed [`FrameLayout::new`](crate::FrameLayout::new): geometry is not checked
//! again here. There is no unsafe code here either, and no hand-off: nothing is given to a driver.

#![forbid(unsafe_code)]

mod adapter;
mod device;
mod export;
mod image;
mod import;
mod mapped;
mod offer;
mod rows;
mod turn;

pub use adapter::{Adapter, Allocator};
pub use device::Device;
pub use image::Image;
pub use mapped::{Mapped, MappedPlane};
pub use rows::{ReadRows, WriteRows};
