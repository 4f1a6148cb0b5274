//! EGL and OpenGL: frames as textures.
//!
//! [`Adapter`] lists the EGL devices of the machine; [`Device`] is a context that is open, the caller's own or one
//! of Lucarne's. Frames that reach this backend have passed [`FrameLayout::new`](crate::FrameLayout::new): geometry
//! is not checked again here, the driver's answers are.
//!
//! A context is current on one thread, so nothing here can be sent to another; every call checks that it is current.

mod adapter;
mod canary;
mod color;
mod context;
mod device;
mod export;
mod fence;
mod handoff;
mod host;
mod import;
mod offer;
mod raw;
mod self_test;
mod semaphore;
mod srgb;
mod state;
mod texture;
mod transfer;
mod ycbcr;
mod ycbcr_to_rgb;

pub use adapter::Adapter;
pub use device::Device;
pub use semaphore::Semaphore;
pub use texture::Texture;
pub use ycbcr::YcbcrTexture;
pub use ycbcr_to_rgb::YcbcrToRgb;
