//! What the fuzz targets check: each `check` takes any bytes and panics where Lucarne breaks a promise.
//!
//! `cargo fuzz run --features libfuzzer TARGET` searches for such bytes; `cargo test -p lucarne-fuzz` replays the
//! committed corpora, so that what was found once stays found. docs/testing.md tells how to add to them.
#![forbid(unsafe_code)]

pub mod layout;
pub mod modifier;
pub mod negotiation;
pub mod session;
pub mod wire;

/// A target and what it checks.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, under the name of its program and of its corpus.
pub const TARGETS: &[Target] = &[
    ("layout", layout::check),
    ("modifier", modifier::check),
    ("negotiation", negotiation::check),
    ("ring", lucarne_stream::fuzzing::ring),
    ("session", session::check),
    ("wire", wire::check),
];
