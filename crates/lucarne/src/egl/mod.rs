//! EGL and OpenGL: frames as textures.
//!
//! [`Adapter`] lists the EGL devices of the machine; [`Device`] is a context that is open, the caller's own or one
//! of Lucarne's. Frames that reach this backend have passed [`FrameLayout::new`](crate::FrameLayout::new): geometry
//! is not checked again here, the driver's answers are.
//!
//! A context is current on one thread, so nothing here can be sent to another. Every call that calls into the context
//! checks that it is current; [`Device::fence`], which ends a turn, always does.

mod adapter;
mod color;
mod device;
mod export;
mod extensions;
mod glx;
mod handoff;
mod host;
mod image;
mod import;
mod inner;
mod offer;
mod pass;
mod pixels;
mod probe;
mod program;
mod raw;
mod semaphore;
mod srgb;
mod state;
mod support;
mod texture;
mod thread;
mod turn;
mod ycbcr;

pub use adapter::Adapter;
pub use device::Device;
pub use semaphore::Semaphore;
pub use texture::Texture;
pub use ycbcr::{YcbcrTexture, YcbcrToRgb};
