//! The recipes of docs/interop.md, as code that compiles. The page shows what is between `begin` and `end`;
//! `tests/tests/readme.rs` holds them together, and `cargo xtask check` compiles this package.

// As the front page has it.
#[rustfmt::skip]
mod front_page;
#[cfg(feature = "gstreamer")]
pub mod gstreamer;
#[cfg(feature = "gtk")]
pub mod gtk;
pub mod v4l2;
pub mod wayland;
#[cfg(feature = "wgpu")]
pub mod wgpu;
