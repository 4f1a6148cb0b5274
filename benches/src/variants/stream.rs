//! lucarne-stream, as its examples use it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use lucarne::vulkan::{Access, Image};
use lucarne::{Agreement, Error, Extent, Frame, MemoryPath, Offer, Request, Usage};
use lucarne_stream::{
    self as stream, Allocate, ConsumerEvent, ConsumerOptions, Delivery, Import, ProducerEvent,
};

use super::fault::Faults;
use super::{Consume, Produce, Seen, Sent, Setup, now};
use crate::Result;
use crate::gl::{Context, FORMAT};
use crate::messages::Ready;
use crate::stamp::Stamp;
use crate::vk::{Marks, TIMEOUT, Vulkan};

/// Under which pairs meet, each in a folder of its own.
pub(super) const NAME: &str = "bench";

type Allocator = Box<dyn FnMut(&Agreement) -> lucarne::Result<(Picture, Frame)>>;
type Importing = Box<dyn FnMut(&Frame) -> lucarne::Result<View>>;

/// How streams are made here.
pub(super) fn options(request: Request, setup: &Setup) -> stream::ProducerOptions {
    stream::ProducerOptions::of(request)
        .slots(setup.shape.slots)
        .patience(TIMEOUT)
        .directory(setup.folder())
}

/// Waits until so many watch.
pub(super) fn join<A: Allocate>(stream: &mut stream::Producer<A>, consumers: usize) -> Result<()> {
    let until = Instant::now() + TIMEOUT;
    while stream.consumers() < consumers {
        stream.dispatch()?;
        while let Some(event) = stream.event() {
            if let ProducerEvent::Left { reason, .. } = event {
                return Err(reason.into());
            }
        }
        if Instant::now() >= until {
            return Err("too few consumers came".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Connects, and waits until the first generation has been imported.
pub(super) fn watch<I: Import>(
    setup: &Setup,
    name: &str,
    offer: &Offer,
    import: I,
) -> Result<stream::Consumer<I>> {
    let until = Instant::now() + TIMEOUT;
    let pause = || std::thread::sleep(Duration::from_millis(1));
    // A producer that can be seen listens.
    while !setup.folder().join(name).exists() && Instant::now() < until {
        pause();
    }
    // Its producer is this very program: without that there are no opaque descriptors.
    let options = ConsumerOptions::new(Delivery::Every)
        .directory(setup.folder())
        .trust_producer();
    let mut stream = stream::Consumer::connect(name, offer, options, import)?;
    loop {
        stream.dispatch()?;
        match stream.event() {
            Some(ConsumerEvent::Generation { .. }) => return Ok(stream),
            Some(ConsumerEvent::ImportFailed { reason, .. } | ConsumerEvent::Lost { reason }) => {
                return Err(reason.into());
            }
            _ if Instant::now() >= until => return Err("the producer offered nothing".into()),
            _ => pause(),
        }
    }
}

/// An image of the producer's, and what draws into it.
pub(super) struct Picture {
    marks: Marks,
    image: Image,
}

/// The end that draws.
pub(super) struct Producer {
    // Dropped in this order.
    stream: stream::Producer<Allocator>,
    vulkan: Rc<Vulkan>,
    ready: Rc<RefCell<Ready>>,
}

impl Producer {
    pub(super) fn open(setup: &Setup, path: MemoryPath) -> Result<Self> {
        let vulkan = Vulkan::open()?;
        let offer = vulkan.device.offer(Usage::TRANSFER_DESTINATION)?;
        let request = Request::new(setup.extent)
            .formats(&[FORMAT])
            .paths(&[path])
            .usage(Usage::TRANSFER_DESTINATION, Usage::SAMPLE);
        let options = options(request, setup);
        let ready = Rc::new(RefCell::new(Ready {
            device: vulkan.title(),
            ..Ready::default()
        }));
        let (shared, told) = (Rc::clone(&vulkan), Rc::clone(&ready));
        let allocate: Allocator = Box::new(move |agreement| {
            let image = shared.device.export(agreement)?;
            let frame = image.frame().clone();
            let mut ready = told.borrow_mut();
            (ready.copies, ready.emulated) = (image.copies_per_frame(), frame.is_emulated());
            let marks = Marks::new(&shared, agreement.extent).map_err(refused)?;
            Ok((Picture { marks, image }, frame))
        });
        let mut stream = stream::Producer::bind(NAME, &offer, options, allocate)?;
        join(&mut stream, 1)?;
        Ok(Self {
            stream,
            vulkan,
            ready,
        })
    }
}

fn refused(error: Box<dyn std::error::Error>) -> Error {
    Error::Driver {
        call: "setting up",
        code: error.to_string(),
        help: String::new(),
    }
}

impl Produce for Producer {
    fn ready(&self) -> Ready {
        self.ready.borrow().clone()
    }

    fn frame(&mut self, stamp: Stamp) -> Result<Sent> {
        let slot = self.stream.acquire(TIMEOUT)?;
        let began = now();
        let Picture { marks, image } = slot.image();
        let raw = self.vulkan.raw();
        let draw = |commands| marks.record(raw, commands, image.raw(), stamp);
        let access = Access::TransferDestination;
        let device = &self.vulkan.device;
        let done = device.write(image, slot.gate(), TIMEOUT, access, draw)?;
        let published = now();
        self.stream
            .send(slot, done, Duration::from_nanos(published))?;
        Ok(Sent { began, published })
    }
}

/// A frame of the consumer's, and what reads it.
pub(super) struct View {
    texture: Rc<lucarne::egl::Texture>,
    window: glow::Framebuffer,
}

/// The end that looks.
pub(super) struct Consumer {
    stream: stream::Consumer<Importing>,
    context: Rc<Context>,
    extent: Extent,
    faults: Faults,
    ready: Rc<RefCell<Ready>>,
}

impl Consumer {
    pub(super) fn open(setup: &Setup) -> Result<Self> {
        let context = Rc::new(Context::open()?);
        let offer = context.device.offer(Usage::SAMPLE)?;
        let ready = Rc::new(RefCell::new(Ready {
            device: context.title(),
            ..Ready::default()
        }));
        let (shared, told) = (Rc::clone(&context), Rc::clone(&ready));
        let import: Importing = Box::new(move |frame| {
            let texture = shared.device.import(frame)?;
            let mut ready = told.borrow_mut();
            (ready.copies, ready.emulated) = (texture.copies_per_frame(), frame.is_emulated());
            let window = shared.window(texture.name()).map_err(refused)?;
            Ok(View { texture, window })
        });
        let stream = watch(setup, NAME, &offer, import)?;
        Ok(Self {
            stream,
            faults: Faults::new(setup)?,
            context,
            extent: setup.extent,
            ready,
        })
    }
}

impl Consume for Consumer {
    fn ready(&self) -> Ready {
        self.ready.borrow().clone()
    }

    fn frame(&mut self) -> Result<Seen> {
        let (reading, acquire) = self.stream.receive(TIMEOUT)?.acquire();
        let View { texture, window } = reading.image();
        let egl = &self.context.device;
        egl.read(texture, &acquire, TIMEOUT)?;
        self.faults.strike(&self.context, reading.frame())?;
        let taken = now();
        let stamps = self.context.stamps(*window, self.extent);
        let at = now();
        reading.release(egl.fence(TIMEOUT)?)?;
        Ok(Seen { taken, stamps, at })
    }
}
