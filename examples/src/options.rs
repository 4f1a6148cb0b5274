//! What the programs are asked for in the same words.

use clap::ValueEnum;
use lucarne::{Extent, MemoryPath};

/// A memory path, or the best one there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PathChoice {
    /// The best that both sides can do
    Auto,
    /// A dma-buf
    DmaBuf,
    /// A memory object of one driver
    OpaqueFd,
    /// A sealed memfd
    HostMemory,
}

impl PathChoice {
    /// The paths to negotiate about.
    #[must_use]
    pub fn paths(self) -> Vec<MemoryPath> {
        match self {
            Self::Auto => MemoryPath::ALL.to_vec(),
            Self::DmaBuf => vec![MemoryPath::DmaBuf],
            Self::OpaqueFd => vec![MemoryPath::OpaqueFd],
            Self::HostMemory => vec![MemoryPath::HostMemory],
        }
    }
}

/// Reads WIDTHxHEIGHT.
///
/// # Errors
///
/// If it is none, or beyond what a frame can have.
pub fn extent(text: &str) -> Result<Extent, String> {
    let sides = text.split_once(['x', 'X']).and_then(|(width, height)| {
        Some(Extent::new(
            width.trim().parse().ok()?,
            height.trim().parse().ok()?,
        ))
    });
    let extent = sides.ok_or("expected WIDTHxHEIGHT, such as 1920x1080")?;
    extent.check().map_err(|error| error.to_string())?;
    Ok(extent)
}
