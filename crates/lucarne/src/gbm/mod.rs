//! GBM: an allocator of dma-bufs, for devices that can import memory but not export it.
//!
//! [`Adapter`] lists the DRM devices of the machine; [`Device`] is one that is open, the caller's `gbm_device` or one
//! of Lucarne's. It draws nothing: [`Device::offer_for`] turns the offer of the API that will draw into one whose
//! memory comes from here, and both sides import what [`Device::export`] makes of the agreement.
//!
//! libgbm is loaded when it is first needed, see [`Adapter::probe`]. It promises nothing about threads, so a device
//! makes one call at a time.

mod adapter;
mod allocate;
mod buffer;
mod device;
mod export;
mod handoff;
mod inner;
mod offer;
mod raw;
mod sysfs;

pub use adapter::Adapter;
pub use buffer::Buffer;
pub use device::Device;
