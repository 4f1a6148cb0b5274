//! Short ways to say why something cannot be done.

use std::fmt::Display;

use lucarne::{Error, Requirement};

pub(crate) fn invalid(field: &'static str, got: impl Display, limit: impl Display) -> Error {
    Error::Invalid {
        field,
        got: got.to_string(),
        limit: limit.to_string(),
    }
}

pub(crate) fn refused(call: &'static str, answer: impl Display, help: &str) -> Error {
    Error::Driver {
        call,
        code: answer.to_string(),
        help: help.to_owned(),
    }
}

pub(crate) fn unsupported(what: impl Into<String>, missing: Requirement) -> Error {
    Error::Unsupported {
        what: what.into(),
        missing: vec![missing],
    }
}

/// What wgpu says by saying nothing.
pub(crate) fn lost(call: &'static str) -> Error {
    let help = "make a new wgpu::Device, and import or export anew";
    refused(call, "nothing: the wgpu::Device is lost or destroyed", help)
}
