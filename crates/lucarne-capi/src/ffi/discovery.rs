//! Which streams there are.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::path::Path;

use lucarne_stream::Found;
use lucarne_stream::wire::State;

use super::error::{lucarne_error, lucarne_status};
use super::guard::{self, given};
use crate::convert;
use crate::text::c_text;

/// Nobody has agreed on a size and format yet.
pub const LUCARNE_STREAM_WAITING: u32 = 1;
/// Frames come.
pub const LUCARNE_STREAM_STREAMING: u32 = 2;
/// The producer said that none come for a while.
pub const LUCARNE_STREAM_PAUSED: u32 = 3;

/// The streams that were found. End it with `lucarne_streams_free`. Any thread, several at once.
#[derive(Debug)]
pub struct lucarne_streams(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    info: lucarne_stream_info,
    name: CString,
    device: CString,
}

/// What a producer says of its stream.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_stream_info {
    /// What it is doing: `LUCARNE_STREAM_…`.
    pub state: u32,
    /// The producer's process, as the kernel knows it; 0 where it has no number here.
    pub pid: u32,
    /// The frames' width in pixels.
    pub width: u32,
    /// The frames' height in rows.
    pub height: u32,
    /// DRM's code of their format; 0 until there is one.
    pub format: u32,
    /// Their memory, `LUCARNE_PATH_…`; 0 until there is one.
    pub path: u32,
    /// How many consumers there are.
    pub consumers: u32,
    /// Always 0.
    pub reserved: u32,
    /// The generation; 0 before the first.
    pub generation: u64,
    /// How many frames were sent.
    pub frames: u64,
    /// How long the producer has had the name, in nanoseconds.
    pub age: u64,
}

impl Entry {
    fn of(found: &Found) -> Self {
        let told = &found.description;
        Self {
            name: c_text(&found.name),
            device: c_text(&told.producer),
            info: lucarne_stream_info {
                state: match told.state {
                    State::Waiting => LUCARNE_STREAM_WAITING,
                    State::Streaming => LUCARNE_STREAM_STREAMING,
                    State::Paused => LUCARNE_STREAM_PAUSED,
                },
                pid: found.producer.pid.unwrap_or_default(),
                width: told.extent.width,
                height: told.extent.height,
                format: told.format.map_or(0, lucarne::Format::fourcc),
                path: told.path.map_or(0, convert::path_code),
                consumers: told.consumers,
                reserved: 0,
                generation: told.generation,
                frames: told.frames,
                age: convert::nanoseconds(found.age),
            },
        }
    }
}

/// Looks for streams, by name. `folder` is where their sockets lie, or `NULL` for `$XDG_RUNTIME_DIR/lucarne`. Asks each producer, and
/// waits half a second at most for each.
///
/// # Safety
///
/// `folder` is `NULL`, or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_streams_find(
    folder: *const c_char,
    streams: Option<&mut MaybeUninit<Option<Box<lucarne_streams>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(streams, "streams", error, || {
        // SAFETY: this function's contract.
        let folder = unsafe { guard::text_or_null(folder, "folder") }?;
        let found = match folder {
            Some(folder) => lucarne_stream::streams_in(Path::new(folder))?,
            None => lucarne_stream::streams()?,
        };
        Ok(lucarne_streams(found.iter().map(Entry::of).collect()))
    })
}

/// How many there are. 0 for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_streams_count(streams: Option<&lucarne_streams>) -> usize {
    streams.map_or(0, |streams| streams.0.len())
}

/// The stream at `index`, from 0.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_streams_at(
    streams: Option<&lucarne_streams>,
    index: usize,
    info: Option<&mut MaybeUninit<lucarne_stream_info>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(info, "info", error, || {
        let streams = &given(streams, "streams")?.0;
        Ok(guard::at(streams, index)?.info)
    })
}

/// The name of the stream at `index`; `NULL` beyond the end. Lives as long as `streams`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_streams_name(
    streams: Option<&lucarne_streams>,
    index: usize,
) -> *const c_char {
    let entry = streams.and_then(|streams| streams.0.get(index));
    entry.map_or(std::ptr::null(), |entry| entry.name.as_ptr())
}

/// The name of the device of its producer; `NULL` beyond the end. Lives as long as `streams`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_streams_device(
    streams: Option<&lucarne_streams>,
    index: usize,
) -> *const c_char {
    let entry = streams.and_then(|streams| streams.0.get(index));
    entry.map_or(std::ptr::null(), |entry| entry.device.as_ptr())
}

/// Ends a list of streams. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_streams_free(streams: Option<Box<lucarne_streams>>) {
    guard::free(streams);
}
