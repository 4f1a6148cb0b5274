//! What can go wrong.

use std::fmt;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What did not happen, and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Of Lucarne's own: a frame, an allocation, an import.
    #[error(transparent)]
    Core(#[from] lucarne::Error),
    /// PipeWire's library did not do it.
    #[error("{operation} failed: {reason}")]
    Library {
        /// What was asked of it.
        operation: &'static str,
        /// What it answered.
        reason: String,
    },
    /// The offer has nothing that a node can have.
    #[error(
        "{offer} offers nothing that PipeWire has a name for: none of {wanted} as a dma-buf with modifiers or as shared memory"
    )]
    NothingToOffer {
        /// Whose offer it is.
        offer: String,
        /// The formats that were asked for.
        wanted: String,
    },
}

impl Error {
    pub(crate) fn library(operation: &'static str, reason: impl fmt::Display) -> Self {
        Self::Library {
            operation,
            reason: reason.to_string(),
        }
    }
}
