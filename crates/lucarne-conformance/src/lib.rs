//! Conformance of a machine's drivers: every (direction × memory path × format × modifier × size) they offer each other.
//!
//! A pattern is made on the CPU, written by one API, shared, read by another, and compared pixel by pixel with what the
//! CPU says it must be ([`pattern`]). Each case shares two different frames in one image, so that a stale or repeated
//! import shows too. Some cases share memory in layouts that neither end chose, with canaries around the rows
//! ([`placement`]). A driver or engine author runs the program `lucarne-conformance` on their machine and gets a report.
//!
//! [`Machine::open`] opens what there is, [`Machine::cases`] lists what the pairs offer each other, [`Machine::run`] runs
//! one; [`Machine::of_pair`] opens one device for each end. What a pair does not offer is no case; what it offers and cannot do is a failure.
#![forbid(unsafe_code)]

mod cases;
mod ends;
mod late;
mod machine;
mod need;
mod opening;
pub mod pattern;
pub mod placement;
mod report;
pub mod table;
pub mod validation;

pub use cases::{Case, ODD_SIZES, Set, TRIAL_EXTENT, TRIAL_FORMAT};
pub use ends::{Api, Pixels, TIMEOUT};
pub use late::Late;
pub use machine::Machine;
pub use need::{Need, needs};
pub use opening::{Note, Numbered};
pub use report::{Outcome, Ran, Report, Row, Seen, kernel};
