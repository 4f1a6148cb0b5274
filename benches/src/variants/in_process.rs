//! Vulkan and OpenGL in one process and one thread: what is left of a hand-off without a stream. Both ways draw, look and check
//! within one turn.

use std::os::fd::AsFd;
use std::rc::Rc;

use lucarne::vulkan::{Access, Image};
use lucarne::{MemoryPath, Pool, Request, Usage, negotiate};

use super::turn::{Target, Wait};
use super::{Produce, Sent, Setup, now};
use crate::Result;
use crate::gl::{Context, FORMAT, Imported, Importer};
use crate::link::SLOTS;
use crate::messages::Ready;
use crate::stamp::Stamp;
use crate::vk::{Marks, TIMEOUT, Vulkan};

fn ready(vulkan: &Vulkan, emulated: bool) -> Ready {
    Ready {
        device: vulkan.title(),
        copies: 0,
        emulated,
    }
}

fn check(stamp: Stamp, seen: [Stamp; 2]) -> Result<()> {
    if seen == [stamp; 2] {
        return Ok(());
    }
    Err(format!("frame {stamp:?} shows {seen:?}").into())
}

/// By hand: three images in turn, the CPU waits for both sides.
pub(super) struct Raw {
    images: Vec<Imported>,
    targets: Vec<Target>,
    next: usize,
    context: Context,
    vulkan: Rc<Vulkan>,
    setup: Setup,
}

impl Raw {
    pub(super) fn open(setup: &Setup) -> Result<Self> {
        let (vulkan, context) = (Vulkan::open()?, Context::open()?);
        let importer = Importer::new()?;
        let (mut targets, mut images) = (Vec::new(), Vec::new());
        for _ in 0..SLOTS {
            let target = Target::new(&vulkan, setup.extent, true, Wait::Cpu)?;
            let (fd, plane) = (target.fd()?, target.plane()?);
            images.push(importer.import(&context, setup.extent, fd.as_fd(), plane)?);
            targets.push(target);
        }
        Ok(Self {
            images,
            targets,
            next: 0,
            context,
            vulkan,
            setup: setup.clone(),
        })
    }
}

impl Produce for Raw {
    fn ready(&self) -> Ready {
        ready(&self.vulkan, self.targets[0].is_emulated())
    }

    fn frame(&mut self, stamp: Stamp) -> Result<Sent> {
        let began = now();
        let slot = self.next;
        self.next = (slot + 1) % SLOTS;
        self.targets[slot].draw(stamp, None)?;
        let published = now();
        let window = self.images[slot].window;
        let seen = self.context.stamps(window, self.setup.extent);
        self.context.finish()?;
        check(stamp, seen)?;
        Ok(Sent { began, published })
    }
}

/// An image, what draws into it, and what reads it.
struct Shared {
    marks: Marks,
    image: Image,
    texture: Rc<lucarne::egl::Texture>,
    window: glow::Framebuffer,
}

/// With lucarne's pool and turns.
pub(super) struct Lucarne {
    pool: Pool,
    shared: Vec<Shared>,
    context: Context,
    vulkan: Rc<Vulkan>,
    setup: Setup,
}

impl Lucarne {
    pub(super) fn open(setup: &Setup) -> Result<Self> {
        let (vulkan, context) = (Vulkan::open()?, Context::open()?);
        let device = &vulkan.device;
        let request = Request::new(setup.extent)
            .formats(&[FORMAT])
            .paths(&[MemoryPath::DmaBuf])
            .usage(Usage::TRANSFER_DESTINATION, Usage::SAMPLE);
        let offer = device.offer(Usage::TRANSFER_DESTINATION)?;
        let agreement = negotiate(&offer, &context.device.offer(Usage::SAMPLE)?, &request)?;
        let mut shared = Vec::new();
        for _ in 0..SLOTS {
            let image = device.export(&agreement)?;
            let texture = context.device.import(image.frame())?;
            let window = context.window(texture.name())?;
            shared.push(Shared {
                marks: Marks::new(&vulkan, setup.extent)?,
                image,
                texture,
                window,
            });
        }
        let frames = shared.iter().map(|one| one.image.frame().clone());
        Ok(Self {
            pool: Pool::new(frames.collect()),
            shared,
            context,
            vulkan,
            setup: setup.clone(),
        })
    }
}

impl Produce for Lucarne {
    fn ready(&self) -> Ready {
        ready(&self.vulkan, self.pool.frames()[0].is_emulated())
    }

    fn frame(&mut self, stamp: Stamp) -> Result<Sent> {
        let began = now();
        let free = self.pool.acquire().ok_or("no frame is free")?;
        let (writing, gate) = free.acquire();
        let Shared {
            marks,
            image,
            texture,
            window,
        } = &self.shared[writing.index()];
        let raw = self.vulkan.raw();
        let draw = |commands| marks.record(raw, commands, image.raw(), stamp);
        let access = Access::TransferDestination;
        let device = &self.vulkan.device;
        let done = device.write(image, &gate, TIMEOUT, access, draw)?;
        let published = now();
        let (reading, acquire) = writing.send(done).receive().acquire();
        let egl = &self.context.device;
        egl.read(texture, &acquire, TIMEOUT)?;
        let seen = self.context.stamps(*window, self.setup.extent);
        reading.release(egl.fence(TIMEOUT)?);
        check(stamp, seen)?;
        Ok(Sent { began, published })
    }
}
