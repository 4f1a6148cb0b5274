//! Named streams of frames between processes: one producer, any number of consumers, no copied pixel.
#![forbid(unsafe_code)]

mod ring;
pub mod wire;

pub use ring::{Breach, Damage, MAX_DAMAGE};
