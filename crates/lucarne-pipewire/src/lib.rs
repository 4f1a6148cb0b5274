//! Lucarne's frames as PipeWire's video nodes, in both directions.
//!
//! (documentation follows)

mod candidates;
mod consumer;
mod convert;
mod error;
mod event;
mod export;
mod ffi;
mod import;
mod input;
mod loan;
mod metadata;
mod node;
mod output;
mod pods;
mod producer;
mod sync;

pub use consumer::{Consumer, ConsumerOptions, Delivery};
pub use error::{Error, Result};
pub use event::{Event, Negotiated};
pub use loan::NodeFrame;
pub use metadata::{MAX_DAMAGE, Metadata, Region};
pub use producer::{Producer, ProducerOptions, Slot};
pub use sync::FenceWay;
