//! Frames as Wayland buffers, and back, without copying a pixel.
//!
//! The compositor samples the frame's own memory: a program that shows frames needs neither OpenGL nor Vulkan. [`Display::wrap`] takes the connection
//! that a program or its toolkit has already; [`Display::offer`] says what the compositor takes, [`Display::export`] makes a `wl_buffer` of a frame,
//! and [`Surface::present`] shows it.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use lucarne::{Frame, ImportCache, Result, Sent};
//! use lucarne_wayland::wayland_client::Connection;
//! use lucarne_wayland::wayland_client::protocol::wl_surface::WlSurface;
//! use lucarne_wayland::{Buffer, Display, Surface};
//!
//! const TIMEOUT: Duration = Duration::from_secs(1);
//!
//! /// Your connection and your surface, with its role, its size and whatever else is yours.
//! fn begin(connection: &Connection, surface: &WlSurface) -> Result<(Display, Surface)> {
//!     let display = Display::wrap(connection, TIMEOUT)?;
//!     let surface = display.surface(surface, TIMEOUT)?;
//!     // Give surface.offer() to `negotiate` as the consumer's, and make images as agreed.
//!     Ok((display, surface))
//! }
//!
//! /// Each frame. `buffers` keeps a `wl_buffer` for each of the pool's frames.
//! fn show(display: &Display, surface: &mut Surface, buffers: &mut ImportCache<Buffer>, sent: Sent) -> Result<()> {
//!     let buffer = buffers.get_or_import(sent.frame(), |frame: &Frame| display.export(frame, TIMEOUT))?;
//!     surface.present(buffer, sent.receive(), TIMEOUT)?;
//!     // What the compositor has done with is back in the pool.
//!     surface.give_back()?;
//!     Ok(())
//! }
//! ```
//!
//! # Who owns what
//!
//! - The connection, the surface and its role are yours. Events of this crate's own objects come in a queue of its own.
//! - Descriptors stay the frame's. The compositor gets duplicates, which the connection closes once they are sent.
//! - A frame that is shown is lent to the compositor, and comes back to its lender with a fence: the compositor's own where it has
//!   `wp_linux_drm_syncobj_v1`, else the one that the kernel keeps with the memory, else none is needed.
//!
//! # What blocks
//!
//! [`Display::wrap`], [`Display::surface`] and [`Display::export`] wait for the compositor's answer, each with a deadline. [`Surface::present`] waits for
//! the frame's fence only where neither the compositor nor the kernel takes it. All of it belongs to one thread.
//!
//! # What it does not do
//!
//! - Windows: use winit, smithay-client-toolkit or xdg-shell yourself.
//! - Memory that only its driver knows: Wayland has no protocol for it.
//! - Formats of several planes in host memory.

#![forbid(unsafe_code)]

mod capture;
pub mod convert;
mod display;
mod error;
mod events;
mod export;
mod ext;
mod feedback;
pub mod import;
mod offer;
mod surface;
mod sync;
mod table;
mod wlr;

pub use capture::{Capture, Captured};
pub use display::Display;
pub use export::Buffer;
pub use feedback::{Feedback, Tranche};
pub use lucarne;
pub use surface::Surface;
/// The release whose types the functions here take and give.
pub use wayland_client;

/// The page's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/wayland.md")]
struct Page;
