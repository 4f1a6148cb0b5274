//! OpenGL, writing textures and sampling them.

use std::rc::Rc;

use lucarne::negotiate::Agreement;
use lucarne::{Fence, Frame, Offer, Result, Usage, egl};

use super::{Api, Begun, Consumer, Pixels, Producer, Sink, Source, TIMEOUT};

pub(crate) struct GlEnd<'d>(pub(crate) &'d egl::Device);

impl Producer for GlEnd<'_> {
    fn api(&self) -> Api {
        Api::OpenGl
    }

    fn name(&self) -> String {
        self.0.renderer().to_owned()
    }

    fn usage(&self) -> Usage {
        Usage::RENDER
    }

    fn offer(&self) -> Result<Offer> {
        self.0.make_current()?;
        self.0.offer(Producer::usage(self))
    }

    fn export<'a>(&'a self, agreement: &Agreement) -> Result<Box<dyn Source + 'a>> {
        self.0.make_current()?;
        let texture = Rc::new(self.0.export(agreement)?);
        Ok(Box::new(GlTexture {
            device: self.0,
            texture,
        }))
    }

    fn adopt<'a>(&'a self, frame: &Frame) -> Result<Box<dyn Source + 'a>> {
        self.0.make_current()?;
        let texture = self.0.import(frame)?;
        Ok(Box::new(GlTexture {
            device: self.0,
            texture,
        }))
    }
}

impl Consumer for GlEnd<'_> {
    fn api(&self) -> Api {
        Api::OpenGl
    }

    fn name(&self) -> String {
        self.0.renderer().to_owned()
    }

    fn usage(&self) -> Usage {
        Usage::SAMPLE
    }

    fn offer(&self) -> Result<Offer> {
        self.0.make_current()?;
        self.0.offer(Consumer::usage(self))
    }

    fn import<'a>(&'a self, frame: &Frame, _: &Agreement) -> Result<Box<dyn Sink + 'a>> {
        self.0.make_current()?;
        let texture = self.0.import(frame)?;
        Ok(Box::new(GlTexture {
            device: self.0,
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
        Ok(self.begin(gate, pixels, 1)?.fence)
    }

    fn begin(&self, gate: &Fence, pixels: &[u8], times: u32) -> Result<Begun<'_>> {
        self.device.make_current()?;
        self.device.wait(gate, TIMEOUT)?;
        if times > 1 {
            // Whoever reads before the last one sees that.
            let others: Vec<u8> = pixels.iter().map(|byte| !byte).collect();
            for _ in 1..times {
                self.device.upload(&self.texture, &others)?;
            }
        }
        self.device.upload(&self.texture, pixels)?;
        Ok(Begun {
            fence: self.device.fence(TIMEOUT)?,
            _upload: None,
        })
    }

    fn copies(&self) -> u32 {
        self.texture.copies_per_frame()
    }
}

impl Sink for GlTexture<'_> {
    fn read(&self, acquire: &Fence) -> Result<(Pixels, Fence)> {
        self.device.make_current()?;
        self.device.read(&self.texture, acquire, TIMEOUT)?;
        let pixels = self.device.download(&self.texture)?;
        Ok((Pixels::Sampled(pixels), self.device.fence(TIMEOUT)?))
    }

    fn copies(&self) -> u32 {
        self.texture.copies_per_frame()
    }
}

impl Drop for GlTexture<'_> {
    fn drop(&mut self) {
        // Textures are deleted where their context is current; another case may have made its own current.
        let _current = self.device.make_current();
    }
}
