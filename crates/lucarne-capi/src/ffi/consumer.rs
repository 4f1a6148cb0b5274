//! The end of a stream that watches.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::Duration;

use lucarne_stream::{Consumer, ConsumerOptions, Received};

use super::descriptor::LUCARNE_NO_FD;
use super::device::lucarne_device;
use super::error::{lucarne_error, lucarne_status};
use super::event::lucarne_event;
use super::guard::{self, given};
use super::image::lucarne_image;
use super::producer::lucarne_damage;
use super::turn::lucarne_reading;
use super::words::{LUCARNE_DELIVERY_LATEST, LUCARNE_MAX_DAMAGE};
use crate::convert;
use crate::failure::{Failure, Result};
use crate::stream::{Event, Importer};
use crate::turn::Reading;

/// A consumer of a named stream, with imports into its device. It has no thread: everything happens within its calls. End it with
/// `lucarne_consumer_free`. One thread at a time; with a device of EGL, the context's.
#[derive(Debug)]
pub struct lucarne_consumer(Consumer<Importer>);

/// How a stream is watched. Zeros stand for the usual.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_consumer_options {
    /// How long a release waits for a fence that cannot be sent to the producer, in nanoseconds; 0 for half a second.
    pub patience: u64,
    /// Which frames come: `LUCARNE_DELIVERY_…`; 0 for the latest.
    pub delivery: u32,
    /// 1 watches streams of other users too.
    pub allow_other_users: u32,
    /// 1 takes opaque memory too, with which a hostile producer can make this process crash.
    pub trust_producer: u32,
    /// Always 0.
    pub reserved: u32,
}

/// What is said of a stream's frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_frame_info {
    /// Its number in the stream, from 1.
    pub sequence: u64,
    /// When it was made, as its producer says: nanoseconds on `CLOCK_MONOTONIC`.
    pub timestamp: u64,
    /// How many frames this consumer missed between the one before and this.
    pub dropped: u64,
    /// The generation that it is of.
    pub generation: u64,
    /// Its slot's number within the generation, from 0.
    pub index: u32,
    /// 1 where only `damage` has changed since the stream's frame before; 0 where everything may have.
    pub has_damage: u32,
    /// How many of `damage` there are.
    pub damage_count: u32,
    /// Always 0.
    pub reserved: u32,
    /// The rectangles that have changed.
    pub damage: [lucarne_damage; 4],
}

/// Connects to a stream, and waits until there is one, `timeout` nanoseconds at most; `LUCARNE_STATUS_NOT_FOUND` when the time is over.
/// Does not wait for the producer's answer: that comes with the first frame.
///
/// `folder` is where the socket lies, or `NULL` for `$XDG_RUNTIME_DIR/lucarne`. `usage` is what is done with the frames: bits of
/// `LUCARNE_USAGE_…`. `options` may be `NULL`. Nothing is taken: the consumer shares the device, and imports each slot once.
///
/// # Safety
///
/// `folder` is `NULL`, or ends with a NUL; so is `name`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_consumer_connect(
    folder: *const c_char,
    name: *const c_char,
    device: Option<&lucarne_device>,
    usage: u32,
    options: Option<&lucarne_consumer_options>,
    timeout: u64,
    consumer: Option<&mut MaybeUninit<Option<Box<lucarne_consumer>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(consumer, "consumer", error, || {
        // SAFETY: this function's contract.
        let folder = unsafe { guard::text_or_null(folder, "folder") }?;
        // SAFETY: as above.
        let name = unsafe { guard::text(name, "name") }?;
        let device = given(device, "device")?.0.clone();
        let usage = convert::usage("usage", usage)?;
        let mut settings = settings(options)?.usage(usage);
        if let Some(folder) = folder {
            settings = settings.directory(folder);
        }
        let offer = device.offer(usage)?;
        let import = Importer { device, usage };
        let timeout = Duration::from_nanos(timeout);
        let consumer = Consumer::connect_wait(name, &offer, settings, import, timeout)?;
        Ok(lucarne_consumer(consumer))
    })
}

fn settings(options: Option<&lucarne_consumer_options>) -> Result<ConsumerOptions> {
    let options = options.copied().unwrap_or_default();
    let delivery = match options.delivery {
        0 => LUCARNE_DELIVERY_LATEST,
        asked => asked,
    };
    let mut settings = ConsumerOptions::new(convert::delivery(delivery)?);
    if options.patience != 0 {
        settings = settings.patience(Duration::from_nanos(options.patience));
    }
    if convert::flag("options.allow_other_users", options.allow_other_users)? {
        settings = settings.allow_other_users();
    }
    if convert::flag("options.trust_producer", options.trust_producer)? {
        settings = settings.trust_producer();
    }
    convert::zero("options.reserved", options.reserved)?;
    Ok(settings)
}

/// Connects again after the producer was lost, to the one that has the name now. Frames that are held stay as they are.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_consumer_reconnect(
    consumer: Option<&mut lucarne_consumer>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || Ok(given(consumer, "consumer")?.0.reconnect()?))
}

/// A descriptor for an event loop: readable when something has come, after `lucarne_consumer_try_receive` had nothing. Lent: do not
/// close it. `LUCARNE_NO_FD` for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_consumer_fd(consumer: Option<&lucarne_consumer>) -> i32 {
    consumer.map_or(LUCARNE_NO_FD, |consumer| consumer.0.as_fd().as_raw_fd())
}

/// Serves the socket: new generations, farewells. Does not block, but for the imports of a new generation. `lucarne_consumer_receive`
/// and its kin do the same.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_consumer_dispatch(
    consumer: Option<&mut lucarne_consumer>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || Ok(given(consumer, "consumer")?.0.dispatch()?))
}

/// The next frame's turn to read, or `LUCARNE_STATUS_WOULD_BLOCK` where there is none yet. Does not block.
///
/// `LUCARNE_STATUS_ENDED` once the producer has ended the stream and everything was taken, `LUCARNE_STATUS_PEER_GONE` once it is gone,
/// `LUCARNE_STATUS_REFUSED` where it refused.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_consumer_try_receive(
    consumer: Option<&mut lucarne_consumer>,
    reading: Option<&mut MaybeUninit<Option<Box<lucarne_reading>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(reading, "reading", error, || {
        let received = given(consumer, "consumer")?.0.try_receive()?;
        let received = received.ok_or_else(|| Failure::would_block("no frame has come"))?;
        Ok(taken(received))
    })
}

/// As `lucarne_consumer_try_receive`, but waits for a frame, `timeout` nanoseconds at most, or up to 50 ms more, and answers
/// `LUCARNE_STATUS_TIMEOUT` then.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_consumer_receive(
    consumer: Option<&mut lucarne_consumer>,
    timeout: u64,
    reading: Option<&mut MaybeUninit<Option<Box<lucarne_reading>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(reading, "reading", error, || {
        let consumer = &mut given(consumer, "consumer")?.0;
        Ok(taken(consumer.receive(Duration::from_nanos(timeout))?))
    })
}

fn taken(received: Received<lucarne_image>) -> lucarne_reading {
    let (turn, acquire) = received.acquire();
    lucarne_reading::new(Reading::Stream(turn), acquire)
}

/// What is said of a stream's frame. A pool's is refused.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_reading_describe(
    reading: Option<&lucarne_reading>,
    info: Option<&mut MaybeUninit<lucarne_frame_info>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(info, "info", error, || {
        let Reading::Stream(frame) = &given(reading, "reading")?.turn else {
            return Err(Failure::argument("reading", "a pool's", "a stream's"));
        };
        let mut info = lucarne_frame_info {
            sequence: frame.sequence(),
            timestamp: convert::nanoseconds(frame.timestamp()),
            dropped: frame.dropped(),
            generation: frame.generation(),
            index: u32::try_from(frame.index()).unwrap_or(u32::MAX),
            ..lucarne_frame_info::default()
        };
        if let Some(damage) = frame.damage() {
            info.has_damage = 1;
            for (place, one) in info.damage.iter_mut().zip(damage) {
                *place = lucarne_damage {
                    x: one.x,
                    y: one.y,
                    width: one.width,
                    height: one.height,
                };
                info.damage_count += 1;
            }
        }
        debug_assert!(info.damage_count <= LUCARNE_MAX_DAMAGE);
        Ok(info)
    })
}

/// The next thing that happened, or `NULL`. End it with `lucarne_event_free`. A program need not ask: the oldest of 256 are dropped.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_consumer_event(
    consumer: Option<&mut lucarne_consumer>,
) -> Option<Box<lucarne_event>> {
    guard::plain(None, || {
        let consumer = &mut consumer?.0;
        loop {
            if let Some(event) = Event::of_consumer(consumer.event()?) {
                return Some(Box::new(lucarne_event(event)));
            }
        }
    })
}

/// The producer's process, as the kernel knows it; 0 where it has no number here, and for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_consumer_producer_pid(consumer: Option<&lucarne_consumer>) -> u32 {
    guard::plain(0, || {
        let pid = consumer.and_then(|consumer| consumer.0.producer().pid);
        pid.unwrap_or(0)
    })
}

/// Ends a consumer. Frames that are held stay as they are. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_consumer_free(consumer: Option<Box<lucarne_consumer>>) {
    guard::free(consumer);
}
