//! Agreeing on a format, a set of modifiers and a memory path: pure functions of two [`Offer`]s.
//!
//! Nothing here talks to a driver. The same offers and the same request give the same answer, in whatever order
//! their entries are listed. docs/negotiation.md explains the rules with examples.

mod agreement;
mod entry;
mod intersect;
mod names;
mod offer;
#[cfg(feature = "serde")]
mod offer_serde;
mod reason;
mod rung;
mod strike;

pub use agreement::{Agreement, FencePath, Refusal, RefusedRung};
#[cfg(any(feature = "vulkan", feature = "egl"))]
pub(crate) use entry::find_import;
pub use entry::{MemoryPath, OfferEntry, Usage};
pub use intersect::negotiate;
pub use offer::{FenceSupport, Offer, Request};
pub use reason::{Candidate, DeviceMismatch, End, Identity, Reason, Side};
pub use rung::Rung;
pub use strike::{Strike, StrikeReason};
