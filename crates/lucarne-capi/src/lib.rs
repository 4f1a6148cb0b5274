//! The C interface of Lucarne.
//!
//! `include/lucarne.h` is what a C program sees: it is made of the entry points in [`ffi`], and their comments here are the
//! comments there. `docs/c.md` in the repository tells how to build, install and link, who owns what, and which threads may do
//! what; `examples/c` has programs.
//!
//! Rust programs use [`lucarne`] and [`lucarne_stream`]: this crate adds nothing to them.
//!
//! The entry points stand in `ffi/`, one file for each subject. Their arguments are references that may be absent, boxes that are
//! taken and places that are filled, so that the compiler knows of every `NULL`; `ffi/guard.rs` makes a status of each error and of
//! each panic. The other files are the same in Rust's own words: [`lucarne::vulkan`], [`lucarne::egl`] and [`lucarne::cpu`] behind one
//! device, pools and streams behind one turn.

#![deny(unsafe_code)]

mod convert;
mod device;
mod failure;
#[allow(
    unsafe_code,
    reason = "the edge of the foreign interface: names that a linker finds, and C's strings, arrays and functions"
)]
pub mod ffi;
mod image;
mod log;
mod reasons;
mod stream;
mod text;
mod turn;
