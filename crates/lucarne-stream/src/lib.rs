//! Named streams of frames between processes: one producer, any number of consumers, no copied pixel.
//!
//! The protocol, byte by byte, is in docs/protocol.md.
#![forbid(unsafe_code)]

mod consumer;
mod discovery;
mod error;
mod generation;
mod joint;
mod producer;
mod ring;
mod socket;
mod transfer;
mod watcher;
pub mod wire;

pub use consumer::{Consumer, ConsumerEvent, ConsumerOptions, Reading, Received};
pub use discovery::{Found, MAX_STREAM_NAME, check_name, describe, directory, streams, streams_in};
pub use error::{Error, Result};
pub use generation::{Allocate, Import, Slot};
pub use producer::{MAX_CONSUMERS, Options, Producer, ProducerEvent};
pub use ring::{Breach, Damage, MAX_DAMAGE};
pub use socket::Peer;
pub use transfer::{receive_frame, send_frame};
pub use watcher::{Change, Watcher};
pub use wire::Delivery;

/// The time on `CLOCK_MONOTONIC`, which timestamps are on.
pub fn now() -> std::time::Duration {
    std::time::Duration::from_nanos(discovery::now())
}
