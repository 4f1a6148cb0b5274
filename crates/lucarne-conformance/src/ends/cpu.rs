//! The processor, through mappings.

use lucarne::negotiate::Agreement;
use lucarne::{Fence, Frame, Offer, Result, Usage, cpu};

use super::{Api, Begun, Consumer, Pixels, Producer, Sink, Source, TIMEOUT};

pub(crate) struct CpuEnd<'d>(pub(crate) &'d cpu::Device);

impl Producer for CpuEnd<'_> {
    fn api(&self) -> Api {
        Api::Cpu
    }

    fn name(&self) -> String {
        self.0.adapter().allocator().to_string()
    }

    fn usage(&self) -> Usage {
        Usage::TRANSFER_DESTINATION
    }

    fn offer(&self) -> Result<Offer> {
        self.0.offer(Producer::usage(self))
    }

    fn export<'a>(&'a self, agreement: &Agreement) -> Result<Box<dyn Source + 'a>> {
        Ok(Box::new(Mapped(self.0.export(agreement)?)))
    }

    fn adopt<'a>(&'a self, frame: &Frame) -> Result<Box<dyn Source + 'a>> {
        Ok(Box::new(Mapped(self.0.import(frame)?)))
    }
}

impl Consumer for CpuEnd<'_> {
    fn api(&self) -> Api {
        Api::Cpu
    }

    fn name(&self) -> String {
        self.0.adapter().allocator().to_string()
    }

    fn usage(&self) -> Usage {
        Usage::TRANSFER_SOURCE
    }

    fn offer(&self) -> Result<Offer> {
        self.0.offer(Consumer::usage(self))
    }

    fn import<'a>(&'a self, frame: &Frame, _: &Agreement) -> Result<Box<dyn Sink + 'a>> {
        Ok(Box::new(Mapped(self.0.import(frame)?)))
    }
}

struct Mapped(cpu::Image);

impl Source for Mapped {
    fn frame(&self) -> &Frame {
        self.0.frame()
    }

    fn write(&self, gate: &Fence, pixels: &[u8]) -> Result<Fence> {
        self.0
            .write(gate, TIMEOUT, |rows| rows.write_plane(0, pixels))
    }

    fn begin(&self, gate: &Fence, pixels: &[u8], _: u32) -> Result<Begun<'_>> {
        Ok(Begun {
            fence: self.write(gate, pixels)?,
            _upload: None,
        })
    }

    fn copies(&self) -> u32 {
        // The one that `write` makes of its argument.
        self.0.copies_per_frame() - 1
    }
}

impl Sink for Mapped {
    fn read(&self, acquire: &Fence) -> Result<(Pixels, Fence)> {
        let mut pixels = vec![0; self.0.plane_bytes(0)];
        let release = self
            .0
            .read(acquire, TIMEOUT, |rows| rows.read_plane(0, &mut pixels))?;
        Ok((Pixels::Bytes(pixels), release))
    }

    fn copies(&self) -> u32 {
        self.0.copies_per_frame() - 1
    }
}
