//! Named streams of frames between processes: one producer, up to 64 consumers, no copied pixel.
//!
//! A [`Producer`] takes a name and says what its device can do. Each [`Consumer`] says what *its* device can do; all of them
//! agree on one format, modifier and memory path, the producer makes its images, and each consumer imports them once. From
//! then on a frame costs each side a few words in shared memory: no descriptor, no allocation, no copy, and a system call only
//! where the other side sleeps.
//!
//! ```
//! use std::time::Duration;
//!
//! use lucarne::{Agreement, Extent, Fence, Frame, Usage, cpu};
//! use lucarne_stream::{Consumer, ConsumerOptions, Delivery, Producer, ProducerOptions};
//!
//! const SOON: Duration = Duration::from_secs(5);
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! // The producer's process. A `vulkan::Device` or an `egl::Device` is used in the same way.
//! let device = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?;
//! let offer = device.offer(Usage::RENDER)?;
//! let options = ProducerOptions::new(Extent::new(640, 480)).directory(folder);
//! let allocate = |agreement: &Agreement| {
//!     let image = device.export(agreement)?;
//!     let frame = image.frame().clone();
//!     Ok((image, frame))
//! };
//! let mut producer = Producer::bind("scene", &offer, options, allocate)?;
//!
//! // The consumer's process.
//! let device = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?;
//! let options = ConsumerOptions::new(Delivery::Latest).directory(folder);
//! let import = |frame: &Frame| device.import(frame);
//! let offer = device.offer(Usage::SAMPLE)?;
//! let mut consumer = Consumer::connect("scene", &offer, options, import)?;
//! # while producer.consumers() == 0 {
//! #     producer.dispatch()?;
//! #     consumer.dispatch()?;
//! # }
//!
//! // Each frame: take a slot, wait for its gate, draw, send …
//! let slot = producer.acquire(SOON)?;
//! let drawn = slot.image().write(slot.gate(), SOON, |rows| rows.write_row(0, 0, &[255; 2560]))?;
//! producer.send(slot, drawn, lucarne_stream::now())?;
//!
//! // … receive, wait for the acquire fence, read, give back.
//! let (reading, acquire) = consumer.receive(SOON)?.acquire();
//! let mut row = [0; 2560];
//! let read = reading.image().read(&acquire, SOON, |rows| rows.read_row(0, 0, &mut row))?;
//! reading.release(read)?;
//! assert_eq!(row, [255; 2560]);
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! - **Nothing from a peer is believed.** Messages and the words of the ring are read once and checked. The kernel is asked for
//!   sizes and seals. Descriptors are counted, and closed when they are too many. A peer can spoil its own frames, and
//!   nothing else.
//! - **Nobody waits for a peer beyond a deadline.** Slow, stopped and silent consumers are cut off when the producer runs out of
//!   slots for longer than its [patience](ProducerOptions::patience), and those whose release fences do not signal within it; the slots
//!   of one that dies come back at once. A consumer of [`Every`](Delivery::Every) frame sets the pace as long as it keeps within
//!   that patience. Who was cut off and comes back has less time and is let in later, also as another process of the same user.
//! - **A producer that dies leaves its last frame** with whoever holds it, and [`Consumer::reconnect`] finds the next one.
//!
//! There are no threads in here, and no async runtime: both ends give a descriptor to poll and calls that do not block. There
//! is one exception: descriptors of a hostile peer that may take for ever to close are closed on a thread of their own.
//! With the features `tokio` and `calloop` there are adapters for these two event loops; `serde` writes tickets down.
//! The protocol, byte by byte, is in the repository's `docs/protocol.md`.
//!
//! # Frames by hand
//!
//! A frame can also be passed without a stream. Fences do not travel then: both ends agree on their own whose turn it is.
//!
//! | the frame goes | with | works for |
//! |---|---|---|
//! | over a Unix socket of the program's own | [`send_frame`], [`receive_frame`] | all memory, any two processes, sandboxes too |
//! | over another transport with descriptors, such as D-Bus | [`encode_frame`], [`decode_frame`] | the same |
//! | nowhere: the other process takes it, knowing its [`FrameTicket`] | [`fetch_frame`] (`pidfd_getfd`) | all memory, between processes that may trace each other |
//! | nowhere: the other process opens its path | [`open_frame`] (`/proc/PID/fd/N`) | host memory, between processes of one user |
//!
//! `docs/shared-memory.md` compares the kinds of memory, and tells who may fetch from whom.

// Badges that say which feature an item needs; docs.rs sets this.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

#[cfg(feature = "calloop")]
pub mod calloop;
mod closing;
mod consumer;
mod deadline;
mod descriptor;
mod discovery;
mod error;
mod events;
mod frame_message;
mod generation;
mod producer;
mod ring;
mod socket;
mod ticket;
#[cfg(feature = "tokio")]
pub mod tokio;
mod watcher;
pub mod wire;

pub use consumer::{Consumer, ConsumerEvent, ConsumerOptions, Reading, Received, StreamFrame};
pub use discovery::{Found, MAX_STREAM_NAME, check_name, describe, directory, streams, streams_in};
pub use error::{Error, Result};
pub use frame_message::{decode_frame, encode_frame, receive_frame, send_frame};
pub use generation::{Allocate, Import, SlotWriting};
pub use producer::{MAX_CONSUMERS, Producer, ProducerEvent, ProducerOptions};
pub use ring::{Breach, Damage, MAX_DAMAGE};
pub use ticket::{FrameTicket, TicketAccess, allow_fetch_by, fetch_frame, open_frame};
pub use watcher::{Change, Watcher};
pub use wire::Delivery;

/// What the repository's fuzz targets need of the inside. Not for programs: it may change at any time.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::ring::fuzz::check as ring;
}

/// The time on `CLOCK_MONOTONIC`, which timestamps are on.
pub fn now() -> std::time::Duration {
    std::time::Duration::from_nanos(discovery::now())
}
