//! Lucarne's streams in GStreamer: a plug-in with two elements.
//!
//! `lucarnesrc stream=NAME` is a live source: each of the stream's frames becomes a buffer that lies in the frame's own memory.
//! `lucarnesink stream=NAME` is a stream's producer: what it is given becomes the stream's frames. `docs/gstreamer.md` in the
//! repository has pipelines, and what each of them copies.
//!
//! GStreamer loads the library by itself from a folder in `GST_PLUGIN_PATH`. A program that links this crate registers the elements
//! instead:
//!
//! ```
//! use gst::prelude::*;
//!
//! gst::init()?;
//! gstlucarne::plugin_register_static()?;
//! let source = gst::ElementFactory::make("lucarnesrc").property("stream", "scene").build()?;
//! assert!(source.property::<gst::Structure>("stats").has_field("copies"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who owns what
//!
//! - **Out of a stream**: GStreamer's memory keeps the turn. It ends when the last reference to that memory is gone, whichever buffer
//!   it is in by then. Memory is for reading only: an element that draws into it gets a copy from GStreamer.
//! - **Into a stream**: a buffer of the sink's pool is a slot of the stream. The slot is sent when the buffer arrives, and is not
//!   written again before both the consumers and GStreamer have let it go. Everything else is copied into a slot, once, and counted.
//!
//! # Fences
//!
//! GStreamer's buffers carry none. A fence goes along with a dma-buf where the kernel keeps it there (implicit sync); where it does
//! not, the CPU waits, `fence-timeout` at most in the source, and for `max-wait` in the sink.
//!
//! # Threads
//!
//! An element blocks its streaming thread alone, and only until its state changes. The sink has one thread of its own, which serves the
//! stream's consumers while no buffer comes.

#![expect(missing_docs, reason = "what gst::plugin_define makes has none")]

mod accepted;
mod convert;
mod ffi;
mod import;
mod pixels;
mod pool;
mod property;
mod publisher;
mod sink;
mod slot;
mod source;
mod stream_sink;
mod stream_source;
mod turn;

use std::sync::{Mutex, MutexGuard, PoisonError};

use gst::glib;

/// What a panic elsewhere leaves is whole: each change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    source::register(plugin)?;
    sink::register(plugin)
}

gst::plugin_define!(
    lucarne,
    env!("CARGO_PKG_DESCRIPTION"),
    register,
    env!("CARGO_PKG_VERSION"),
    "MIT/X11",
    env!("CARGO_PKG_NAME"),
    "lucarne",
    env!("CARGO_PKG_REPOSITORY")
);
