//! Frames of other APIs and processes as textures of [wgpu](https://wgpu.rs), and wgpu's textures as frames for them, without
//! copying a pixel.
//!
//! wgpu renders with Vulkan on Linux. [`Device::wrap`] takes the device and the queue that a program has already;
//! [`Device::export`] makes a texture to render into whose memory others can use, and [`Device::import`] makes a texture of
//! a frame that others have drawn. All submissions stay wgpu's: what is needed to take a frame and to give it back goes into
//! command buffers of wgpu's, between those of the program.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use lucarne::{Agreement, Fence, Frame, Result, Usage};
//! # use lucarne_wgpu::{Device, Texture};
//! # const TIMEOUT: Duration = Duration::from_secs(1);
//! /// Draws into a texture that others have read until `gate`; returns the fence that comes with the next frame.
//! fn send(device: &Device, texture: &Texture, gate: &Fence, drawing: wgpu::CommandBuffer) -> Result<Fence> {
//!     device.submit([texture], gate, TIMEOUT, [drawing])
//! }
//!
//! /// Samples a frame that others have drawn until `drawn`; returns the fence for the way back.
//! fn show(device: &Device, frame: &Frame, drawn: &Fence, draw: impl Fn(&wgpu::TextureView) -> wgpu::CommandBuffer) -> Result<Fence> {
//!     // Once for each buffer, not for each frame: keep it.
//!     let texture = device.import(frame, Usage::SAMPLE)?;
//!     let view = texture.texture().create_view(&Default::default());
//!     device.submit([&texture], drawn, TIMEOUT, [draw(&view)])
//! }
//! ```
//!
//! # What to enable
//!
//! wgpu enables by itself what dma-bufs need, where the driver has it. Devices of [`request_device`] also have what passes
//! fences without waiting and what lets images lie in host memory. [`device_extensions`] lists all of it for programs that
//! open their device by other means. [`Device::offer`] says what a device lacks.
//!
//! # What it does not do
//!
//! - Other backends than Vulkan. [`Device::wrap`] refuses them.
//! - Memory that has to be copied: a device without `VK_EXT_external_memory_host`, and graphics cards, do not offer the host
//!   memory path.
//! - Padding as alpha 1: wgpu's views have no swizzle. See [`Texture::has_padding`].
//! - `Y'CbCr` as one texture: [`Device::import_planes`] gives one for each plane.
//!
//! The major version is that of the wgpu release whose types its functions take and give.

pub mod convert;
mod device;
mod error;
mod export;
mod ffi;
mod import;
mod scope;
mod semaphores;
mod sync;
mod texture;

pub use device::{Device, add_device_extensions, device_extensions, request_device};
pub use import::Planes;
pub use lucarne;
pub use texture::Texture;
pub use wgpu;

/// The page's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/wgpu.md")]
struct Page;
