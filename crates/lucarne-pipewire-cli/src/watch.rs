//! `lucarne pipewire watch`: a PipeWire node as a stream.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use lucarne::color::ColorDescription;
use lucarne::{Agreement, FrameLayout, Received, Request, Usage, cpu};
use lucarne_pipewire::{Consumer, ConsumerOptions, Delivery, Event, NodeFrame};
use lucarne_stream::{Allocate, Producer, ProducerOptions};

use crate::copy::{self, copy};
use crate::output::{Output, Told};
use crate::{Common, Failure, Stop, wait};

/// How long nothing may come before it is told why.
const UNLINKED: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
#[command(after_help = "\
The stream has the node's newest frames, copied once by the CPU: PipeWire makes its buffers when it likes, and a stream keeps its own. So \
frames come as linear dma-bufs or shared memory.

A session manager links the node. Without one: pw-link NODE:PORT lucarne-NAME:PORT.")]
pub(crate) struct Options {
    /// The node's name or serial number; `pw-cli ls Node` shows them.
    node: String,
    /// The stream to make.
    name: String,
    #[command(flatten)]
    common: Common,
}

/// What the stream is made of.
struct Out<'a> {
    device: cpu::Device,
    folder: &'a Path,
    name: &'a str,
    color: Rc<Cell<ColorDescription>>,
}

type Made = Box<dyn FnMut(&Agreement) -> lucarne::Result<(cpu::Image, lucarne::Frame)>>;

impl Out<'_> {
    fn request(layout: &FrameLayout) -> Request {
        Request::new(layout.extent())
            .formats(&[layout.format()])
            .usage(Usage::TRANSFER_DESTINATION, Usage::SAMPLE)
    }

    fn bind(&self, layout: &FrameLayout) -> Result<Producer<Made>, Failure> {
        let offer = copy::offer(&self.device, Usage::TRANSFER_DESTINATION)?;
        let options = ProducerOptions::of(Self::request(layout)).directory(self.folder);
        let (device, color) = (self.device.clone(), Rc::clone(&self.color));
        let allocate: Made = Box::new(move |agreement| {
            let image = device.export(agreement)?;
            let frame = image.frame().with_color(color.get())?;
            Ok((image, frame))
        });
        Ok(Producer::bind(self.name, &offer, options, allocate)?)
    }
}

#[derive(Default)]
struct Counts {
    frames: u64,
    missed: u64,
}

pub(crate) fn run(options: &Options, stop: &Stop, output: &mut Output) -> Result<u64, Failure> {
    let folder = options.common.folder()?;
    lucarne_stream::check_name(&options.name)?;
    let device = copy::device()?;
    let mut consumer = connect(options, &device)?;
    let out = Out {
        device,
        folder: &folder,
        name: &options.name,
        color: Rc::new(Cell::new(ColorDescription::SRGB)),
    };
    let mut making: Option<(Producer<Made>, FrameLayout)> = None;
    let mut counts = Counts::default();
    let mut ask = Some(Instant::now() + UNLINKED);
    while !stop.asked() && !options.common.is_enough(counts.frames) {
        match &making {
            Some((producer, _)) => wait(&[consumer_fd(&consumer), producer_fd(producer)])?,
            None => wait(&[consumer_fd(&consumer)])?,
        }
        consumer.dispatch(Duration::ZERO)?;
        tell(&mut consumer, output)?;
        if ask.is_some_and(|at| at <= Instant::now()) {
            ask = None;
            tell_why_not(&consumer, &options.node, output)?;
        }
        if let Some((producer, _)) = &mut making {
            producer.dispatch()?;
            while producer.event().is_some() {}
        }
        if let Some(received) = consumer.try_receive() {
            pass_on(received, &out, &mut making, &mut counts)?;
        }
    }
    if let Some((producer, _)) = making {
        producer.end();
    }
    let Counts { frames, missed } = counts;
    output.tell(&Told::Ended {
        frames,
        missed,
        copied: frames,
    })?;
    Ok(frames)
}

fn connect(options: &Options, device: &cpu::Device) -> Result<Consumer<cpu::Image>, Failure> {
    let formats: Vec<_> = lucarne_pipewire::formats().collect();
    let mut settings = ConsumerOptions::new(Delivery::Latest)
        .formats(&formats)
        .target(&options.node);
    if let Some(remote) = &options.common.remote {
        settings = settings.remote(remote);
    }
    let offer = copy::offer(device, Usage::SAMPLE)?;
    let node = format!("lucarne-{}", options.name);
    let device = device.clone();
    Ok(Consumer::new(&node, &offer, settings, move |frame| {
        device.import(frame)
    })?)
}

/// Says once why nothing comes.
fn tell_why_not(
    consumer: &Consumer<cpu::Image>,
    node: &str,
    output: &mut Output,
) -> Result<(), Failure> {
    if consumer.negotiated().is_some() {
        return Ok(());
    }
    let text = match consumer.explain(node, UNLINKED) {
        Ok(Some(explanation)) => match &explanation.outcome {
            Ok(_) => format!("{node} is there, and nobody has linked it to this node yet"),
            Err(_) => explanation.to_string(),
        },
        Ok(None) => format!("there is no node {node:?} with video; waiting for it"),
        // The node tells that there is no daemon.
        Err(_) => return Ok(()),
    };
    output.tell(&Told::Node { text })
}

fn consumer_fd(consumer: &Consumer<cpu::Image>) -> std::os::fd::BorrowedFd<'_> {
    use std::os::fd::AsFd as _;
    consumer.as_fd()
}

fn producer_fd<A: Allocate>(producer: &Producer<A>) -> std::os::fd::BorrowedFd<'_> {
    use std::os::fd::AsFd as _;
    producer.as_fd()
}

fn tell(consumer: &mut Consumer<cpu::Image>, output: &mut Output) -> Result<(), Failure> {
    while let Some(event) = consumer.event() {
        if let Event::Negotiated(now) = &event {
            output.tell(&Told::negotiated(now, 1))?;
        } else if let Some(told) = Told::of(&event) {
            output.tell(&told)?;
        }
    }
    Ok(())
}

/// Copies one frame into a slot of the stream's, if there is one.
fn pass_on(
    received: Received<NodeFrame<cpu::Image>>,
    out: &Out<'_>,
    making: &mut Option<(Producer<Made>, FrameLayout)>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let layout = received.frame().layout().clone();
    let same = |one: &FrameLayout| {
        (one.extent(), one.format(), one.color())
            == (layout.extent(), layout.format(), layout.color())
    };
    out.color.set(layout.color());
    let (producer, made) = match making {
        Some(making) => making,
        None => making.insert((out.bind(&layout)?, layout.clone())),
    };
    if !same(made) {
        producer.reconfigure(Out::request(&layout))?;
        *made = layout.clone();
    }
    let pts = received
        .metadata()
        .pts
        .and_then(|pts| u64::try_from(pts).ok());
    let (reading, acquire) = received.acquire();
    let Some(slot) = producer.try_acquire()? else {
        // Where nobody reads the stream, nothing is missed.
        counts.missed += u64::from(producer.consumers() > 0);
        reading.release(lucarne::Fence::Signaled);
        return Ok(());
    };
    if !same(slot.image().frame().layout()) {
        // A slot of the generation before.
        counts.missed += 1;
        reading.release(lucarne::Fence::Signaled);
        return Ok(());
    }
    let done = copy(reading.image(), &acquire, slot.image(), slot.gate())?;
    let timestamp = pts.map_or_else(lucarne_stream::now, Duration::from_nanos);
    producer.send(slot, done, timestamp)?;
    reading.release(lucarne::Fence::Signaled);
    counts.frames += 1;
    Ok(())
}
