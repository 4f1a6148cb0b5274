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
    /// Compared with a software rasteriser it gives [`Comparison::Unknown`](crate::Comparison::Unknown), with a GPU
    /// [`Comparison::Different`](crate::Comparison::Different); never `Same`. So the other side allocates memory that the
    /// CPU can reach. The CPU shares linear or host memory only, and for those the two ends need not be one device.
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
