//! The test harness: what the tiers of docs/testing.md share.
//!
//! A pattern is made on the CPU ([`pattern`]), written into a shared image by Vulkan ([`writer`]), read from the texture
//! by GL ([`reader`]), and compared pixel by pixel with what the CPU says it must be. [`pair`] opens both devices, with
//! Vulkan's validation layer where it is installed, and fails the test on anything that layer reports.

#![expect(
    clippy::macro_metavars_in_unsafe,
    reason = "`vk!` says once what a test's Vulkan calls must be; its arguments are the test's own"
)]

pub mod bare;
pub mod canary;
pub mod child;
pub mod cpu;
pub mod display;
pub mod engine;
pub mod exporter;
pub mod fds;
pub mod memory;
pub mod module;
pub mod pair;
pub mod pattern;
pub mod picture;
pub mod reader;
pub mod sampling;
pub mod skip;
pub mod toolkit;
pub mod unsignalled;
pub mod vgem;
pub mod writer;
pub mod yuv;

/// A deadline that no working machine misses, not even an emulated one.
pub const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// Whether this runs in the guest of `cargo xtask guest`, where everything is about a hundred times slower.
pub fn in_guest() -> bool {
    std::env::var_os("LUCARNE_GUEST").is_some()
}
