//! The end of a stream that makes frames.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::Duration;

use lucarne_stream::{Damage, Producer, ProducerOptions};

use super::descriptor::LUCARNE_NO_FD;
use super::device::lucarne_device;
use super::error::{lucarne_error, lucarne_status};
use super::event::lucarne_event;
use super::fence::lucarne_fence;
use super::guard::{self, given};
use super::request::lucarne_request;
use super::turn::lucarne_writing;
use crate::convert;
use crate::failure::{Failure, Result};
use crate::stream::{Colors, Event, Exporter};
use crate::turn::Writing;

/// The producer of a named stream, with images of its device. It has no thread: everything happens within its calls. End it with
/// `lucarne_producer_end`, or with `lucarne_producer_free`. One thread at a time; with a device of EGL, the context's.
#[derive(Debug)]
pub struct lucarne_producer {
    producer: Producer<Exporter>,
    colors: Colors,
}

/// How a stream is made. Zeros stand for the usual.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_producer_options {
    /// How long a consumer may take before it is cut off, in nanoseconds; 0 for half a second.
    pub patience: u64,
    /// How many images there are, 2 to 16; 0 for 3.
    pub slots: u32,
    /// How many consumers may watch, 1 to 64; 0 for 64.
    pub consumers: u32,
    /// 1 lets consumers of other users in.
    pub allow_other_users: u32,
    /// Always 0.
    pub reserved: u32,
}

/// A rectangle of a frame that differs from the frame before, in pixels.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_damage {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// At least 1.
    pub width: u32,
    /// At least 1.
    pub height: u32,
}

/// Takes a name: 1 to 64 of `a-z A-Z 0-9 - _ .`, no dot first. Consumers may connect from now on; the first one decides what frames
/// look like, and then the device makes the images.
///
/// `folder` is where the socket lies, or `NULL` for `$XDG_RUNTIME_DIR/lucarne`. `request` says what is wanted of frames, its producer
/// usage what is done with the images. `options` may be `NULL`. Nothing is taken: the producer shares the device.
///
/// # Safety
///
/// `folder` is `NULL`, or ends with a NUL; so is `name`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_producer_bind(
    folder: *const c_char,
    name: *const c_char,
    device: Option<&lucarne_device>,
    request: Option<&lucarne_request>,
    options: Option<&lucarne_producer_options>,
    producer: Option<&mut MaybeUninit<Option<Box<lucarne_producer>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(producer, "producer", error, || {
        // SAFETY: this function's contract.
        let folder = unsafe { guard::text_or_null(folder, "folder") }?;
        // SAFETY: as above.
        let name = unsafe { guard::text(name, "name") }?;
        let device = given(device, "device")?.0.clone();
        let asked = given(request, "request")?;
        let (request, colors) = (asked.request(), Colors::new(asked.color()?));
        let offer = device.offer(request.producer)?;
        let mut settings = settings(ProducerOptions::of(request.clone()), options)?;
        if let Some(folder) = folder {
            settings = settings.directory(folder);
        }
        let exporter = Exporter {
            device,
            colors: colors.clone(),
        };
        let producer = Producer::bind(name, &offer, settings, exporter)?;
        Ok(lucarne_producer { producer, colors })
    })
}

fn settings(
    mut settings: ProducerOptions,
    options: Option<&lucarne_producer_options>,
) -> Result<ProducerOptions> {
    let Some(options) = options else {
        return Ok(settings);
    };
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    if options.patience != 0 {
        settings = settings.patience(Duration::from_nanos(options.patience));
    }
    if options.slots != 0 {
        settings = settings.slots(count(options.slots));
    }
    if options.consumers != 0 {
        settings = settings.consumers(count(options.consumers));
    }
    if convert::flag("options.allow_other_users", options.allow_other_users)? {
        settings = settings.allow_other_users();
    }
    convert::zero("options.reserved", options.reserved)?;
    Ok(settings)
}

/// A descriptor for an event loop: readable when `lucarne_producer_dispatch` has something to do. Lent: do not close it.
/// `LUCARNE_NO_FD` for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_producer_fd(producer: Option<&lucarne_producer>) -> i32 {
    producer.map_or(LUCARNE_NO_FD, |producer| {
        producer.producer.as_fd().as_raw_fd()
    })
}

/// When `lucarne_producer_dispatch` should be called at the latest if nothing is readable before: in so many nanoseconds.
/// `UINT64_MAX` for never.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_producer_timeout(producer: Option<&lucarne_producer>) -> u64 {
    guard::plain(u64::MAX, || {
        let timeout = producer.and_then(|producer| producer.producer.timeout());
        timeout.map_or(u64::MAX, convert::nanoseconds)
    })
}

/// Serves the sockets: lets newcomers in, hears answers, and takes back the slots of whoever is gone. Does not block, but for the images
/// of a new generation.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_producer_dispatch(
    producer: Option<&mut lucarne_producer>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        Ok(given(producer, "producer")?.producer.dispatch()?)
    })
}

/// A turn to write, or `LUCARNE_STATUS_WOULD_BLOCK` while nobody has connected yet, or all slots are with consumers. Does not block.
/// Then the descriptor becomes readable when something has come: wait for that, and call this again.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_producer_try_acquire(
    producer: Option<&mut lucarne_producer>,
    writing: Option<&mut MaybeUninit<Option<Box<lucarne_writing>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(writing, "writing", error, || {
        let slot = given(producer, "producer")?.producer.try_acquire()?;
        let slot = slot.ok_or_else(|| Failure::would_block("no slot is free"))?;
        Ok(lucarne_writing::new(Writing::Stream(slot)))
    })
}

/// As `lucarne_producer_try_acquire`, but waits for a slot, `timeout` nanoseconds at most, and answers `LUCARNE_STATUS_TIMEOUT` then.
/// Consumers are served meanwhile.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_producer_acquire(
    producer: Option<&mut lucarne_producer>,
    timeout: u64,
    writing: Option<&mut MaybeUninit<Option<Box<lucarne_writing>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(writing, "writing", error, || {
        let producer = &mut given(producer, "producer")?.producer;
        let slot = producer.acquire(Duration::from_nanos(timeout))?;
        Ok(lucarne_writing::new(Writing::Stream(slot)))
    })
}

/// Passes a slot to every consumer. `acquire` signals when the writing is done, and stays the caller's; `timestamp` is on
/// `CLOCK_MONOTONIC`, in nanoseconds (`lucarne_now`). `consumers`, which may be `NULL`, gets how many have it. Ends `writing`, whatever it
/// answers. A slot of a generation that is over, or of another producer, is sent to nobody. Blocks only for a fence that cannot travel.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_producer_send(
    producer: Option<&mut lucarne_producer>,
    writing: Option<Box<lucarne_writing>>,
    acquire: Option<&lucarne_fence>,
    timestamp: u64,
    consumers: Option<&mut MaybeUninit<usize>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        send(producer, writing, acquire, timestamp, None, consumers)
    })
}

/// As `lucarne_producer_send`, and says which parts of the frame differ from the frame before: `count` rectangles, of which none
/// means that nothing has changed. More than `LUCARNE_MAX_DAMAGE` count as a change of everything.
///
/// # Safety
///
/// `damage` is `NULL`, or points to `count` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_producer_send_with_damage(
    producer: Option<&mut lucarne_producer>,
    writing: Option<Box<lucarne_writing>>,
    acquire: Option<&lucarne_fence>,
    timestamp: u64,
    damage: *const lucarne_damage,
    count: usize,
    consumers: Option<&mut MaybeUninit<usize>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        // SAFETY: this function's contract.
        let given_damage = unsafe { guard::array(damage, count, "damage") }?;
        let rectangle = |one: &lucarne_damage| Damage {
            x: one.x,
            y: one.y,
            width: one.width,
            height: one.height,
        };
        let damage: Vec<Damage> = given_damage.iter().map(rectangle).collect();
        send(
            producer,
            writing,
            acquire,
            timestamp,
            Some(&damage),
            consumers,
        )
    })
}

fn send(
    producer: Option<&mut lucarne_producer>,
    writing: Option<Box<lucarne_writing>>,
    acquire: Option<&lucarne_fence>,
    timestamp: u64,
    damage: Option<&[Damage]>,
    consumers: Option<&mut MaybeUninit<usize>>,
) -> Result<()> {
    let place = consumers.map(|place| place.write(0));
    let producer = &mut given(producer, "producer")?.producer;
    let slot = given(writing, "writing")?.into_turn().of_stream()?;
    let acquire = given(acquire, "acquire")?.fence().clone();
    let timestamp = Duration::from_nanos(timestamp);
    let reached = match damage {
        None => producer.send(slot, acquire, timestamp)?,
        Some(damage) => producer.send_with_damage(slot, acquire, timestamp, damage)?,
    };
    if let Some(place) = place {
        *place = reached;
    }
    Ok(())
}

/// Asks for other frames: another size or format, for instance. A new generation follows. The request stays the caller's. Does not
/// block, but for its images.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_producer_reconfigure(
    producer: Option<&mut lucarne_producer>,
    request: Option<&lucarne_request>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let lucarne_producer { producer, colors } = given(producer, "producer")?;
        let request = given(request, "request")?;
        // Before: its images may be made at once.
        let before = colors.set(request.color()?);
        let done = producer.reconfigure(request.request().clone());
        if done.is_err() {
            colors.set(before);
        }
        Ok(done?)
    })
}

/// Tells consumers that no frames come for a while.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_producer_pause(
    producer: Option<&mut lucarne_producer>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        given(producer, "producer")?.producer.pause();
        Ok(())
    })
}

/// Tells consumers that frames come again.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_producer_resume(
    producer: Option<&mut lucarne_producer>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        given(producer, "producer")?.producer.resume();
        Ok(())
    })
}

/// The next thing that happened, or `NULL`. End it with `lucarne_event_free`. A program need not ask: the oldest of 256 are dropped.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_producer_event(
    producer: Option<&mut lucarne_producer>,
) -> Option<Box<lucarne_event>> {
    guard::plain(None, || {
        let producer = &mut producer?.producer;
        loop {
            if let Some(event) = Event::of_producer(producer.event()?) {
                return Some(Box::new(lucarne_event(event)));
            }
        }
    })
}

/// How many consumers get frames. 0 for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_producer_consumers(producer: Option<&lucarne_producer>) -> usize {
    guard::plain(0, || {
        producer.map_or(0, |producer| producer.producer.consumers())
    })
}

/// The number of the last frame that was sent; 0 before the first.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_producer_sequence(producer: Option<&lucarne_producer>) -> u64 {
    guard::plain(0, || {
        producer.map_or(0, |producer| producer.producer.sequence())
    })
}

/// Ends the stream: consumers hear so, and can still take what was sent. Ends `producer`. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_producer_end(producer: Option<Box<lucarne_producer>>) {
    guard::plain((), || {
        if let Some(producer) = producer {
            producer.producer.end();
        }
    });
}

/// Hangs up without a word, as a program that dies does: consumers may wait for the next producer of the name. Ends `producer`.
/// `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_producer_free(producer: Option<Box<lucarne_producer>>) {
    guard::free(producer);
}
