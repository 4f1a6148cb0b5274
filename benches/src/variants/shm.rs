//! What programs do that share no GPU memory: the frame is read back, copied into shared memory, and uploaded.

#![expect(
    unsafe_code,
    reason = "uploads from shared memory, reads what Vulkan wrote"
)]

use std::os::fd::AsFd;
use std::rc::Rc;

use ash::vk;
use glow::HasContext;
use lucarne::{
    Extent,
    kernel::{Mapping, Memfd},
};

use super::turn::{Target, Wait};
use super::{Consume, Produce, Seen, Sent, Setup, now};
use crate::Result;
use crate::gl::Context;
use crate::link::{Link, SLOTS};
use crate::messages::Ready;
use crate::stamp::Stamp;
use crate::vk::{HostBuffer, Vulkan};

fn bytes(extent: Extent) -> u64 {
    4 * u64::from(extent.width) * u64::from(extent.height)
}

/// The end that draws.
pub(super) struct Producer {
    link: Link,
    slots: Vec<Mapping>,
    target: Target,
    readback: HostBuffer,
    bytes: usize,
    vulkan: Rc<Vulkan>,
}

impl Producer {
    pub(super) fn open(setup: &Setup) -> Result<Self> {
        let vulkan = Vulkan::open()?;
        let target = Target::new(&vulkan, setup.extent, false, Wait::Cpu)?;
        let bytes = bytes(setup.extent);
        let readback = HostBuffer::new(&vulkan, bytes, vk::BufferUsageFlags::TRANSFER_DST)?;
        let memory = |_| Memfd::create("lucarne-bench-shm", bytes);
        let memory: Vec<Memfd> = (0..SLOTS).map(memory).collect::<lucarne::Result<_>>()?;
        let fds: Vec<_> = memory.iter().map(AsFd::as_fd).collect();
        let link = Link::listen(&setup.socket(), &[0], &fds)?;
        let slots = memory.iter().map(Mapping::new);
        Ok(Self {
            link,
            slots: slots.collect::<lucarne::Result<_>>()?,
            target,
            readback,
            bytes: usize::try_from(bytes)?,
            vulkan,
        })
    }
}

impl Produce for Producer {
    fn ready(&self) -> Ready {
        Ready {
            device: self.vulkan.title(),
            // Out of the image, and into shared memory.
            copies: 2,
            emulated: false,
        }
    }

    fn frame(&mut self, stamp: Stamp) -> Result<Sent> {
        let slot = self.link.acquire()?;
        let began = now();
        self.target.draw(stamp, Some(self.readback.raw))?;
        // SAFETY: slice::from_raw_parts: the buffer was made with so many bytes, it is mapped, and the only submission that
        // writes there was waited for; nobody writes while the slice lives.
        let pixels = unsafe { std::slice::from_raw_parts(self.readback.address, self.bytes) };
        self.slots[slot].copy_in(0, pixels)?;
        let published = now();
        self.link.publish()?;
        Ok(Sent { began, published })
    }
}

/// The end that looks.
pub(super) struct Consumer {
    link: Link,
    slots: Vec<Mapping>,
    texture: glow::Texture,
    window: glow::Framebuffer,
    context: Context,
    extent: Extent,
}

impl Consumer {
    pub(super) fn open(setup: &Setup) -> Result<Self> {
        let context = Context::open()?;
        let (link, fds) = Link::connect(&setup.socket(), &mut [0; 8])?;
        let slots = fds.into_iter().map(|fd| Mapping::new(&Memfd::new(fd)?));
        let slots: Vec<Mapping> = slots.collect::<lucarne::Result<_>>()?;
        let texture = context.texture()?;
        let Extent { width, height } = setup.extent;
        let (width, height) = (width.cast_signed(), height.cast_signed());
        let gl = context.gl();
        // SAFETY: glTexStorage2D on the bound texture, with a sized format.
        unsafe { gl.tex_storage_2d(glow::TEXTURE_2D, 1, glow::RGBA8, width, height) };
        context.check("glTexStorage2D")?;
        let window = context.window(texture)?;
        Ok(Self {
            link,
            slots,
            texture,
            window,
            context,
            extent: setup.extent,
        })
    }

    fn upload(&self, slot: usize) {
        let gl = self.context.gl();
        // SAFETY: glBindTexture of a texture of this context.
        unsafe { gl.bind_texture(glow::TEXTURE_2D, Some(self.texture)) };
        let Extent { width, height } = self.extent;
        let (width, height) = (width.cast_signed(), height.cast_signed());
        let mapping = &self.slots[slot];
        // SAFETY: slice::from_raw_parts: the mapping has so many bytes; its writer, the same program, leaves this slot alone
        // until it is released.
        let pixels =
            unsafe { std::slice::from_raw_parts(mapping.address().as_ptr(), mapping.len()) };
        let from = glow::PixelUnpackData::Slice(Some(pixels));
        let (format, kind) = (glow::RGBA, glow::UNSIGNED_BYTE);
        // SAFETY: glTexSubImage2D of the whole texture, from as many bytes as it has.
        unsafe {
            gl.tex_sub_image_2d(glow::TEXTURE_2D, 0, 0, 0, width, height, format, kind, from);
        }
    }
}

impl Consume for Consumer {
    fn ready(&self) -> Ready {
        Ready {
            device: self.context.title(),
            copies: 1,
            emulated: false,
        }
    }

    fn frame(&mut self) -> Result<Seen> {
        let slot = self.link.next()?;
        self.upload(slot);
        let taken = now();
        let stamps = self.context.stamps(self.window, self.extent);
        let at = now();
        self.context.finish()?;
        self.link.release()?;
        Ok(Seen { taken, stamps, at })
    }
}
