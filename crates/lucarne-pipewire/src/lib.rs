//! Lucarne's frames as PipeWire's video nodes, in both directions.
//!
//! A [`Producer`] is a `Video/Source` node: it lists what its device can export, allocates what was agreed on with whoever is linked to
//! it, and sends frames. A [`Consumer`] lists what its device can import, imports each of the peer's buffers once, and receives frames,
//! in the states of [`lucarne`]: [`Received`](lucarne::Received), then [`Reading`](lucarne::Reading). dma-bufs with modifiers are
//! preferred, and sealed shared memory is what is left. `docs/pipewire.md` in the repository tells which programs it was tried with.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use lucarne::{Extent, Request, Usage, cpu};
//! use lucarne_pipewire::{Consumer, ConsumerOptions, Delivery, Metadata, Producer, ProducerOptions};
//!
//! const SOON: Duration = Duration::from_secs(1);
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A `vulkan::Device` or an `egl::Device` is used in the same way.
//! let device = cpu::Adapter::new(cpu::Allocator::HostMemory).open()?;
//! let offer = device.offer(Usage::RENDER)?;
//! let options = ProducerOptions::new(Request::new(Extent::new(640, 480)));
//! let allocator = device.clone();
//! let mut producer = Producer::new("scene", &offer, options, move |agreement| {
//!     let image = allocator.export(agreement)?;
//!     let frame = image.frame().clone();
//!     Ok((image, frame))
//! })?;
//!
//! // Another program.
//! let offer = device.offer(Usage::SAMPLE)?;
//! let options = ConsumerOptions::new(Delivery::Latest).target("scene");
//! let mut consumer = Consumer::new("viewer", &offer, options, move |frame| device.import(frame))?;
//!
//! loop {
//!     producer.dispatch(Duration::from_millis(10))?;
//!     if let Some(slot) = producer.try_acquire() {
//!         let drawn = slot.image().write(slot.gate(), SOON, |rows| rows.write_row(0, 0, &[255; 2560]))?;
//!         producer.send(slot, drawn, Metadata::default())?;
//!     }
//!     if let Some(received) = consumer.receive(Duration::from_millis(10))? {
//!         let (reading, acquire) = received.acquire();
//!         let mut row = [0; 2560];
//!         let read = reading.image().read(&acquire, SOON, |rows| rows.read_row(0, 0, &mut row))?;
//!         reading.release(read);
//!     }
//! }
//! # }
//! ```
//!
//! # What it promises
//!
//! - **Nothing from a peer is believed.** Blocks, chunks and metadata are read once, and checked against what the kernel says of the
//!   memory. A buffer that is no frame goes back unread, with [`Event::BadBuffer`].
//! - **What fails is struck out** with its reason ([`Event::Struck`]), and the rest is negotiated anew.
//! - **A frame in hand stays whole**: it has descriptors of its own. A re-negotiation, the peer's end and the daemon's do not touch it.
//! - **Every buffer goes back**, read or not, from whatever thread.
//! - **Nobody waits without a deadline.** A daemon that is gone is looked for again.
//!
//! # Fences
//!
//! PipeWire's buffers carry no fences, except with `SPA_META_SyncTimeline`, which this crate does not negotiate yet. So a fence goes
//! along with the dma-buf where the kernel keeps it there (implicit sync), and where it does not, the CPU waits before a frame is sent
//! or given back. [`Producer::send`] says which ([`FenceWay`]). Drivers that attach no fences to their dma-bufs by themselves, NVIDIA's
//! among them, are covered on the way out: what [`Producer::send`] is given is attached or waited for. On the way in nothing is known
//! of their work.
//!
//! # Threads
//!
//! Both ends stay on the thread that made them, and have no thread of their own; PipeWire's library starts one for the graph's cycles.
//! What was received may go to any thread.

mod candidates;
mod consumer;
mod convert;
mod error;
mod event;
mod explain;
mod export;
mod ffi;
mod import;
mod input;
mod loan;
mod metadata;
mod node;
mod output;
mod pods;
mod producer;
mod sync;

pub use consumer::{Consumer, ConsumerOptions, Delivery};
pub use convert::formats;
pub use error::{Error, Result};
pub use event::{Event, Negotiated};
pub use explain::Explanation;
pub use loan::NodeFrame;
pub use metadata::{MAX_DAMAGE, Metadata, Region};
pub use producer::{Producer, ProducerOptions, Slot};
pub use sync::FenceWay;
