//! `lucarne pipewire publish`: a stream as a PipeWire node.

use std::cell::RefCell;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use clap::Args;
use lucarne::{Agreement, Fence, Frame, FrameLayout, MemoryPath, Offer, Request, Usage, cpu};
use lucarne_pipewire::{Event, Metadata, Producer, ProducerOptions, Slot};
use lucarne_stream::{Consumer, ConsumerOptions, Delivery, Error, Reading, Received};

use crate::copy::{self, copy};
use crate::output::{Output, Told};
use crate::{Common, Failure, Stop, wait};

/// How long lies between two looks for a stream that is gone.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Args, Debug)]
#[command(after_help = "\
The node's buffers are the stream's own memory, without a copy, where the peer takes the kind of memory that the stream has: linear dma-bufs, or sealed \
shared memory. Else the CPU copies each frame once.

The node drives its graph: a peer gets a frame when the stream has one.")]
pub(crate) struct Options {
    /// The stream; `lucarne list` shows them.
    stream: String,
    /// The node's name. [default: the stream's]
    #[arg(long)]
    node: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// A frame of the stream's, mapped for the case that it must be copied.
type Image = Rc<cpu::Image>;
type Import = Box<dyn FnMut(&Frame) -> lucarne::Result<Image>>;

/// What a buffer of the node's is.
enum Made {
    /// A slot of the stream's.
    Lent(Frame),
    /// Memory of this program's.
    Own(cpu::Image),
}

/// The stream's slots that the node's buffers are made of.
#[derive(Default)]
struct Slots {
    frames: Vec<Frame>,
    next: usize,
}

impl Slots {
    /// The next one, in turn: as many calls as there are slots give each once.
    fn lend(&mut self, agreement: &Agreement) -> Option<Frame> {
        let frame = self.frames.get(self.next % self.frames.len().max(1))?;
        let layout = frame.layout();
        let fits = frame.memory().path() == agreement.path()
            && layout.format() == agreement.format
            && layout.extent() == agreement.extent;
        if !fits {
            return None;
        }
        self.next += 1;
        Some(frame.clone())
    }
}

/// A frame in the graph, which the stream waits for.
struct Flight {
    frame: Frame,
    reading: Reading<Image>,
}

struct Publish {
    consumer: Consumer<Import>,
    /// What was imported for the stream's slots, as long as it is in use.
    imported: Rc<RefCell<Vec<Weak<cpu::Image>>>>,
    slots: Rc<RefCell<Slots>>,
    device: cpu::Device,
    node: Option<Producer<Made>>,
    generation: u64,
    /// Buffers that nobody uses.
    hand: Vec<Slot<Made>>,
    flights: Vec<Flight>,
    frames: u64,
    missed: u64,
    copied: u64,
}

pub(crate) fn run(options: &Options, stop: &Stop, output: &mut Output) -> Result<u64, Failure> {
    let folder = options.common.folder()?;
    let mut publish = Publish::connect(&options.stream, &folder)?;
    while !stop.asked() && !options.common.is_enough(publish.frames) {
        publish.turn(output)?;
        match publish.consumer.try_receive() {
            Ok(Some(received)) => publish.pass_on(received, options)?,
            Ok(None) => {}
            Err(error) if comes_back(&error) => publish.wait_for_return(options, stop, output)?,
            Err(error) => return Err(error.into()),
        }
    }
    let (frames, missed, copied) = (publish.frames, publish.missed, publish.copied);
    output.tell(&Told::Ended {
        frames,
        missed,
        copied,
    })?;
    Ok(frames)
}

/// Whether another producer of the name would help.
fn comes_back(error: &Error) -> bool {
    matches!(
        error,
        Error::Ended | Error::PeerGone | Error::NotFound { .. } | Error::Refused(_)
    )
}

impl Publish {
    fn connect(name: &str, folder: &Path) -> Result<Self, Failure> {
        let device = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?;
        let imported: Rc<RefCell<Vec<Weak<cpu::Image>>>> = Rc::default();
        let (list, importer) = (Rc::clone(&imported), device.clone());
        let import: Import = Box::new(move |frame| {
            let image = Rc::new(importer.import(frame)?);
            let mut list = list.borrow_mut();
            list.retain(|one| one.strong_count() > 0);
            list.push(Rc::downgrade(&image));
            Ok(image)
        });
        let settings = ConsumerOptions::new(Delivery::Latest).directory(folder);
        let offer = copy::offer(&device, Usage::SAMPLE)?;
        Ok(Self {
            consumer: Consumer::connect(name, &offer, settings, import)?,
            imported,
            slots: Rc::default(),
            device,
            node: None,
            generation: 0,
            hand: Vec::new(),
            flights: Vec::new(),
            frames: 0,
            missed: 0,
            copied: 0,
        })
    }

    /// Serves the node, and takes back what its peer is done with.
    fn turn(&mut self, output: &mut Output) -> Result<(), Failure> {
        let Some(node) = &mut self.node else {
            return wait(&[self.consumer.as_fd()]);
        };
        wait(&[self.consumer.as_fd(), node.as_fd()])?;
        node.dispatch(Duration::ZERO)?;
        while let Some(event) = node.event() {
            if let Event::Negotiated(now) = &event {
                let lent = self
                    .slots
                    .borrow()
                    .frames
                    .first()
                    .map(|one| one.memory().path());
                output.tell(&Told::negotiated(now, u32::from(lent != Some(now.path))))?;
                // Buffers of before are nobody's any more.
                self.hand.clear();
                land(&mut self.flights)?;
            } else if let Some(told) = Told::of(&event) {
                output.tell(&told)?;
            }
        }
        if node.negotiated().is_none() {
            self.hand.clear();
            land(&mut self.flights)?;
        }
        while let Some(slot) = node.try_acquire() {
            if let Made::Lent(frame) = slot.image()
                && let Some(at) = self
                    .flights
                    .iter()
                    .position(|one| one.frame.same_memory(frame))
            {
                let flight = self.flights.swap_remove(at);
                flight.reading.release(slot.gate().clone())?;
            }
            self.hand.push(slot);
        }
        Ok(())
    }

    /// Puts one frame of the stream's into the graph.
    fn pass_on(&mut self, received: Received<Image>, options: &Options) -> Result<(), Failure> {
        if received.generation() != self.generation {
            self.generation = received.generation();
            self.renew(received.frame().layout(), options)?;
        }
        let Some(node) = &mut self.node else {
            return Ok(());
        };
        let pts = i64::try_from(received.timestamp().as_nanos()).ok();
        let metadata = Metadata {
            pts,
            sequence: Some(received.sequence()),
            ..Metadata::default()
        };
        let is_it = |slot: &Slot<Made>| match slot.image() {
            Made::Lent(frame) => frame.same_memory(received.frame()),
            Made::Own(image) => {
                image.frame().layout().extent() == received.frame().layout().extent()
            }
        };
        let Some(at) = self.hand.iter().position(is_it) else {
            // Where nobody is linked, nothing is missed.
            self.missed += u64::from(node.negotiated().is_some());
            return Ok(());
        };
        let slot = self.hand.swap_remove(at);
        let (reading, acquire) = received.acquire();
        match slot.image() {
            Made::Lent(frame) => {
                let frame = frame.clone();
                if node.send(slot, acquire, metadata)?.is_some() {
                    self.flights.push(Flight { frame, reading });
                    self.frames += 1;
                }
            }
            Made::Own(image) => {
                let done = copy(reading.image(), &acquire, image, slot.gate())?;
                reading.release(done)?;
                if node.send(slot, Fence::Signaled, metadata)?.is_some() {
                    self.frames += 1;
                    self.copied += 1;
                }
            }
        }
        Ok(())
    }

    /// The stream has other frames: so has the node.
    fn renew(&mut self, layout: &FrameLayout, options: &Options) -> Result<(), Failure> {
        let before = std::mem::take(&mut self.slots.borrow_mut().frames);
        let new = |frame: &Frame| {
            frame.layout() == layout && !before.iter().any(|one| one.same_memory(frame))
        };
        let imported = self.imported.borrow();
        let frames: Vec<Frame> = imported
            .iter()
            .filter_map(Weak::upgrade)
            .map(|image| image.frame().clone())
            .filter(new)
            .collect();
        drop(imported);
        let buffers = frames.len();
        let lent = frames
            .first()
            .map_or(MemoryPath::HostMemory, |one| one.memory().path());
        *self.slots.borrow_mut() = Slots { frames, next: 0 };
        let mut paths = vec![lent, MemoryPath::HostMemory];
        paths.dedup();
        let request = Request::new(layout.extent())
            .formats(&[layout.format()])
            .usage(Usage::TRANSFER_DESTINATION, Usage::SAMPLE)
            .paths(&paths);
        if let Some(node) = &mut self.node {
            self.hand.clear();
            land(&mut self.flights)?;
            node.reconfigure(request)?;
        } else {
            let mut settings = ProducerOptions::new(request)
                .buffers(buffers)
                .color(layout.color())
                .description(format!("Lucarne stream {}", options.stream));
            if let Some(remote) = &options.common.remote {
                settings = settings.remote(remote);
            }
            let name = options.node.as_ref().unwrap_or(&options.stream);
            self.node = Some(self.make(name, settings)?);
        }
        Ok(())
    }

    fn make(&self, name: &str, settings: ProducerOptions) -> Result<Producer<Made>, Failure> {
        let (slots, device) = (Rc::clone(&self.slots), self.device.clone());
        let allocate = move |agreement: &Agreement| {
            if let Some(frame) = slots.borrow_mut().lend(agreement) {
                return Ok((Made::Lent(frame.clone()), frame));
            }
            let image = device.export(agreement)?;
            let frame = image.frame().clone();
            Ok((Made::Own(image), frame))
        };
        Ok(Producer::new(name, &self.offer()?, settings, allocate)?)
    }

    /// What the stream may have, and what this program can allocate: dma-bufs are the stream's.
    fn offer(&self) -> Result<Offer, Failure> {
        let mut offer = copy::offer(&self.device, Usage::TRANSFER_DESTINATION)?;
        for entry in &mut offer.entries {
            entry.exportable = true;
        }
        Ok(offer)
    }

    /// Keeps the node while there is no stream.
    fn wait_for_return(
        &mut self,
        options: &Options,
        stop: &Stop,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let name = options.stream.as_str();
        output.tell(&Told::Stream { name, there: false })?;
        let mut next = Instant::now();
        while !stop.asked() {
            if next <= Instant::now() {
                next = Instant::now() + LOOK;
                match self.consumer.reconnect() {
                    Ok(()) => {
                        self.generation = 0;
                        return output.tell(&Told::Stream { name, there: true });
                    }
                    Err(error) if comes_back(&error) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if let Some(node) = &mut self.node {
                node.dispatch(LOOK / 10)?;
            } else {
                std::thread::sleep(LOOK / 10);
            }
        }
        Ok(())
    }
}

/// Gives back what went to a peer that is gone.
fn land(flights: &mut Vec<Flight>) -> Result<(), Failure> {
    for flight in flights.drain(..) {
        match flight.reading.release(Fence::Signaled) {
            // The stream is over as well.
            Ok(()) | Err(Error::PeerGone | Error::Ended) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
