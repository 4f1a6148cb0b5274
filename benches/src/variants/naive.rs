//! What programs do that share dma-bufs and keep nothing: each frame's descriptor is sent, imported, and closed again. The
//! message is the wake-up, as is the one that gives the slot back.

use std::os::fd::AsFd;
use std::rc::Rc;

use lucarne::Extent;

use super::raw::{decode, encode};
use super::turn::{Target, Wait};
use super::{Consume, Produce, Seen, Sent, Setup, now};
use crate::Result;
use crate::gl::{Context, Importer, Plane};
use crate::link::{Link, SLOTS, receive, send};
use crate::messages::Ready;
use crate::stamp::Stamp;
use crate::vk::Vulkan;

/// The end that draws.
pub(super) struct Producer {
    link: Link,
    targets: Vec<Target>,
    next: usize,
    out: usize,
    vulkan: Rc<Vulkan>,
}

impl Producer {
    pub(super) fn open(setup: &Setup) -> Result<Self> {
        let vulkan = Vulkan::open()?;
        let target = |_| Target::new(&vulkan, setup.extent, true, Wait::Cpu);
        let targets: Vec<Target> = (0..SLOTS).map(target).collect::<Result<_>>()?;
        let link = Link::listen(&setup.socket(), &[0], &[])?;
        Ok(Self {
            link,
            targets,
            next: 0,
            out: 0,
            vulkan,
        })
    }
}

impl Produce for Producer {
    fn ready(&self) -> Ready {
        Ready {
            device: self.vulkan.title(),
            copies: 0,
            emulated: self.targets[0].is_emulated(),
        }
    }

    fn frame(&mut self, stamp: Stamp) -> Result<Sent> {
        if self.out == SLOTS {
            receive(&self.link.socket, &mut [0; 8])?;
            self.out -= 1;
        }
        let began = now();
        let target = &mut self.targets[self.next];
        target.draw(stamp, None)?;
        let published = now();
        send(&self.link.socket, &encode(target.plane()?), &[target.fd()?])?;
        self.next = (self.next + 1) % SLOTS;
        self.out += 1;
        Ok(Sent { began, published })
    }
}

/// The end that looks.
pub(super) struct Consumer {
    link: Link,
    importer: Importer,
    context: Context,
    extent: Extent,
}

impl Consumer {
    pub(super) fn open(setup: &Setup) -> Result<Self> {
        let context = Context::open()?;
        let importer = Importer::new()?;
        let (link, _) = Link::connect(&setup.socket(), &mut [0; 8])?;
        Ok(Self {
            link,
            importer,
            context,
            extent: setup.extent,
        })
    }
}

impl Consume for Consumer {
    fn ready(&self) -> Ready {
        Ready {
            device: self.context.title(),
            ..Ready::default()
        }
    }

    fn frame(&mut self) -> Result<Seen> {
        let mut message = [0; 24];
        let (_, fds) = receive(&self.link.socket, &mut message)?;
        let fd = fds.first().ok_or("a frame without its memory")?;
        let plane: Plane = decode(&message);
        let importer = &self.importer;
        let imported = importer.import(&self.context, self.extent, fd.as_fd(), plane)?;
        let taken = now();
        let stamps = self.context.stamps(imported.window, self.extent);
        let at = now();
        self.context.finish()?;
        importer.free(&self.context, &imported);
        send(&self.link.socket, &[1], &[])?;
        Ok(Seen { taken, stamps, at })
    }
}
