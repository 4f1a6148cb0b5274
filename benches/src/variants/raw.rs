//! What an expert would write for one program that knows both of its ends: three dma-bufs that are exported once, sent once and
//! imported once; counters in a shared page; the CPU waits for each frame before it is published. Nothing is agreed on,
//! and nothing is checked.

use std::os::fd::AsFd;
use std::rc::Rc;

use lucarne::Extent;

use super::turn::{Target, Wait};
use super::{Consume, Produce, Seen, Sent, Setup, now};
use crate::Result;
use crate::gl::{Context, Imported, Importer, Plane};
use crate::link::{Link, SLOTS};
use crate::messages::Ready;
use crate::stamp::Stamp;
use crate::vk::Vulkan;

/// Where the only plane of all three lies, as one message.
pub(super) fn encode(plane: Plane) -> [u8; 24] {
    let words = [plane.offset, plane.pitch, plane.modifier].map(u64::to_ne_bytes);
    let mut bytes = [0; 24];
    bytes.copy_from_slice(words.as_flattened());
    bytes
}

pub(super) fn decode(bytes: &[u8; 24]) -> Plane {
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_ne_bytes(word)
    };
    Plane {
        offset: word(0),
        pitch: word(8),
        modifier: word(16),
    }
}

/// The end that draws.
pub(super) struct Producer {
    link: Link,
    targets: Vec<Target>,
    vulkan: Rc<Vulkan>,
}

impl Producer {
    pub(super) fn open(setup: &Setup, wait: Wait) -> Result<Self> {
        let vulkan = Vulkan::open()?;
        let target = |_| Target::new(&vulkan, setup.extent, true, wait);
        let targets: Vec<Target> = (0..SLOTS).map(target).collect::<Result<_>>()?;
        let fds: Vec<_> = targets.iter().map(Target::fd).collect::<Result<_>>()?;
        let message = encode(targets[0].plane()?);
        let link = Link::listen(&setup.socket(), &message, &fds)?;
        Ok(Self {
            link,
            targets,
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
        let slot = self.link.acquire()?;
        let began = now();
        self.targets[slot].draw(stamp, None)?;
        let published = now();
        self.link.publish()?;
        Ok(Sent { began, published })
    }
}

/// The end that looks.
pub(super) struct Consumer {
    link: Link,
    images: Vec<Imported>,
    context: Context,
    extent: Extent,
}

impl Consumer {
    pub(super) fn open(setup: &Setup) -> Result<Self> {
        let context = Context::open()?;
        let importer = Importer::new()?;
        let mut message = [0; 24];
        let (link, fds) = Link::connect(&setup.socket(), &mut message)?;
        let plane = decode(&message);
        let import = |fd| importer.import(&context, setup.extent, fd, plane);
        let images = fds.iter().map(|fd| import(fd.as_fd()));
        let images = images.collect::<Result<_>>()?;
        Ok(Self {
            link,
            images,
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
        let slot = self.link.next()?;
        let taken = now();
        let stamps = self.context.stamps(self.images[slot].window, self.extent);
        let at = now();
        self.context.finish()?;
        self.link.release()?;
        Ok(Seen { taken, stamps, at })
    }
}
