//! What stops a command: a sentence for the user and the exit status that goes with it.

use std::fmt;
use std::io;
use std::path::Path;

/// Status of a command that ran and found something wrong.
pub(crate) const FAILED: u8 = 1;
/// Status of a command that could not do what was asked: wrong use, or something is missing.
pub(crate) const UNABLE: u8 = 2;

/// A sentence for the user and an exit status.
#[derive(Debug)]
pub(crate) struct Error {
    message: String,
    status: u8,
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Something was tried and went wrong.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            status: FAILED,
        }
    }

    /// Something needed is not here.
    pub(crate) fn unable(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            status: UNABLE,
        }
    }

    /// An error of the operating system, with what was being done to which path.
    pub(crate) fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::failed(format!("{doing} {}: {error}", path.display()))
    }

    pub(crate) fn status(&self) -> u8 {
        self.status
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
