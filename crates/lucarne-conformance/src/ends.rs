//! The two ends of a case: something that writes frames, and something that reads them.

mod cpu;
mod gbm;
mod opengl;
mod vulkan;

use std::fmt;
use std::time::Duration;

use lucarne::negotiate::Agreement;
use lucarne::{Fence, Frame, Offer, Result, Usage};

pub(crate) use cpu::CpuEnd;
pub(crate) use gbm::GbmEnd;
pub(crate) use opengl::GlEnd;
pub(crate) use vulkan::VulkanEnd;

/// A deadline that no working machine misses, not even an emulated one.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// The API at one end.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[non_exhaustive]
pub enum Api {
    /// Vulkan.
    Vulkan,
    /// OpenGL (ES) through EGL.
    #[serde(rename = "OpenGL")]
    OpenGl,
    /// Vulkan, in memory that GBM has allocated.
    #[serde(rename = "GBM")]
    Gbm,
    /// The processor.
    #[serde(rename = "CPU")]
    Cpu,
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Vulkan => "Vulkan",
            Self::OpenGl => "OpenGL",
            Self::Gbm => "GBM",
            Self::Cpu => "CPU",
        })
    }
}

/// Something that makes frames.
pub(crate) trait Producer {
    /// Which API it is.
    fn api(&self) -> Api;
    /// Which device.
    fn name(&self) -> String;
    /// What it does with its images.
    fn usage(&self) -> Usage;
    /// What it can make.
    fn offer(&self) -> Result<Offer>;
    /// Makes one.
    fn export<'a>(&'a self, agreement: &Agreement) -> Result<Box<dyn Source + 'a>>;
    /// Takes one that others have allocated.
    fn adopt<'a>(&'a self, frame: &Frame) -> Result<Box<dyn Source + 'a>>;
}

/// An image to write.
pub(crate) trait Source {
    /// The frame it is.
    fn frame(&self) -> &Frame;
    /// Writes rows without padding, after `gate`; the result gates the reader.
    fn write(&self, gate: &Fence, pixels: &[u8]) -> Result<Fence>;
    /// As `write`, and does not wait for the work, which is done `times` times. All but the last write other bytes, which a
    /// reader who comes early sees. The CPU writes once: it has finished when this returns.
    fn begin(&self, gate: &Fence, pixels: &[u8], times: u32) -> Result<Begun<'_>>;
    /// How often it copies each frame, beyond what `write` copies from its argument.
    fn copies(&self) -> u32;
}

/// A frame that is being written.
pub(crate) struct Begun<'a> {
    /// Gates the reader.
    pub(crate) fence: Fence,
    /// What the work reads from, until it has finished.
    pub(crate) _upload: Option<lucarne::vulkan::Upload<'a>>,
}

/// Something that reads frames.
pub(crate) trait Consumer {
    /// Which API it is.
    fn api(&self) -> Api;
    /// Which device.
    fn name(&self) -> String;
    /// What it does with its images.
    fn usage(&self) -> Usage;
    /// What it can read.
    fn offer(&self) -> Result<Offer>;
    /// Imports one.
    fn import<'a>(&'a self, frame: &Frame, agreement: &Agreement) -> Result<Box<dyn Sink + 'a>>;
}

/// An image to read.
pub(crate) trait Sink {
    /// Reads all pixels, after `acquire`; the fence gates the next writer.
    fn read(&self, acquire: &Fence) -> Result<(Pixels, Fence)>;
    /// How often it copies each frame, beyond what `read` copies into its result.
    fn copies(&self) -> u32;
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Pixels {
    /// The frame's bytes, rows without padding.
    Bytes(Vec<u8>),
    /// What a sampler returns, red, green, blue, alpha.
    Sampled(Vec<[f32; 4]>),
}
