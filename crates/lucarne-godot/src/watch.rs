//! The consumer's end of a stream, which never waits: frames are taken when their fence has signalled.

use std::rc::Rc;
use std::time::{Duration, Instant};

use lucarne::{Fence, Frame, MemoryPath, Usage, cpu, vulkan};
use lucarne_stream::wire::FarewellReason;
use lucarne_stream::{Consumer, ConsumerEvent, ConsumerOptions, Delivery, Error, Reading, Result};

use crate::gpu::{Gpu, Way};
use crate::{host, say};

/// How long a frame's fence may take. A frame beyond it is given back unseen.
const PATIENCE: Duration = Duration::from_secs(1);

/// A stream that is watched, on the GPU or through host memory.
pub(crate) enum Watch {
    Gpu(Rc<Gpu>, End<vulkan::Image>),
    Host(End<cpu::Image>),
}

/// One end, whose imports are `I`.
pub(crate) struct End<I: 'static> {
    consumer: Consumer<Imports<I>>,
    held: Option<Held<I>>,
    /// Of each frame, by whoever shows it.
    copies: i64,
    pub(crate) told: Told,
}

type Imports<I> = Box<dyn FnMut(&Frame) -> lucarne::Result<I>>;

/// What is known of how frames come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// Of which generation; 0 before the first.
    pub(crate) generation: u64,
    pub(crate) path: Option<MemoryPath>,
    /// Of a frame, on this side.
    pub(crate) copies: i64,
    /// What gates the turns.
    pub(crate) fences: String,
    /// Why no better path is taken, or what else is wrong.
    pub(crate) reason: String,
}

struct Held<I: 'static> {
    reading: Reading<I>,
    ready: Fence,
    since: Instant,
}

impl Watch {
    /// Connects; does not wait for the producer's answer.
    pub(crate) fn connect(way: &Way, name: &str, trust: bool) -> Result<Self> {
        let mut options = ConsumerOptions::new(Delivery::Latest);
        if trust {
            options = options.trust_producer();
        }
        match way {
            Way::Gpu(gpu) => {
                let usage = Usage::TRANSFER_SOURCE;
                let mut offer = gpu.device.offer(usage)?;
                offer.name = format!("Godot: {}", offer.name);
                let known = |format| crate::convert::data_format(format).is_some();
                offer.entries.retain(|entry| known(entry.format));
                let device = gpu.device.clone();
                let import: Imports<vulkan::Image> =
                    Box::new(move |frame| device.import(frame, usage));
                let consumer = Consumer::connect(name, &offer, options.usage(usage), import)?;
                Ok(Self::Gpu(Rc::clone(gpu), End::new(consumer, 1)))
            }
            Way::Host(_) => {
                let device = host::open()?;
                let mut offer = host::offer(&device, Usage::SAMPLE)?;
                offer.name = format!("Godot: {}", offer.name);
                let import: Imports<cpu::Image> = Box::new(move |frame| device.import(frame));
                let consumer = Consumer::connect(name, &offer, options, import)?;
                // The CPU's, and Godot's upload.
                Ok(Self::Host(End::new(consumer, 2)))
            }
        }
    }

    pub(crate) fn told(&self) -> &Told {
        match self {
            Self::Gpu(_, end) => &end.told,
            Self::Host(end) => &end.told,
        }
    }
}

/// Whether the producer has nothing that the GPU could import, so that host memory is worth a try.
pub(crate) fn nothing_in_common(error: &Error) -> bool {
    matches!(error, Error::Refused(farewell) if farewell.reason == FarewellReason::Incompatible)
}

impl<I> End<I> {
    fn new(consumer: Consumer<Imports<I>>, copies: i64) -> Self {
        Self {
            consumer,
            held: None,
            copies,
            told: Told::default(),
        }
    }

    /// The newest frame whose fence has signalled, until it is [released](Self::release).
    pub(crate) fn ready(&mut self) -> Result<Option<(&I, &Fence)>> {
        if self.held.is_none() {
            let received = self.consumer.try_receive();
            self.hear();
            self.held = received?.map(|received| {
                let (reading, ready) = received.acquire();
                Held {
                    reading,
                    ready,
                    since: Instant::now(),
                }
            });
        }
        let Some(held) = &self.held else {
            return Ok(None);
        };
        if !held.ready.is_signaled()? {
            if held.since.elapsed() > PATIENCE {
                self.told.reason = "a frame's fence did not signal within a second".to_owned();
                self.release(Fence::Signaled)?;
            }
            return Ok(None);
        }
        let held = self.held.as_ref();
        Ok(held.map(|held| (held.reading.image(), &held.ready)))
    }

    /// Gives the frame back.
    pub(crate) fn release(&mut self, fence: Fence) -> Result<()> {
        let held = self.held.take();
        held.map_or(Ok(()), |held| held.reading.release(fence))
    }

    fn hear(&mut self) {
        while let Some(event) = self.consumer.event() {
            match event {
                ConsumerEvent::Generation {
                    number,
                    rung,
                    refused,
                    needs_trust,
                    acquire,
                    ..
                } => {
                    let trust = if needs_trust {
                        "`trust_producer` would allow opaque memory"
                    } else {
                        ""
                    };
                    self.told = Told {
                        generation: number,
                        path: Some(rung.path()),
                        copies: self.copies,
                        fences: acquire.to_string(),
                        reason: say::join(&say::refused(&refused), trust),
                    };
                }
                ConsumerEvent::ImportFailed { reason, .. } => self.told.reason = reason,
                _ => {}
            }
        }
    }
}

impl<I> Drop for End<I> {
    fn drop(&mut self) {
        // Nothing reads it: a copy that was submitted has released it.
        _ = self.release(Fence::Signaled);
    }
}
