//! Named streams of frames between processes: one producer, any number of consumers, no copied pixel.
//!
//! The protocol, byte by byte, is in docs/protocol.md.
#![forbid(unsafe_code)]

mod error;
mod ring;
mod socket;
mod transfer;
pub mod wire;

pub use error::{Error, Result};
pub use ring::{Breach, Damage, MAX_DAMAGE};
pub use socket::Peer;
pub use transfer::{receive_frame, send_frame};
