//! Vulkan, copying in and out of its images.

use lucarne::negotiate::Agreement;
use lucarne::{Fence, Frame, MemoryPath, Offer, Result, Usage, vulkan};

use super::{Api, Begun, Consumer, Pixels, Producer, Sink, Source, TIMEOUT};

pub(crate) struct VulkanEnd<'d>(pub(crate) &'d vulkan::Device);

impl Producer for VulkanEnd<'_> {
    fn api(&self) -> Api {
        Api::Vulkan
    }

    fn name(&self) -> String {
        self.0.adapter().name().to_owned()
    }

    fn usage(&self) -> Usage {
        Usage::TRANSFER_DESTINATION
    }

    fn offer(&self) -> Result<Offer> {
        self.0.offer(Usage::TRANSFER_DESTINATION)
    }

    fn export<'a>(&'a self, agreement: &Agreement) -> Result<Box<dyn Source + 'a>> {
        Ok(VulkanImage::boxed(self.0, self.0.export(agreement)?))
    }

    fn adopt<'a>(&'a self, frame: &Frame) -> Result<Box<dyn Source + 'a>> {
        let image = self.0.import(frame, Usage::TRANSFER_DESTINATION)?;
        Ok(VulkanImage::boxed(self.0, image))
    }
}

impl Consumer for VulkanEnd<'_> {
    fn api(&self) -> Api {
        Api::Vulkan
    }

    fn name(&self) -> String {
        self.0.adapter().name().to_owned()
    }

    fn usage(&self) -> Usage {
        Usage::TRANSFER_SOURCE
    }

    fn offer(&self) -> Result<Offer> {
        self.0.offer(Usage::TRANSFER_SOURCE)
    }

    fn import<'a>(&'a self, frame: &Frame, agreement: &Agreement) -> Result<Box<dyn Sink + 'a>> {
        // Memory objects must be imported for what both sides do.
        let usage = match agreement.path() {
            MemoryPath::OpaqueFd => agreement.producer | agreement.consumer,
            _ => agreement.consumer,
        };
        let image = self.0.import(frame, usage)?;
        Ok(Box::new(VulkanImage {
            device: self.0,
            image,
        }))
    }
}

pub(super) struct VulkanImage<'a> {
    device: &'a vulkan::Device,
    image: vulkan::Image,
}

impl<'a> VulkanImage<'a> {
    pub(super) fn boxed(device: &'a vulkan::Device, image: vulkan::Image) -> Box<dyn Source + 'a> {
        Box::new(Self { device, image })
    }
}

impl Source for VulkanImage<'_> {
    fn frame(&self) -> &Frame {
        self.image.frame()
    }

    fn write(&self, gate: &Fence, pixels: &[u8]) -> Result<Fence> {
        self.device.upload(&self.image, gate, TIMEOUT, pixels)
    }

    fn begin(&self, gate: &Fence, pixels: &[u8], times: u32) -> Result<Begun<'_>> {
        let upload = self
            .device
            .begin_upload(&self.image, gate, TIMEOUT, pixels, times)?;
        Ok(Begun {
            fence: upload.fence().clone(),
            _upload: Some(upload),
        })
    }

    fn copies(&self) -> u32 {
        self.image.copies_per_frame()
    }
}

impl Sink for VulkanImage<'_> {
    fn read(&self, acquire: &Fence) -> Result<(Pixels, Fence)> {
        let pixels = self.device.download(&self.image, acquire, TIMEOUT)?;
        Ok((Pixels::Bytes(pixels), Fence::Signaled))
    }

    fn copies(&self) -> u32 {
        self.image.copies_per_frame()
    }
}
