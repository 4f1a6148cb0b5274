//! One file per kernel object: what it is, who owns its descriptor, and which calls it answers.
//!
//! Together with the backends, this is the only place with unsafe code. Every descriptor is an
//! [`OwnedFd`](std::os::fd::OwnedFd), is close-on-exec, and is held once.

pub(crate) mod dma_buf;
pub(crate) mod fd;
pub(crate) mod mapping;
pub(crate) mod memfd;
pub(crate) mod sync_file;
pub(crate) mod udmabuf;

pub use dma_buf::{DmaBuf, DmaBufKind, Identity};
pub use mapping::Mapping;
pub use memfd::Memfd;
pub use sync_file::SyncFile;
pub use udmabuf::Udmabuf;
