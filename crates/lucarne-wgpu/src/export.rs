//! Textures of wgpu's whose memory others can use.

use lucarne::{Agreement, Result};

use crate::convert;
use crate::device::Device;
use crate::texture::Texture;

impl Device {
    /// Makes a texture as agreed, to be used as the agreement says that the producer does, and exports its memory.
    ///
    /// The frame owns the exported descriptor. Nothing is copied, neither here nor per frame. Its first contents are
    /// undefined.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`](lucarne::Error::Unsupported) for a format or use that wgpu does not have on this device, and
    /// where the memory would have to be copied; [`Error::Invalid`](lucarne::Error::Invalid) when this device does not offer
    /// what was agreed; otherwise as [`vulkan::Device::export`](lucarne::vulkan::Device::export).
    pub fn export(&self, agreement: &Agreement) -> Result<Texture> {
        let wanted = (agreement.format, convert::texture_format(agreement.format));
        let format = self.texture_format(wanted, agreement.extent, agreement.producer)?;
        let image = self.inner().vulkan.export(agreement)?;
        Texture::new(self, image, format, agreement.producer)
    }
}
