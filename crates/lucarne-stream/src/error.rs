//! What can go wrong between two ends of a stream, and what would make it work.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lucarne::Refusal;

use crate::ring::Breach;
use crate::wire::{Farewell, FarewellReason, Malformed};

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation that did not happen, and why.
///
/// `Debug` says the same as `Display`, in several lines where the core's does: what a `main` that returns it prints.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The core refused: memory, a layout, a fence, or the program's own allocation or import.
    #[error(transparent)]
    Core(#[from] lucarne::Error),
    /// The kernel refused.
    #[error("{operation} failed: {source}{}{help}", if help.is_empty() { "" } else { ": " })]
    Os {
        /// The system call and its object.
        operation: &'static str,
        /// The kernel's answer.
        source: io::Error,
        /// What would make it work, or nothing.
        help: &'static str,
    },
    /// A path that a stream needs cannot be used.
    #[error("{}: {problem}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What is there, and what would have been accepted.
        problem: String,
    },
    /// The peer sent something that is not a message of the protocol.
    #[error("the peer broke the protocol: {0}")]
    Malformed(#[from] Malformed),
    /// The peer wrote a value into the ring that the protocol does not allow there.
    #[error("the peer broke the protocol: {0}")]
    Breach(#[from] Breach),
    /// The peer sent a message that the protocol does not allow at this point.
    #[error("the peer broke the protocol: it sent {message}, but {expected} was to come")]
    Unexpected {
        /// What came.
        message: &'static str,
        /// What would have been right.
        expected: &'static str,
    },
    /// The peer said no.
    #[error("the peer refused: {} ({:?})", .0.text, .0.reason)]
    Refused(Farewell),
    /// The peer hung up, or died.
    #[error("the peer is gone")]
    PeerGone,
    /// The socket takes no more messages: its reader is slow, or stopped.
    #[error("the socket is full: the peer does not read its messages")]
    SocketFull,
    /// The peer runs as another user.
    #[error(
        "the peer's user id is {peer}, but must be {own}; other users can be allowed in the options"
    )]
    User {
        /// The peer's.
        peer: u32,
        /// This process's.
        own: u32,
    },
    /// Something did not happen before its deadline.
    #[error("{waiting_for} did not happen within {} ms", after.as_millis())]
    Timeout {
        /// What was waited for.
        waiting_for: &'static str,
        /// The deadline that passed.
        after: Duration,
    },
    /// A name that no stream can have.
    #[error("{name:?} cannot name a stream: {problem}")]
    Name {
        /// The name.
        name: String,
        /// The rule that it breaks.
        problem: &'static str,
    },
    /// No producer has this name.
    #[error("there is no stream {name:?} in {}: {found}", folder.display())]
    NotFound {
        /// The name.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// Another producer has this name.
    #[error("there is a stream {name:?} already")]
    InUse {
        /// The name.
        name: String,
    },
    /// The stream has ended, and all of its frames have been taken.
    #[error("the stream has ended")]
    Ended,
    /// Two sides have nothing in common.
    #[error(transparent)]
    Incompatible(#[from] Box<Refusal>),
    /// Another process, or a descriptor of it, is out of reach.
    #[error("process {pid}: {operation} failed: {source}: {help}")]
    Foreign {
        /// The process.
        pid: u32,
        /// The system call and its object.
        operation: String,
        /// The kernel's answer.
        source: io::Error,
        /// Why, and what would make it work.
        help: String,
    },
    /// A ticket's frame is not where the ticket says: its process or descriptor number belongs to something else by now.
    #[error("the ticket's frame is gone: {problem}")]
    Stale {
        /// What is there instead.
        problem: String,
    },
    /// A value of the program's own is out of its limits.
    #[error("{field} is {got}, but must be {limit}")]
    Invalid {
        /// The value's name.
        field: &'static str,
        /// What was given.
        got: String,
        /// What would have been accepted.
        limit: String,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core(error) => fmt::Debug::fmt(error, f),
            Self::Incompatible(refusal) => fmt::Debug::fmt(refusal, f),
            other => fmt::Display::fmt(other, f),
        }
    }
}

impl Error {
    pub(crate) fn os(operation: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Os {
            operation,
            source: source.into(),
            help: "",
        }
    }

    /// `operation` did not work at `path`.
    pub(crate) fn at(path: &Path, operation: &str, source: impl Into<io::Error>) -> Self {
        Self::Path {
            path: path.to_owned(),
            problem: format!("{operation} failed: {}", source.into()),
        }
    }

    /// Whether the peer broke the protocol.
    pub fn is_breach(&self) -> bool {
        matches!(
            self,
            Self::Malformed(_) | Self::Breach(_) | Self::Unexpected { .. }
        )
    }

    /// What the peer is told, where this ends the connection with it.
    pub(crate) fn farewell_reason(&self) -> FarewellReason {
        match self {
            error if error.is_breach() => FarewellReason::Protocol,
            Self::SocketFull | Self::Timeout { .. } => FarewellReason::TooSlow,
            _ => FarewellReason::Resources,
        }
    }

    /// What the core says of memory that a peer has sent. A value that is out of its limits is the peer's fault; what the
    /// kernel refuses may be this process's.
    pub(crate) fn of_peers_memory(error: lucarne::Error) -> Self {
        match error {
            lucarne::Error::Invalid { field, got, limit } => {
                Malformed::new(field, got, limit).into()
            }
            other => other.into(),
        }
    }
}

/// Whether this process or machine ran out of something, which says nothing about what was tried.
pub(crate) fn is_shortage(error: &lucarne::Error) -> bool {
    use rustix::io::Errno;
    let lucarne::Error::Os { source, .. } = error else {
        return false;
    };
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    let code = source.raw_os_error();
    shortages
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&code)
}

#[cfg(test)]
mod tests {
    use lucarne::Requirement;

    use super::*;

    #[test]
    fn errors_are_debugged_as_they_are_displayed_and_long_ones_in_lines() {
        let broken = Malformed::new("offer.path", 7, "0 to 2");
        let breach = Breach {
            word: "head",
            slot: Some(1),
            got: 9,
            limit: "0",
        };
        assert_eq!(format!("{broken:?}"), broken.to_string());
        assert_eq!(format!("{breach:?}"), breach.to_string());
        for error in [
            Error::Malformed(broken),
            Error::Breach(breach),
            Error::PeerGone,
        ] {
            assert_eq!(format!("{error:?}"), error.to_string());
        }
        let missing = ["needs one thing", "needs another"].map(Requirement::other);
        let core = lucarne::Error::Unsupported {
            what: "this".to_owned(),
            missing: missing.to_vec(),
        };
        let said = format!("{:?}", Error::Core(core));
        assert_eq!(
            said,
            "this is not supported:\n  needs one thing\n  needs another"
        );
    }
}
