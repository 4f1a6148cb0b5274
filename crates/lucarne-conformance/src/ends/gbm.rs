//! Memory that GBM has allocated, written by Vulkan.

use lucarne::negotiate::Agreement;
use lucarne::{Fence, Frame, Offer, Result, Usage, gbm, vulkan};

use super::vulkan::VulkanImage;
use super::{Api, Begun, Producer, Source};

pub(crate) struct GbmEnd<'d> {
    pub(crate) allocator: &'d gbm::Device,
    pub(crate) writer: &'d vulkan::Device,
}

impl Producer for GbmEnd<'_> {
    fn api(&self) -> Api {
        Api::Gbm
    }

    fn name(&self) -> String {
        format!("{} on {}", self.allocator.backend(), self.allocator.id())
    }

    fn usage(&self) -> Usage {
        Usage::TRANSFER_DESTINATION
    }

    fn offer(&self) -> Result<Offer> {
        let usage = Usage::TRANSFER_DESTINATION;
        Ok(self.allocator.offer_for(&self.writer.offer(usage)?, usage))
    }

    fn export<'a>(&'a self, agreement: &Agreement) -> Result<Box<dyn Source + 'a>> {
        let buffer = self.allocator.export(agreement)?;
        let image = self.writer.import(buffer.frame(), agreement.producer)?;
        Ok(Box::new(Allocated {
            image: VulkanImage::boxed(self.writer, image),
            _buffer: buffer,
        }))
    }

    fn adopt<'a>(&'a self, frame: &Frame) -> Result<Box<dyn Source + 'a>> {
        let image = self.writer.import(frame, Usage::TRANSFER_DESTINATION)?;
        Ok(VulkanImage::boxed(self.writer, image))
    }
}

struct Allocated<'a> {
    // Dropped in this order.
    image: Box<dyn Source + 'a>,
    _buffer: gbm::Buffer,
}

impl Source for Allocated<'_> {
    fn frame(&self) -> &Frame {
        self.image.frame()
    }

    fn write(&self, gate: &Fence, pixels: &[u8]) -> Result<Fence> {
        self.image.write(gate, pixels)
    }

    fn begin(&self, gate: &Fence, pixels: &[u8], times: u32) -> Result<Begun<'_>> {
        self.image.begin(gate, pixels, times)
    }

    fn copies(&self) -> u32 {
        self.image.copies()
    }
}
