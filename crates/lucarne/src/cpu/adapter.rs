//! Where the CPU can get memory that others can use.

use std::fmt;

use crate::error::Support;
use crate::kernel::{DmaHeap, Udmabuf};

/// A way to allocate memory for frames.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Allocator {
    /// `/dev/udmabuf`: dma-bufs made of ordinary memory, 64 MiB each by default.
    Udmabuf,
    /// The DMA heap of this name, in `/dev/dma_heap`.
    DmaHeap(String),
    /// Sealed memfds: no device node needed, and no dma-bufs.
    HostMemory,
}

impl fmt::Display for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udmabuf => f.write_str("udmabuf"),
            Self::DmaHeap(name) => write!(f, "dma_heap/{name}"),
            Self::HostMemory => f.write_str("host memory"),
        }
    }
}

/// An allocator that could be opened.
///
/// # Examples
///
/// ```
/// use lucarne::cpu;
///
/// // The best one that this machine has: host memory is always there.
/// let mut adapters = cpu::Adapter::enumerate().into_iter();
/// let adapter = adapters.find(|adapter| adapter.support().is_yes());
/// let device = adapter.expect("host memory").open()?;
/// println!("allocating with {}", device.adapter().allocator());
/// # Ok::<(), lucarne::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Adapter {
    allocator: Allocator,
}

impl Adapter {
    /// The machine's allocators, best first: udmabuf, the DMA heaps, host memory.
    ///
    /// udmabuf and the system heap are listed even where they are missing, so that [`support`](Self::support) can say
    /// what would change that; host memory is always there.
    pub fn enumerate() -> Vec<Self> {
        let system = DmaHeap::SYSTEM.to_owned();
        let others = DmaHeap::names().into_iter().filter(|name| *name != system);
        let heaps = std::iter::once(system.clone())
            .chain(others)
            .map(Allocator::DmaHeap);
        std::iter::once(Allocator::Udmabuf)
            .chain(heaps)
            .chain(std::iter::once(Allocator::HostMemory))
            .map(Self::new)
            .collect()
    }

    /// One allocator, whether the machine has it or not.
    pub fn new(allocator: Allocator) -> Self {
        Self { allocator }
    }

    /// How it allocates.
    pub fn allocator(&self) -> &Allocator {
        &self.allocator
    }

    /// Whether it can be opened, and if not, what would change that.
    pub fn support(&self) -> Support {
        match &self.allocator {
            Allocator::Udmabuf => Udmabuf::probe(),
            Allocator::DmaHeap(name) => DmaHeap::probe(name),
            Allocator::HostMemory => Support::Yes(()),
        }
    }
}
