//! What happens once in the life of a stream, and how much of it is the drivers'. Both ends live in one process and one thread,
//! which serves them in turn: no waiting for each other is in these times.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use lucarne::vulkan::{Access, Image};
use lucarne::{Agreement, Extent, Frame, MemoryPath, Request, Usage};
use lucarne_stream::{self as stream, ConsumerEvent, ConsumerOptions, Delivery};

use crate::Result;
use crate::gl::{Context, FORMAT};
use crate::messages::{Once, Step};
use crate::vk::{TIMEOUT, Vulkan};

type Allocator = Box<dyn FnMut(&Agreement) -> lucarne::Result<(Rc<Image>, Frame)>>;
type Importer = Box<dyn FnMut(&Frame) -> lucarne::Result<Rc<lucarne::egl::Texture>>>;
type Producer = stream::Producer<Allocator>;
type Consumer = stream::Consumer<Importer>;

/// Time that drivers have taken so far.
#[derive(Debug, Clone, Default)]
struct Drivers(Rc<Cell<Duration>>);

impl Drivers {
    fn time<T>(&self, call: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let answer = call();
        self.0.set(self.0.get() + began.elapsed());
        answer
    }
}

/// One machine's drivers, and a folder to meet in.
struct Bench<'a> {
    vulkan: Rc<Vulkan>,
    context: Rc<Context>,
    folder: &'a Path,
    drivers: Drivers,
    taken: Vec<Once>,
}

/// Does everything once.
pub(crate) fn once(extent: Extent, folder: &Path) -> Result<Vec<Once>> {
    let mut bench = Bench {
        vulkan: Vulkan::open()?,
        context: Rc::new(Context::open()?),
        folder,
        drivers: Drivers::default(),
        taken: Vec::new(),
    };
    let mut producer = bench.step(Step::Bind, |bench| bench.bind(extent))?;
    let mut first = bench.step(Step::Connect, Bench::connect)?;
    bench.step(Step::Negotiate, |_| meet(&mut producer, &mut first))?;
    bench.step(Step::FirstFrame, |bench| {
        bench.frame(&mut producer, &mut first)
    })?;
    bench.step(Step::NextFrame, |bench| {
        bench.frame(&mut producer, &mut first)
    })?;
    let larger = Extent::new(extent.width + 64, extent.height + 64);
    bench.step(Step::Resize, |_| {
        producer.reconfigure(request(larger))?;
        meet(&mut producer, &mut first)
    })?;
    bench.step(Step::Join, |bench| {
        let mut second = bench.connect()?;
        meet(&mut producer, &mut second)
    })?;
    Ok(bench.taken)
}

fn request(extent: Extent) -> Request {
    Request::new(extent)
        .formats(&[FORMAT])
        .paths(&[MemoryPath::DmaBuf])
        .usage(Usage::TRANSFER_DESTINATION, Usage::SAMPLE)
}

/// Serves both until the consumer has imported a generation.
fn meet(producer: &mut Producer, consumer: &mut Consumer) -> Result<()> {
    let until = Instant::now() + TIMEOUT;
    while Instant::now() < until {
        producer.dispatch()?;
        consumer.dispatch()?;
        match consumer.event() {
            Some(ConsumerEvent::Generation { .. }) => return Ok(producer.dispatch()?),
            Some(ConsumerEvent::ImportFailed { reason, .. } | ConsumerEvent::Lost { reason }) => {
                return Err(reason.into());
            }
            _ => {}
        }
    }
    Err("they never agreed".into())
}

impl Bench<'_> {
    fn step<T>(&mut self, step: Step, take: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let drivers = self.drivers.0.get();
        let began = Instant::now();
        let outcome = take(self)?;
        self.taken.push(Once {
            step,
            micros: micros(began.elapsed()),
            drivers: micros(self.drivers.0.get().saturating_sub(drivers)),
        });
        Ok(outcome)
    }

    fn bind(&self, extent: Extent) -> Result<Producer> {
        let usage = Usage::TRANSFER_DESTINATION;
        let offer = self.drivers.time(|| self.vulkan.device.offer(usage))?;
        let (vulkan, drivers) = (Rc::clone(&self.vulkan), self.drivers.clone());
        let allocate: Allocator = Box::new(move |agreement| {
            let image = drivers.time(|| vulkan.device.export(agreement))?;
            let frame = image.frame().clone();
            Ok((Rc::new(image), frame))
        });
        let options = stream::ProducerOptions::of(request(extent))
            .patience(TIMEOUT)
            .directory(self.folder);
        Ok(Producer::bind("once", &offer, options, allocate)?)
    }

    fn connect(&self) -> Result<Consumer> {
        let offer = self
            .drivers
            .time(|| self.context.device.offer(Usage::SAMPLE))?;
        let (context, drivers) = (Rc::clone(&self.context), self.drivers.clone());
        let import: Importer = Box::new(move |frame| drivers.time(|| context.device.import(frame)));
        let options = ConsumerOptions::new(Delivery::Every).directory(self.folder);
        Ok(Consumer::connect("once", &offer, options, import)?)
    }

    fn frame(&self, producer: &mut Producer, consumer: &mut Consumer) -> Result<()> {
        let (drivers, egl) = (&self.drivers, &self.context.device);
        let slot = producer.acquire(TIMEOUT)?;
        let (image, gate) = (slot.image(), slot.gate());
        let access = Access::TransferDestination;
        let device = &self.vulkan.device;
        let done = drivers.time(|| device.write(image, gate, TIMEOUT, access, |_| {}))?;
        producer.send(slot, done, stream::now())?;
        let (reading, acquire) = consumer.receive(TIMEOUT)?.acquire();
        drivers.time(|| egl.read(reading.image(), &acquire, TIMEOUT))?;
        let done = drivers.time(|| egl.fence(TIMEOUT))?;
        Ok(reading.release(done)?)
    }
}
