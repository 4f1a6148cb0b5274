//! Agreeing on a format, a set of modifiers and a memory path: pure functions of two [`Offer`]s.
//!
//! Nothing here talks to a driver. The same offers and the same request give the same answer, in whatever order
//! their entries are listed. docs/negotiation.md explains the rules with examples.

mod agreement;
mod intersect;
mod offer;
mod rank;
#[cfg(feature = "serde")]
mod record;

pub use agreement::{Agreement, Candidate, FencePath, Refusal, RefusedRung, Verdict};
pub use intersect::negotiate;
pub use offer::{FenceSupport, MemoryPath, Offer, OfferEntry, Request, Strike, Usage};
pub use rank::Rung;
