//! The ring and the wake-ups of lucarne-stream, and no buffer: what any hand-off by it costs at least.

use std::time::Duration;

use lucarne::{Agreement, Extent, Fence, Frame, Usage, cpu};
use lucarne_stream as stream;

use super::stream::{NAME, join, options, watch};
use super::{Consume, Produce, Seen, Sent, Setup, now};
use crate::Result;
use crate::messages::Ready;
use crate::stamp::Stamp;
use crate::vk::TIMEOUT;

type Allocator = Box<dyn FnMut(&Agreement) -> lucarne::Result<(cpu::Image, Frame)>>;
type Importer = Box<dyn FnMut(&Frame) -> lucarne::Result<cpu::Image>>;

fn device() -> Result<cpu::Device> {
    Ok(cpu::Adapter::new(cpu::Allocator::HostMemory).open()?)
}

/// The end that publishes.
pub(super) struct Producer {
    stream: stream::Producer<Allocator>,
}

impl Producer {
    pub(super) fn open(setup: &Setup) -> Result<Self> {
        let device = device()?;
        let offer = device.offer(Usage::TRANSFER_DESTINATION)?;
        let allocate = move |agreement: &Agreement| {
            let image = device.export(agreement)?;
            let frame = image.frame().clone();
            Ok((image, frame))
        };
        // Nobody looks at them: small ones do.
        let request = lucarne::Request::new(Extent::new(64, 64));
        let options = options(request, setup);
        let allocate: Allocator = Box::new(allocate);
        let mut stream = stream::Producer::bind(NAME, &offer, options, allocate)?;
        join(&mut stream)?;
        Ok(Self { stream })
    }
}

impl Produce for Producer {
    fn ready(&self) -> Ready {
        Ready {
            device: "none".to_owned(),
            ..Ready::default()
        }
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

/// The end that takes.
pub(super) struct Consumer {
    stream: stream::Consumer<Importer>,
}

impl Consumer {
    pub(super) fn open(setup: &Setup) -> Result<Self> {
        let device = device()?;
        let offer = device.offer(Usage::SAMPLE)?;
        let import: Importer = Box::new(move |frame: &Frame| device.import(frame));
        let stream = watch(setup, &offer, import)?;
        Ok(Self { stream })
    }
}

impl Consume for Consumer {
    fn ready(&self) -> Ready {
        Ready {
            device: "none".to_owned(),
            ..Ready::default()
        }
    }

    fn frame(&mut self) -> Result<Seen> {
        let (reading, _signaled) = self.stream.receive(TIMEOUT)?.acquire();
        let bits = u32::try_from(reading.timestamp().as_nanos())?;
        let taken = now();
        reading.release(Fence::Signaled)?;
        let stamp = Stamp::of_bits(bits);
        Ok(Seen {
            taken,
            stamps: [stamp; 2],
            at: taken,
        })
    }
}
