//! The two ends of a case: something that writes frames, and something that reads them.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use lucarne::negotiate::Agreement;
use lucarne::{Fence, Frame, Offer, Result, Usage, egl, vulkan};

/// A deadline that no working machine misses, not even an emulated one.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// The API at one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[non_exhaustive]
pub enum Api {
    /// Vulkan.
    Vulkan,
    /// OpenGL (ES) through EGL.
    #[serde(rename = "OpenGL")]
    OpenGl,
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Vulkan => "Vulkan",
            Self::OpenGl => "OpenGL",
        })
    }
}

/// Something that makes frames.
pub trait Producer {
    /// Which API it is.
    fn api(&self) -> Api;
    /// What it does with its images.
    fn usage(&self) -> Usage;
    /// What it can make.
    ///
    /// # Errors
    ///
    /// The driver's.
    fn offer(&self) -> Result<Offer>;
    /// Makes one.
    ///
    /// # Errors
    ///
    /// The driver's.
    fn export<'a>(&'a self, agreement: &Agreement) -> Result<Box<dyn Source + 'a>>;
}

/// An image to write.
pub trait Source {
    /// The frame it is.
    fn frame(&self) -> &Frame;
    /// Writes rows without padding, after `gate`; the result gates the reader.
    ///
    /// # Errors
    ///
    /// The driver's.
    fn write(&self, gate: &Fence, pixels: &[u8]) -> Result<Fence>;
}

/// Something that reads frames.
pub trait Consumer {
    /// Which API it is.
    fn api(&self) -> Api;
    /// What it does with its images.
    fn usage(&self) -> Usage;
    /// What it can read.
    ///
    /// # Errors
    ///
    /// The driver's.
    fn offer(&self) -> Result<Offer>;
    /// Imports one.
    ///
    /// # Errors
    ///
    /// The driver's.
    fn import<'a>(&'a self, frame: &Frame, agreement: &Agreement) -> Result<Box<dyn Sink + 'a>>;
}

/// An image to read.
pub trait Sink {
    /// Reads all pixels, after `acquire`; the fence gates the next writer.
    ///
    /// # Errors
    ///
    /// The driver's.
    fn read(&self, acquire: &Fence) -> Result<(Pixels, Fence)>;
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Pixels {
    /// The frame's bytes, rows without padding.
    Bytes(Vec<u8>),
    /// What a sampler returns, red, green, blue, alpha.
    Sampled(Vec<[f32; 4]>),
}

impl Producer for vulkan::Device {
    fn api(&self) -> Api {
        Api::Vulkan
    }

    fn usage(&self) -> Usage {
        Usage::TRANSFER_DESTINATION
    }

    fn offer(&self) -> Result<Offer> {
        Self::offer(self, Usage::TRANSFER_DESTINATION)
    }

    fn export<'a>(&'a self, agreement: &Agreement) -> Result<Box<dyn Source + 'a>> {
        let image = Self::export(self, agreement)?;
        Ok(Box::new(VulkanImage {
            device: self,
            image,
        }))
    }
}

impl Consumer for vulkan::Device {
    fn api(&self) -> Api {
        Api::Vulkan
    }

    fn usage(&self) -> Usage {
        Usage::TRANSFER_SOURCE
    }

    fn offer(&self) -> Result<Offer> {
        Self::offer(self, Usage::TRANSFER_SOURCE)
    }

    fn import<'a>(&'a self, frame: &Frame, agreement: &Agreement) -> Result<Box<dyn Sink + 'a>> {
        // Memory objects must be imported for what both sides do.
        let usage = match agreement.path() {
            lucarne::MemoryPath::OpaqueFd => agreement.producer | agreement.consumer,
            _ => agreement.consumer,
        };
        let image = Self::import(self, frame, usage)?;
        Ok(Box::new(VulkanImage {
            device: self,
            image,
        }))
    }
}

struct VulkanImage<'a> {
    device: &'a vulkan::Device,
    image: vulkan::Image,
}

impl Source for VulkanImage<'_> {
    fn frame(&self) -> &Frame {
        self.image.frame()
    }

    fn write(&self, gate: &Fence, pixels: &[u8]) -> Result<Fence> {
        self.device.upload(&self.image, gate, TIMEOUT, pixels)
    }
}

impl Sink for VulkanImage<'_> {
    fn read(&self, acquire: &Fence) -> Result<(Pixels, Fence)> {
        let pixels = self.device.download(&self.image, acquire, TIMEOUT)?;
        Ok((Pixels::Bytes(pixels), Fence::Signaled))
    }
}

impl Producer for egl::Device {
    fn api(&self) -> Api {
        Api::OpenGl
    }

    fn usage(&self) -> Usage {
        Usage::RENDER
    }

    fn offer(&self) -> Result<Offer> {
        self.make_current()?;
        Self::offer(self)
    }

    fn export<'a>(&'a self, agreement: &Agreement) -> Result<Box<dyn Source + 'a>> {
        self.make_current()?;
        let texture = Rc::new(Self::export(self, agreement)?);
        Ok(Box::new(GlTexture {
            device: self,
            texture,
        }))
    }
}

impl Consumer for egl::Device {
    fn api(&self) -> Api {
        Api::OpenGl
    }

    fn usage(&self) -> Usage {
        Usage::SAMPLE
    }

    fn offer(&self) -> Result<Offer> {
        self.make_current()?;
        Self::offer(self)
    }

    fn import<'a>(&'a self, frame: &Frame, _: &Agreement) -> Result<Box<dyn Sink + 'a>> {
        self.make_current()?;
        let texture = Self::import(self, frame)?;
        Ok(Box::new(GlTexture {
            device: self,
            texture,
        }))
    }
}

struct GlTexture<'a> {
    device: &'a egl::Device,
    texture: Rc<egl::Texture>,
}

impl Source for GlTexture<'_> {
    fn frame(&self) -> &Frame {
        self.texture.frame()
    }

    fn write(&self, gate: &Fence, pixels: &[u8]) -> Result<Fence> {
        self.device.make_current()?;
        self.device.wait(gate, TIMEOUT)?;
        self.device.upload(&self.texture, pixels)?;
        self.device.fence(TIMEOUT)
    }
}

impl Sink for GlTexture<'_> {
    fn read(&self, acquire: &Fence) -> Result<(Pixels, Fence)> {
        self.device.make_current()?;
        self.device.read(&self.texture, acquire, TIMEOUT)?;
        let pixels = self.device.download(&self.texture)?;
        Ok((Pixels::Sampled(pixels), self.device.fence(TIMEOUT)?))
    }
}

impl Drop for GlTexture<'_> {
    fn drop(&mut self) {
        // Textures are deleted where their context is current; another case may have made its own current.
        let _current = self.device.make_current();
    }
}
