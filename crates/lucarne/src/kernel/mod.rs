//! One file per kernel object: what it is, who owns its descriptor, and which calls it answers.
//!
//! Together with the backends, this is the only place with unsafe code. Every descriptor is an
//! [`OwnedFd`](std::os::fd::OwnedFd), is close-on-exec, and is held once.

pub(crate) mod c_library;
pub(crate) mod credentials;
pub(crate) mod dma_buf;
pub(crate) mod dma_buf_mapping;
pub(crate) mod dma_heap;
#[cfg(feature = "drm")]
pub(crate) mod drm_node;
pub(crate) mod fd;
pub(crate) mod implicit_sync;
pub(crate) mod mapping;
pub(crate) mod memfd;
pub(crate) mod shared_words;
pub(crate) mod sync_file;
#[cfg(feature = "drm")]
pub(crate) mod syncobj;
pub(crate) mod udmabuf;

pub use credentials::PeerCredentials;
pub use dma_buf::{BufferIdentity, DmaBuf, DmaBufKind};
pub use dma_buf_mapping::{CpuAccess, CpuRead, CpuWrite, DmaBufMapping};
pub use dma_heap::DmaHeap;
#[cfg(feature = "drm")]
pub use drm_node::{DrmFile, DumbBuffer, GemHandle};
pub use implicit_sync::FenceRole;
pub use mapping::Mapping;
pub use memfd::Memfd;
pub use shared_words::SharedWords;
pub use sync_file::{FenceInfo, FenceStatus, SyncFile, SyncFileInfo};
#[cfg(feature = "drm")]
pub use syncobj::{Timeline, TimelineDevice, TimelinePoint};
pub use udmabuf::Udmabuf;
