//! Textures of wgpu's in memory that others made.

use lucarne::{Components, Frame, Requirement, Result, Usage};

use crate::convert;
use crate::device::Device;
use crate::error::unsupported;
use crate::texture::Texture;

impl Device {
    /// Makes a texture over a frame's memory, to be used as `usage` says. Make it once for each frame of a pool or a stream,
    /// and keep it.
    ///
    /// The frame's descriptors are lent. On the opaque-fd path `usage` must be what both sides do together
    /// (`agreement.producer | agreement.consumer`).
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`](lucarne::Error::Unsupported) for a format or use that wgpu does not have on this device, and for
    /// host memory that would have to be copied; [`Error::Invalid`](lucarne::Error::Invalid) for a frame larger than wgpu's
    /// textures may be; otherwise as [`vulkan::Device::import`](lucarne::vulkan::Device::import).
    pub fn import(&self, frame: &Frame, usage: Usage) -> Result<Texture> {
        let layout = frame.layout();
        let wanted = (layout.format(), convert::texture_format(layout.format()));
        let format = self.texture_format(wanted, layout.extent(), usage)?;
        let image = self.inner().vulkan.import(frame, usage)?;
        Texture::new(self, image, format, usage)
    }

    /// Makes a texture of the format's `Srgb` sibling over a frame's memory: samplers and blending work with light, and the
    /// memory keeps its encoded bytes. Otherwise as [`Device::import`].
    ///
    /// Import a frame that this device itself exported to draw to it so.
    ///
    /// # Errors
    ///
    /// As [`Device::import`] and [`vulkan::Device::import_srgb`](lucarne::vulkan::Device::import_srgb): for a frame whose colour
    /// description is not sRGB's, for opaque memory, and for formats without such a sibling.
    pub fn import_srgb(&self, frame: &Frame, usage: Usage) -> Result<Texture> {
        let layout = frame.layout();
        let linear = convert::texture_format(layout.format());
        let encoded = linear.map(|one| one.add_srgb_suffix());
        if encoded.is_some_and(|one| !one.is_srgb()) {
            let what = format!("decoding {layout} when sampling");
            let reason = "wgpu has no sRGB sibling of the format";
            return Err(unsupported(what, Requirement::other(reason)));
        }
        let wanted = (layout.format(), encoded);
        let format = self.texture_format(wanted, layout.extent(), usage)?;
        let image = self.inner().vulkan.import_srgb(frame, usage)?;
        Texture::new(self, image, format, usage)
    }

    /// Makes a texture of each plane of a `Y'CbCr` frame: what a sampler reads of them are codes, not colours.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use lucarne::{Fence, Frame, Result, Usage};
    /// # use lucarne_wgpu::Device;
    /// # fn show(device: &Device, frame: &Frame, ready: &Fence, convert: impl Fn(&[&wgpu::Texture]) -> wgpu::CommandBuffer) -> Result<Fence> {
    /// let planes = device.import_planes(frame, Usage::SAMPLE)?;
    /// let textures: Vec<_> = planes.textures().iter().map(|one| one.texture()).collect();
    /// let fence = device.submit(planes.textures(), ready, Duration::from_secs(1), [convert(&textures)])?;
    /// # Ok(fence)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Frame::components`] and of [`Device::import`]. Planes of more than 8 bits need a device with
    /// `Features::TEXTURE_FORMAT_16BIT_NORM`.
    pub fn import_planes(&self, frame: &Frame, usage: Usage) -> Result<Planes> {
        let components = frame.components()?;
        let frames = components.frames().iter();
        let textures = frames.map(|plane| self.import(plane, usage));
        Ok(Planes {
            textures: textures.collect::<Result<_>>()?,
            components,
        })
    }
}

/// A `Y'CbCr` frame as one texture for each of its planes. One turn covers them all.
#[derive(Debug)]
pub struct Planes {
    textures: Vec<Texture>,
    components: Components,
}

impl Planes {
    /// The textures, in the order of the format's planes.
    pub fn textures(&self) -> &[Texture] {
        &self.textures
    }

    /// In which of them luma, Cb and Cr are, and how their codes count.
    /// [`YcbcrConversion::rgb_matrix`](lucarne::color::YcbcrConversion::rgb_matrix) makes colours of them.
    pub fn components(&self) -> &Components {
        &self.components
    }
}
