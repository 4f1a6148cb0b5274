//! Opening an allocator.

use std::sync::Arc;

use super::adapter::{Adapter, Allocator};
use crate::device_id::DeviceId;
use crate::error::Result;
use crate::kernel::{DmaHeap, Udmabuf};

/// The CPU as one end of a sharing, with one allocator for what it exports. Cloning shares the allocator.
///
/// Threads may share it.
#[derive(Clone, Debug)]
pub struct Device {
    adapter: Adapter,
    source: Arc<Source>,
}

/// What memory comes from.
#[derive(Debug)]
pub(super) enum Source {
    Udmabuf(Udmabuf),
    DmaHeap(DmaHeap),
    HostMemory,
}

impl Adapter {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`](crate::Error::Unsupported) with what to do, when its device node is absent or may not be
    /// opened; [`Error::Invalid`](crate::Error::Invalid) for a heap whose name is none.
    pub fn open(&self) -> Result<Device> {
        let source = match self.allocator() {
            Allocator::Udmabuf => Source::Udmabuf(Udmabuf::open()?),
            Allocator::DmaHeap(name) => Source::DmaHeap(DmaHeap::open(name)?),
            Allocator::HostMemory => Source::HostMemory,
        };
        Ok(Device {
            adapter: self.clone(),
            source: Arc::new(source),
        })
    }
}

impl Device {
    /// What was opened.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// The identity of memory that the CPU allocates: software, no device at all.
    ///
    /// It is never the same as another one, nor known to differ from a software rasteriser. That is as it must be:
    /// what a CPU shares is linear or host memory, for which both ends need not be one device, and an exporter that
    /// hears "not the same" puts its memory where the CPU can reach it.
    pub fn id(&self) -> DeviceId {
        host()
    }
}

/// The identity of the machine's memory.
pub(super) fn host() -> DeviceId {
    DeviceId {
        software: true,
        ..DeviceId::default()
    }
}
