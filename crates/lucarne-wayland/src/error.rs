//! Short ways to say why something cannot be done.

use std::fmt::Display;
use std::io;

use lucarne::{Error, Requirement};
use wayland_client::backend::WaylandError;
use wayland_client::{Connection, DispatchError};

const GONE: &str = "the compositor has ended, or has ended the connection: connect again";

pub(crate) fn invalid(field: &'static str, got: impl Display, limit: impl Display) -> Error {
    Error::Invalid {
        field,
        got: got.to_string(),
        limit: limit.to_string(),
    }
}

pub(crate) fn unsupported(what: impl Into<String>, missing: Requirement) -> Error {
    Error::Unsupported {
        what: what.into(),
        missing: vec![missing],
    }
}

/// Interfaces that the compositor does not have, or not in a version that will do: one of them would.
pub(crate) fn lacks(interfaces: &[&str]) -> Requirement {
    let names = interfaces.join(" and ");
    Requirement::other(format!("the compositor lacks {names}"))
}

/// What the compositor answered to a request.
pub(crate) fn refused(call: &'static str, answer: impl Display, help: impl Into<String>) -> Error {
    Error::Driver {
        call,
        code: answer.to_string(),
        help: help.into(),
    }
}

pub(crate) fn os(operation: &'static str, source: impl Into<io::Error>) -> Error {
    Error::Os {
        operation,
        source: source.into(),
        help: "",
    }
}

/// Why nothing comes from the compositor any more. Where it has said what the program did wrong, that is said.
pub(crate) fn gone(connection: &Connection, error: WaylandError) -> Error {
    let breach = match &error {
        WaylandError::Protocol(breach) => Some(breach.clone()),
        WaylandError::Io(_) => connection.protocol_error(),
    };
    match (breach, error) {
        (Some(breach), _) => {
            let answer = format!(
                "error {} of {}@{}: {}",
                breach.code, breach.object_interface, breach.object_id, breach.message
            );
            refused("the Wayland connection", answer, "")
        }
        (None, WaylandError::Io(source)) => Error::Os {
            operation: "talking to the compositor",
            source,
            help: GONE,
        },
        (None, other) => refused("the Wayland connection", other, GONE),
    }
}

pub(crate) fn undispatched(connection: &Connection, error: DispatchError) -> Error {
    match error {
        DispatchError::Backend(error) => gone(connection, error),
        other @ DispatchError::BadMessage { .. } => {
            refused("an event of the compositor's", other, GONE)
        }
    }
}
