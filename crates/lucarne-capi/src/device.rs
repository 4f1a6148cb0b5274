//! One device for three APIs.

use std::rc::Rc;
use std::sync::Arc;

use lucarne::{Agreement, Frame, Offer, Requirement, Usage, cpu, egl, gbm, vulkan};

use crate::convert;
use crate::failure::{Failure, Result};
use crate::ffi::{
    LUCARNE_BACKEND_CPU, LUCARNE_BACKEND_EGL, LUCARNE_BACKEND_GBM, LUCARNE_BACKEND_VULKAN,
};
use crate::image::Image;

/// An open device. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) enum Device {
    Vulkan(vulkan::Device),
    Gl(Rc<egl::Device>),
    Cpu(cpu::Device),
    Gbm(gbm::Device),
}

impl Device {
    /// The CPU, with the first of these allocators that opens.
    pub(crate) fn open_cpu(allocator: u32) -> Result<Self> {
        let adapters = convert::allocators(allocator)?;
        let mut refused = None;
        for adapter in adapters {
            match adapter.open() {
                Ok(device) => return Ok(Self::Cpu(device)),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        let none = || Failure::argument("allocator", allocator, "one that this machine has");
        Err(refused.map_or_else(none, Failure::from))
    }

    /// A Vulkan device of Lucarne's own: a GPU before a software rasteriser.
    pub(crate) fn open_vulkan() -> Result<Self> {
        let instance = vulkan::Instance::new(&vulkan::InstanceOptions::default())?;
        let adapters = instance.adapters()?.into_iter();
        let best = adapters.min_by_key(|adapter| adapter.id().software);
        // `adapters` answers with an error where it would list nothing.
        let best = best.ok_or_else(|| no_device("Vulkan"))?;
        Ok(Self::Vulkan(best.open()?))
    }

    /// A context of Lucarne's own without a window, current on this thread: a GPU before a software rasteriser.
    pub(crate) fn open_gl() -> Result<Self> {
        let adapters = egl::Adapter::enumerate()?.into_iter();
        let best = adapters.min_by_key(egl::Adapter::is_software);
        let best = best.ok_or_else(|| no_device("EGL"))?;
        Ok(Self::Gl(Rc::new(best.open()?)))
    }

    /// libgbm on the first DRM node where it allocates.
    pub(crate) fn open_gbm() -> Result<Self> {
        let mut refused = None;
        for adapter in gbm::Adapter::enumerate()? {
            match adapter.open() {
                Ok(device) => return Ok(Self::Gbm(device)),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.map_or_else(|| no_device("GBM"), Failure::from))
    }

    pub(crate) fn backend(&self) -> u32 {
        match self {
            Self::Vulkan(_) => LUCARNE_BACKEND_VULKAN,
            Self::Gl(_) => LUCARNE_BACKEND_EGL,
            Self::Cpu(_) => LUCARNE_BACKEND_CPU,
            Self::Gbm(_) => LUCARNE_BACKEND_GBM,
        }
    }

    pub(crate) fn offer(&self, usage: Usage) -> Result<Offer> {
        Ok(match self {
            Self::Vulkan(device) => device.offer(usage),
            Self::Gl(device) => device.offer(usage),
            Self::Cpu(device) => device.offer(usage),
            Self::Gbm(device) => device.offer(usage),
        }?)
    }

    /// In the core's own error, as a stream wants it of its allocator.
    pub(crate) fn export(&self, agreement: &Agreement) -> lucarne::Result<Image> {
        Ok(match self {
            Self::Vulkan(device) => {
                Image::Vulkan(device.clone(), Box::new(device.export(agreement)?))
            }
            Self::Gl(device) => Image::Gl(Rc::clone(device), Rc::new(device.export(agreement)?)),
            Self::Cpu(device) => Image::Cpu(Arc::new(device.export(agreement)?)),
            Self::Gbm(device) => Image::Gbm(Box::new(device.export(agreement)?)),
        })
    }

    /// `usage` is for Vulkan: a texture is sampled, and the CPU reads and writes.
    pub(crate) fn import(&self, frame: &Frame, usage: Usage) -> lucarne::Result<Image> {
        Ok(match self {
            Self::Vulkan(device) => {
                Image::Vulkan(device.clone(), Box::new(device.import(frame, usage)?))
            }
            Self::Gl(device) => Image::Gl(Rc::clone(device), device.import(frame)?),
            Self::Cpu(device) => Image::Cpu(Arc::new(device.import(frame)?)),
            Self::Gbm(_) => {
                return Err(lucarne::Error::Unsupported {
                    what: "importing a frame into GBM".to_owned(),
                    missing: vec![Requirement::other(
                        "libgbm allocates only: import the frame into a device that draws or shows",
                    )],
                });
            }
        })
    }

    pub(crate) fn vulkan(&self) -> Result<&vulkan::Device> {
        match self {
            Self::Vulkan(device) => Ok(device),
            other => Err(Failure::argument("device", other.name(), "Vulkan's")),
        }
    }

    pub(crate) fn gl(&self) -> Result<&Rc<egl::Device>> {
        match self {
            Self::Gl(device) => Ok(device),
            other => Err(Failure::argument("device", other.name(), "EGL's")),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Vulkan(_) => "Vulkan's",
            Self::Gl(_) => "EGL's",
            Self::Cpu(_) => "the CPU's",
            Self::Gbm(_) => "GBM's",
        }
    }

    pub(crate) fn gbm(&self) -> Result<&gbm::Device> {
        match self {
            Self::Gbm(device) => Ok(device),
            other => Err(Failure::argument("device", other.name(), "GBM's")),
        }
    }
}

fn no_device(api: &str) -> Failure {
    let message = format!("{api} lists no device");
    Failure::new(crate::ffi::lucarne_status::Unsupported, message)
}
