//! The ring and the wake-ups of lucarne-stream, and no buffer: what any hand-off by it costs at least. It needs no driver, and so
//! it is what many consumers, many slots and idle streams are measured with.

use std::time::Duration;

use lucarne::{Agreement, Extent, Fence, Frame, Usage, cpu};
use lucarne_stream as stream;

use super::stream::{NAME, join, options, watch};
use super::{Consume, Produce, Seen, Sent, Setup, allow_descriptors, now};
use crate::Result;
use crate::messages::Ready;
use crate::stamp::Stamp;
use crate::vk::TIMEOUT;

type Allocator = Box<dyn FnMut(&Agreement) -> lucarne::Result<(cpu::Image, Frame)>>;
type Importer = Box<dyn FnMut(&Frame) -> lucarne::Result<cpu::Image>>;

fn device() -> Result<cpu::Device> {
    Ok(cpu::Adapter::new(cpu::Allocator::HostMemory).open()?)
}

fn ready() -> Ready {
    Ready {
        device: "none".to_owned(),
        ..Ready::default()
    }
}

/// The names of the streams that nobody sends anything to.
fn idle(setup: &Setup) -> impl Iterator<Item = String> {
    (0..setup.shape.idle).map(|at| format!("idle-{at}"))
}

/// The end that publishes.
pub(super) struct Producer {
    stream: stream::Producer<Allocator>,
    _idle: Vec<stream::Producer<Allocator>>,
}

impl Producer {
    pub(super) fn open(setup: &Setup) -> Result<Self> {
        allow_descriptors()?;
        let bind = |name: &str| -> Result<_> {
            let device = device()?;
            let offer = device.offer(Usage::TRANSFER_DESTINATION)?;
            let allocate: Allocator = Box::new(move |agreement: &Agreement| {
                let image = device.export(agreement)?;
                let frame = image.frame().clone();
                Ok((image, frame))
            });
            // Nobody looks at them: small ones do.
            let request = lucarne::Request::new(Extent::new(64, 64));
            let options = options(request, setup).consumers(64);
            Ok(stream::Producer::bind(name, &offer, options, allocate)?)
        };
        let mut stream = bind(NAME)?;
        join(&mut stream, setup.shape.consumers)?;
        let mut others = Vec::new();
        for name in idle(setup) {
            let mut other = bind(&name)?;
            join(&mut other, 1)?;
            others.push(other);
        }
        Ok(Self {
            stream,
            _idle: others,
        })
    }
}

impl Produce for Producer {
    fn ready(&self) -> Ready {
        ready()
    }

    fn frame(&mut self, stamp: Stamp) -> Result<Sent> {
        let slot = self.stream.acquire(TIMEOUT)?;
        let began = now();
        // Its number travels where the others have their time.
        let note = Duration::from_nanos(stamp.bits().into());
        let published = now();
        self.stream.send(slot, Fence::Signaled, note)?;
        Ok(Sent { began, published })
    }
}

/// The end that takes: one consumer after the other.
pub(super) struct Consumer {
    streams: Vec<stream::Consumer<Importer>>,
    _idle: Vec<stream::Consumer<Importer>>,
}

impl Consumer {
    pub(super) fn open(setup: &Setup) -> Result<Self> {
        allow_descriptors()?;
        let open = |name: &str| -> Result<_> {
            let device = device()?;
            let offer = device.offer(Usage::SAMPLE)?;
            let import: Importer = Box::new(move |frame: &Frame| device.import(frame));
            watch(setup, name, &offer, import)
        };
        let streams = (0..setup.shape.consumers).map(|_| open(NAME));
        let streams = streams.collect::<Result<_>>()?;
        let idle = idle(setup).map(|name| open(&name));
        Ok(Self {
            streams,
            _idle: idle.collect::<Result<_>>()?,
        })
    }
}

impl Consume for Consumer {
    fn ready(&self) -> Ready {
        ready()
    }

    fn frame(&mut self) -> Result<Seen> {
        let mut seen = None;
        for stream in &mut self.streams {
            let (reading, _signaled) = stream.receive(TIMEOUT)?.acquire();
            let bits = u32::try_from(reading.timestamp().as_nanos())?;
            let taken = now();
            reading.release(Fence::Signaled)?;
            let stamps = [Stamp::of_bits(bits); 2];
            let at = taken;
            seen.get_or_insert(Seen { taken, stamps, at });
        }
        seen.ok_or_else(|| "it has no consumer".into())
    }
}
