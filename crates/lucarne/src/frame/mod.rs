//! Frames, whose turn it is to touch them, and the fences that pass the turn on.

mod components;
mod fence;
#[expect(
    clippy::module_inception,
    reason = "one file per word: this one is the word itself"
)]
mod frame;
mod implicit_sync;
mod import_cache;
mod lent;
mod planes;
mod pool;
mod semaphore;
mod turn;

#[cfg(feature = "vulkan")]
pub(crate) use components::component_formats;
pub use components::{ComponentPlace, Components};
pub use fence::Fence;
pub use frame::{Frame, Memory, OpaqueFd};
pub use import_cache::ImportCache;
pub use lent::{Lent, PoolFrame};
pub use planes::DmaBufPlane;
pub use pool::Pool;
pub use semaphore::OpaqueSemaphore;
pub use turn::{Free, Reading, Received, Sent, Writing};
