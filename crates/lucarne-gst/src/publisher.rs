//! A sink's end of its stream: shared by the element, its pool, and the thread that serves consumers.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst_video::VideoInfo;
use lucarne::color::ColorDescription;
use lucarne::{Extent, Fence, Format, Request, Usage};
use lucarne_stream::{Producer, ProducerEvent, ProducerOptions, Result, SlotWriting};
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::convert;
use crate::import::is_as_usual;
use crate::lock;
use crate::pixels;
use crate::property::Place;
use crate::slot::{self, Allocator, Slot};

/// How long consumers wait for an answer at most, while no buffer comes.
const SERVICE: Duration = Duration::from_millis(20);

/// What frames are.
type Described = (Extent, Format, ColorDescription);

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) frames: AtomicU64,
    pub(crate) copies: AtomicU64,
    pub(crate) unseen: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

/// How a sink's stream is made.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) place: Place,
    pub(crate) slots: u32,
    pub(crate) max_wait: Duration,
}

struct Stream {
    producer: Producer<Allocator>,
    described: Described,
    /// To wait at while the producer is not locked.
    readable: Arc<OwnedFd>,
}

/// The stream, once there are caps.
pub(crate) struct Publisher {
    manner: Manner,
    stream: Mutex<Option<Stream>>,
    color: Arc<Mutex<ColorDescription>>,
    pub(crate) counts: Counts,
    is_over: AtomicBool,
    /// Slots that elements upstream have.
    held: Arc<AtomicUsize>,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher")
            .field("manner", &self.manner)
            .finish_non_exhaustive()
    }
}

impl Publisher {
    pub(crate) fn new(manner: Manner) -> Arc<Self> {
        Arc::new(Self {
            manner,
            stream: Mutex::new(None),
            color: Arc::new(Mutex::new(ColorDescription::SRGB)),
            counts: Counts::default(),
            is_over: AtomicBool::new(false),
            held: Arc::default(),
        })
    }

    /// Takes the stream's name, or makes its frames otherwise.
    pub(crate) fn describe(&self, described: Described) -> Result<()> {
        let (extent, format, color) = described;
        let request = Request::new(extent)
            .formats(&[format])
            .usage(Usage::TRANSFER_DESTINATION, Usage::SAMPLE);
        let mut stream = lock(&self.stream);
        *lock(&self.color) = color;
        if let Some(stream) = &mut *stream {
            if stream.described != described {
                stream.described = described;
                stream.producer.reconfigure(request)?;
            }
            return Ok(());
        }
        let Manner { place, slots, .. } = &self.manner;
        let mut options = ProducerOptions::of(request).slots(*slots as usize);
        if let Some(directory) = &place.directory {
            options = options.directory(directory);
        }
        if place.other_users {
            options = options.allow_other_users();
        }
        let allocator = Allocator::open(&self.color);
        let offer = allocator.offer();
        let producer = Producer::bind(&place.stream, &offer, options, allocator)?;
        let readable = producer.as_fd().try_clone_to_owned();
        let readable = readable.map_err(|source| lucarne_stream::Error::Os {
            operation: "duplicating the stream's descriptor",
            source,
            help: "",
        })?;
        *stream = Some(Stream {
            producer,
            described,
            readable: Arc::new(readable),
        });
        Ok(())
    }

    /// Ends the stream.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Relaxed);
        if let Some(stream) = lock(&self.stream).take() {
            stream.producer.end();
        }
    }

    pub(crate) fn consumers(&self) -> usize {
        lock(&self.stream)
            .as_ref()
            .map_or(0, |stream| stream.producer.consumers())
    }

    /// Serves consumers until the stream is over, and tells what happens.
    pub(crate) fn serve(&self, mut tell: impl FnMut(&ProducerEvent)) {
        while !self.is_over.load(Relaxed) {
            let mut events = Vec::new();
            if let Some(stream) = &mut *lock(&self.stream) {
                // What a consumer did wrong is an event; what else fails, fails again where a frame is sent.
                let _ = stream.producer.dispatch();
                events.extend(std::iter::from_fn(|| stream.producer.event()));
            }
            events.iter().for_each(&mut tell);
            self.sleep(SERVICE);
        }
    }

    /// Until something comes from a consumer, `time` at most.
    fn sleep(&self, time: Duration) {
        let readable = lock(&self.stream)
            .as_ref()
            .map(|stream| Arc::clone(&stream.readable));
        let Some(readable) = readable else {
            std::thread::sleep(time);
            return;
        };
        let limit = Timespec::try_from(time).ok();
        let mut fds = [PollFd::new(&readable, PollFlags::IN)];
        // An error is a short sleep.
        let _ = rustix::event::poll(&mut fds, limit.as_ref());
    }

    /// A slot of the present kind that nobody looks at any more.
    fn free_slot(&self, described: &Described) -> Option<SlotWriting<Arc<Slot>>> {
        let mut stream = lock(&self.stream);
        let producer = &mut stream.as_mut()?.producer;
        // Those that GStreamer still shows go back when a better one was found.
        let mut shown = Vec::new();
        loop {
            let slot = producer.try_acquire().ok()??;
            let layout = slot.image().layout();
            if (layout.extent(), layout.format(), layout.color()) != *described {
                return None;
            }
            if !slot.image().is_shown() {
                return Some(slot);
            }
            shown.push(slot);
        }
    }

    /// A slot for an element upstream to write into. Waits for one as long as a buffer may wait in [`send`](Self::send), but not for
    /// those that the elements upstream have themselves.
    pub(crate) fn lend(&self, info: &VideoInfo, takes_strides: bool) -> Option<gst::Buffer> {
        let described = convert::described(info)?;
        let are_elsewhere = || {
            let held = u32::try_from(self.held.load(Relaxed)).unwrap_or(u32::MAX);
            self.consumers() > 0 && held < self.manner.slots
        };
        let slot = self.wait_for_slot(&described, are_elsewhere)?;
        if !takes_strides && !is_as_usual(slot.image().layout(), info) {
            return None;
        }
        slot::show(slot, info, self.manner.max_wait, &self.held).ok()
    }

    /// A free slot within the longest wait, while waiting makes sense.
    fn wait_for_slot(
        &self,
        described: &Described,
        makes_sense: impl Fn() -> bool,
    ) -> Option<SlotWriting<Arc<Slot>>> {
        let begun = Instant::now();
        loop {
            let slot = self.free_slot(described);
            let left = self.manner.max_wait.saturating_sub(begun.elapsed());
            if slot.is_some() || left.is_zero() || !makes_sense() {
                return slot;
            }
            self.sleep(left.min(Duration::from_millis(5)));
        }
    }

    /// Sends a buffer, in its own memory if that is a slot. Says how many consumers got it.
    ///
    /// # Errors
    ///
    /// In words, where the buffer cannot be read or the stream fails.
    pub(crate) fn send(
        &self,
        buffer: &gst::Buffer,
        info: &VideoInfo,
        is_flushing: impl Fn() -> bool,
    ) -> std::result::Result<usize, String> {
        if self.consumers() == 0 {
            self.counts.unseen.fetch_add(1, Relaxed);
            return Ok(0);
        }
        let slot = match slot::take(buffer) {
            Some(slot) => slot,
            None => match self.copied(buffer, info, is_flushing)? {
                Some(slot) => slot,
                None => {
                    self.counts.dropped.fetch_add(1, Relaxed);
                    return Ok(0);
                }
            },
        };
        let Some(stream) = &mut *lock(&self.stream) else {
            return Ok(0);
        };
        // The CPU has written it.
        let sent = stream
            .producer
            .send(slot, Fence::Signaled, lucarne_stream::now());
        let sent = sent.map_err(|error| error.to_string())?;
        self.counts.frames.fetch_add(1, Relaxed);
        Ok(sent)
    }

    /// The pixels in a slot; `None` while there is none.
    fn copied(
        &self,
        buffer: &gst::Buffer,
        info: &VideoInfo,
        is_flushing: impl Fn() -> bool,
    ) -> std::result::Result<Option<SlotWriting<Arc<Slot>>>, String> {
        let Some(described) = convert::described(info) else {
            return Ok(None);
        };
        let Some(slot) = self.wait_for_slot(&described, || !is_flushing()) else {
            return Ok(None);
        };
        let Ok(mut target) = slot::show(slot, info, self.manner.max_wait, &self.held) else {
            return Ok(None);
        };
        pixels::copy(buffer, target.make_mut(), info).map_err(|error| error.to_string())?;
        self.counts.copies.fetch_add(1, Relaxed);
        Ok(slot::take(&target))
    }
}
