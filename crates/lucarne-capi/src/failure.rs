//! What went wrong: a status, a sentence, and reasons.

use std::any::Any;

use lucarne::{Error, Refusal};
use lucarne_stream::Error as StreamError;

use crate::ffi::lucarne_status;
use crate::reasons::{self, Line};

/// The result of everything behind an entry point.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a call did not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: lucarne_status,
    pub(crate) message: String,
    pub(crate) reasons: Vec<Line>,
}

impl Failure {
    pub(crate) fn new(status: lucarne_status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            reasons: Vec::new(),
        }
    }

    /// An argument out of its limits.
    pub(crate) fn argument(
        name: &str,
        got: impl std::fmt::Display,
        limit: impl std::fmt::Display,
    ) -> Self {
        let message = format!("{name} is {got}, but must be {limit}");
        Self::new(lucarne_status::InvalidArgument, message)
    }

    /// There is nothing yet, and this call does not wait.
    pub(crate) fn would_block(what: &str) -> Self {
        let message = format!("{what}, and this call does not wait");
        Self::new(lucarne_status::WouldBlock, message)
    }

    /// A panic that was caught.
    pub(crate) fn of_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("for a reason that is no text");
        Self::new(lucarne_status::Panic, format!("the call panicked: {text}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Unsupported { .. } => lucarne_status::Unsupported,
            Error::Invalid { .. } => lucarne_status::InvalidArgument,
            Error::Os { .. } => lucarne_status::Os,
            Error::Driver { .. } => lucarne_status::Driver,
            Error::Timeout { .. } => lucarne_status::Timeout,
            Error::FenceFailed { .. } => lucarne_status::FenceFailed,
            Error::ForeignDevice { .. } => lucarne_status::ForeignDevice,
            Error::NotCurrent { .. } => lucarne_status::NotCurrent,
            _ => lucarne_status::Other,
        };
        let reasons = match &error {
            Error::Unsupported { missing, .. } => missing.iter().map(Line::of_missing).collect(),
            _ => Vec::new(),
        };
        Self {
            status,
            message: error.to_string(),
            reasons,
        }
    }
}

impl From<Box<Refusal>> for Failure {
    fn from(refusal: Box<Refusal>) -> Self {
        Self {
            status: lucarne_status::Refused,
            message: refusal.to_string(),
            reasons: reasons::lines(&refusal.rungs),
        }
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        let status = match error {
            StreamError::Core(error) => return error.into(),
            StreamError::Incompatible(refusal) => return refusal.into(),
            StreamError::Os { .. } | StreamError::Path { .. } | StreamError::Foreign { .. } => {
                lucarne_status::Os
            }
            StreamError::Malformed(_) | StreamError::Breach(_) | StreamError::Unexpected { .. } => {
                lucarne_status::Breach
            }
            StreamError::Refused(_) | StreamError::User { .. } => lucarne_status::Refused,
            StreamError::PeerGone => lucarne_status::PeerGone,
            StreamError::Timeout { .. } | StreamError::SocketFull => lucarne_status::Timeout,
            StreamError::Name { .. } | StreamError::Invalid { .. } => {
                lucarne_status::InvalidArgument
            }
            StreamError::NotFound { .. } | StreamError::Stale { .. } => lucarne_status::NotFound,
            StreamError::InUse { .. } => lucarne_status::InUse,
            StreamError::Ended => lucarne_status::Ended,
            _ => lucarne_status::Other,
        };
        Self::new(status, error.to_string())
    }
}
