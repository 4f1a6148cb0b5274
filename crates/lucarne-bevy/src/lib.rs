//! [Bevy](https://bevy.org)'s cameras as streams of frames for other programs, and their streams as Bevy's images, without
//! copying a pixel.
//!
//! A camera with a [`StreamOutput`] renders into the frames of a named stream. A [`StreamInput`] shows the frames of one in a
//! `Handle<Image>`, which materials, sprites and whatever else use as any other. Both ends may be Bevy, OpenGL, Vulkan, a camera,
//! `lucarne view`: whoever speaks [`lucarne_stream`].
//!
//! ```no_run
//! use bevy::prelude::*;
//! use lucarne_bevy::{LucarnePlugin, StreamInput, StreamOutput};
//!
//! fn main() {
//!     // Before DefaultPlugins, which open the device.
//!     App::new().add_plugins((LucarnePlugin::default(), DefaultPlugins)).add_systems(Startup, setup).run();
//! }
//!
//! fn setup(mut commands: Commands, mut images: ResMut<Assets<Image>>) {
//!     // Others see what this camera sees.
//!     commands.spawn((Camera2d, StreamOutput::new("game", UVec2::new(1280, 720))));
//!     // This sprite shows what others draw, and nothing until somebody does.
//!     let image = images.add(Image::transparent());
//!     commands.spawn((Sprite::from_image(image.clone()), StreamInput::new("scene", image)));
//! }
//! ```
//!
//! # What happens when
//!
//! Streams come, go and return while the game runs: [`StreamArrived`], [`StreamResized`] and [`StreamLost`] tell. After a loss the
//! last picture stays. A camera whose stream nobody watches is not rendered. What cannot work is told once, by
//! [`StreamRefused`] and in the log, and the game goes on.
//!
//! # What blocks
//!
//! Nothing waits for other programs: a picture that is not drawn yet is shown a frame later, and a camera whose frames are all with
//! others is not rendered this time. On software drivers, and on devices that [`LucarnePlugin`] did not open, the CPU waits for its own
//! rendering, a second at most.
//!
//! # What it does not do
//!
//! - Other backends than Vulkan: [`StreamRefused`] names them.
//! - Opaque memory, which cannot be read as sRGB: dma-bufs and host memory only.
//! - `Y'CbCr`, and padding as alpha 1: see [`StreamInput::opaque`].
//!
//! The version is that of the Bevy release whose types it takes.

pub mod convert;
mod device;
mod export;
mod ffi;
mod import;
mod materials;
mod messages;
mod plugin;
mod screens;

pub use export::StreamOutput;
pub use import::StreamInput;
pub use lucarne_stream;
pub use lucarne_wgpu::lucarne;
pub use materials::StreamMaterialPlugin;
pub use messages::{StreamArrived, StreamLost, StreamRefused, StreamResized, StreamWatched};
pub use plugin::LucarnePlugin;

/// The page's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/bevy.md")]
struct Page;
