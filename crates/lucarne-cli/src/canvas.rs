//! Images that a producer fills, of whichever API it is asked for.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use lucarne::{Agreement, Fence, Format, Frame, Offer, Usage, cpu, egl, vulkan};
use serde::Serialize;

use crate::Failure;

/// Who draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DrawApi {
    /// Images of Vulkan's, in any memory.
    Vulkan,
    /// Textures of OpenGL's, in dma-bufs.
    Gl,
    /// The CPU's own memory: dma-bufs where there is /dev/udmabuf or a DMA heap, else host memory.
    Cpu,
}

impl fmt::Display for DrawApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vulkan => "Vulkan",
            Self::Gl => "OpenGL",
            Self::Cpu => "the CPU",
        })
    }
}

/// An open device.
#[derive(Debug)]
pub(crate) enum Canvas {
    Vulkan(vulkan::Device),
    Gl(egl::Device),
    Cpu(cpu::Device),
}

/// One of its images.
#[derive(Debug)]
pub(crate) enum Image {
    Vulkan(Box<vulkan::Image>),
    Gl(egl::Texture),
    Cpu(cpu::Image),
}

impl Canvas {
    /// The API that was asked for; or the first that can share frames of `format`, with the reasons against those before it.
    pub(crate) fn open(
        asked: Option<DrawApi>,
        format: Option<Format>,
    ) -> Result<(Self, Vec<String>), Failure> {
        if let Some(api) = asked {
            let canvas = Self::usable(api, format).map_err(|error| format!("{api}: {error}"))?;
            return Ok((canvas, Vec::new()));
        }
        let mut reasons = Vec::new();
        for api in [DrawApi::Vulkan, DrawApi::Gl, DrawApi::Cpu] {
            match Self::usable(api, format) {
                Ok(canvas) => return Ok((canvas, reasons)),
                Err(error) => reasons.push(format!("{api}: {error}")),
            }
        }
        Err(format!("nothing to draw with: {}", reasons.join("; ")).into())
    }

    fn usable(api: DrawApi, format: Option<Format>) -> Result<Self, Failure> {
        let canvas = match api {
            DrawApi::Vulkan => Self::Vulkan(open_vulkan()?),
            DrawApi::Gl => Self::Gl(open_gl()?),
            DrawApi::Cpu => Self::Cpu(open_cpu()?),
        };
        let offer = canvas.offer()?;
        let wanted = |entry: &lucarne::negotiate::OfferEntry| {
            entry.exportable
                && entry.usage.contains(canvas.usage())
                && format.is_none_or(|format| entry.format == format)
        };
        if offer.standing().any(wanted) {
            return Ok(canvas);
        }
        let what = format.map_or("frames".to_owned(), |format| format!("frames of {format}"));
        Err(format!(
            "{} cannot make {what} for others; `lucarne caps` lists what it can",
            offer.name
        )
        .into())
    }

    pub(crate) fn api(&self) -> DrawApi {
        match self {
            Self::Vulkan(_) => DrawApi::Vulkan,
            Self::Gl(_) => DrawApi::Gl,
            Self::Cpu(_) => DrawApi::Cpu,
        }
    }

    /// What is done with its images.
    pub(crate) fn usage(&self) -> Usage {
        match self {
            Self::Vulkan(_) => Usage::TRANSFER_DESTINATION,
            Self::Gl(_) | Self::Cpu(_) => Usage::RENDER,
        }
    }

    pub(crate) fn offer(&self) -> lucarne::Result<Offer> {
        let usage = self.usage();
        match self {
            Self::Vulkan(device) => device.offer(usage),
            Self::Gl(device) => device.offer(usage),
            Self::Cpu(device) => device.offer(usage),
        }
    }

    pub(crate) fn export(&self, agreement: &Agreement) -> lucarne::Result<(Image, Frame)> {
        let image = match self {
            Self::Vulkan(device) => Image::Vulkan(Box::new(device.export(agreement)?)),
            Self::Gl(device) => Image::Gl(device.export(agreement)?),
            Self::Cpu(device) => Image::Cpu(device.export(agreement)?),
        };
        let frame = image.frame().clone();
        Ok((image, frame))
    }

    /// Fills an image with pixels, rows without padding.
    pub(crate) fn write(
        &self,
        image: &Image,
        gate: &Fence,
        timeout: Duration,
        pixels: &[u8],
    ) -> Result<Fence, Failure> {
        match (self, image) {
            (Self::Vulkan(device), Image::Vulkan(image)) => {
                Ok(device.upload(image, gate, timeout, pixels)?)
            }
            (Self::Gl(device), Image::Gl(texture)) => {
                device.wait(gate, timeout)?;
                device.upload(texture, pixels)?;
                Ok(device.fence(timeout)?)
            }
            (Self::Cpu(_), Image::Cpu(image)) => {
                Ok(image.write(gate, timeout, |rows| rows.write_plane(0, pixels))?)
            }
            _ => Err("an image of another device".into()),
        }
    }
}

impl Image {
    pub(crate) fn frame(&self) -> &Frame {
        match self {
            Self::Vulkan(image) => image.frame(),
            Self::Gl(texture) => texture.frame(),
            Self::Cpu(image) => image.frame(),
        }
    }
}

/// A GPU before a software rasteriser.
pub(crate) fn open_vulkan() -> Result<vulkan::Device, Failure> {
    let instance = vulkan::Instance::new(&vulkan::InstanceOptions::default())?;
    let mut adapters = instance.adapters()?;
    adapters.sort_by_key(|adapter| adapter.id().software);
    let first = adapters.first().ok_or("no Vulkan device")?;
    Ok(first.open()?)
}

fn open_gl() -> Result<egl::Device, Failure> {
    let mut adapters = egl::Adapter::enumerate()?;
    adapters.sort_by_key(egl::Adapter::is_software);
    let first = adapters.first().ok_or("no EGL device")?;
    let device = first.open()?;
    device.make_current()?;
    Ok(device)
}

fn open_cpu() -> Result<cpu::Device, Failure> {
    let adapters = cpu::Adapter::enumerate().into_iter();
    let mut usable = adapters.filter(|adapter| adapter.support().is_yes());
    Ok(usable.next().ok_or("no memory to draw into")?.open()?)
}
