//! The ladder, and what is better than what.

use std::fmt;

use super::entry::MemoryPath;
use crate::layout::Tiling;

/// A rung of the ladder, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// dma-buf with a modifier that the driver chose among the common ones; same device; no copies.
    TiledDmaBuf,
    /// dma-buf, linear; across devices too; no copies.
    LinearDmaBuf,
    /// `OPAQUE_FD` memory object; same driver and device; no copies.
    OpaqueFd,
    /// Sealed memfd; always possible; one copy on each side that cannot use the memory in place.
    HostMemory,
}

impl Rung {
    /// All rungs, best first.
    pub const ALL: [Self; 4] = [
        Self::TiledDmaBuf,
        Self::LinearDmaBuf,
        Self::OpaqueFd,
        Self::HostMemory,
    ];

    /// The memory path this rung uses.
    pub const fn path(self) -> MemoryPath {
        match self {
            Self::TiledDmaBuf | Self::LinearDmaBuf => MemoryPath::DmaBuf,
            Self::OpaqueFd => MemoryPath::OpaqueFd,
            Self::HostMemory => MemoryPath::HostMemory,
        }
    }

    /// From 1, the best, to 4.
    pub const fn number(self) -> u8 {
        match self {
            Self::TiledDmaBuf => 1,
            Self::LinearDmaBuf => 2,
            Self::OpaqueFd => 3,
            Self::HostMemory => 4,
        }
    }

    /// Whether memory of this path and tiling belongs on this rung: 1 takes every tiling but LINEAR, 2 LINEAR alone.
    pub fn takes(self, path: MemoryPath, tiling: Tiling) -> bool {
        if self.path() != path {
            return false;
        }
        let linear = tiling
            .modifier()
            .is_some_and(|modifier| modifier.is_linear());
        match self {
            Self::TiledDmaBuf => !linear,
            Self::LinearDmaBuf => linear,
            Self::OpaqueFd | Self::HostMemory => true,
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TiledDmaBuf => "dma-buf (tiled)",
            Self::LinearDmaBuf => "dma-buf (linear)",
            Self::OpaqueFd => "opaque-fd",
            Self::HostMemory => "host-memory",
        })
    }
}
