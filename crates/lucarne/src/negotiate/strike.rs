//! What was tried, or seen, not to work.

use std::fmt;

use super::entry::{MemoryPath, OfferEntry};
use crate::error::Requirement;
use crate::format::Format;
use crate::modifier::Modifier;

/// An entry that both offers have, but that must not be agreed on, most often because it was tried and failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strike {
    /// The path that is struck out.
    pub path: MemoryPath,
    /// The format, or `None` for every format.
    pub format: Option<Format>,
    /// The modifier, or `None` for every tiling.
    pub modifier: Option<Modifier>,
    /// What happened.
    pub reason: StrikeReason,
}

impl Strike {
    pub(crate) fn hits(&self, entry: &OfferEntry) -> bool {
        self.path == entry.path
            && self.format.is_none_or(|format| format == entry.format)
            && (self.modifier.is_none() || self.modifier == entry.tiling.modifier())
    }
}

/// Why an entry was struck out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StrikeReason {
    /// The producer could not make such memory; what its driver said.
    ExportFailed(String),
    /// The consumer could not use such memory; what its driver said.
    ImportFailed(String),
    /// The device was seen to do it wrongly; names the [quirk](crate::quirks).
    SelfTest(Requirement),
    /// Nothing failed. The program that negotiates does not want it, for this reason.
    Unwanted(String),
    /// A sentence from elsewhere, such as a recorded offer.
    Text(String),
}

impl StrikeReason {
    /// What would have to be different on this device.
    #[cfg(feature = "egl")]
    pub(crate) fn to_requirement(&self) -> Requirement {
        match self {
            Self::SelfTest(requirement) => requirement.clone(),
            other => Requirement::Other(other.to_string()),
        }
    }
}

impl fmt::Display for StrikeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SelfTest(requirement) => requirement.fmt(f),
            Self::ExportFailed(text)
            | Self::ImportFailed(text)
            | Self::Unwanted(text)
            | Self::Text(text) => f.write_str(text),
        }
    }
}
