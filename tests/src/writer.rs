//! Copies bytes into a shared image, as a producer would render.

use lucarne::vulkan::{Device, Image};
use lucarne::{Fence, Result};

use crate::TIMEOUT;

/// What writes patterns.
#[derive(Debug)]
pub struct Writer {
    device: Device,
}

impl Writer {
    /// A writer on this device.
    pub fn new(device: &Device) -> Self {
        Self {
            device: device.clone(),
        }
    }

    /// Writes `bytes`, rows without padding, into `image`; returns the acquire fence.
    ///
    /// # Errors
    ///
    /// Those of [`Device::upload`].
    pub fn write(&self, image: &Image, gate: &Fence, bytes: &[u8]) -> Result<Fence> {
        self.device.upload(image, gate, TIMEOUT, bytes)
    }
}
