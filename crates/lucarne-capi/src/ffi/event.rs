//! What happened to a stream.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::color::lucarne_color;
use super::error::{lucarne_error, lucarne_status};
use super::guard::{self, given};
use super::reasons::lucarne_reasons;
use crate::convert;
use crate::failure::Failure;
use crate::stream::Event;

/// To a producer: a consumer has imported everything, and gets frames from now on. The text is its device's name.
pub const LUCARNE_EVENT_JOINED: u32 = 1;
/// To a producer: a consumer is gone, or was refused. The text says why.
pub const LUCARNE_EVENT_LEFT: u32 = 2;
/// To both: frames are made differently from now on.
pub const LUCARNE_EVENT_GENERATION: u32 = 3;
/// To a consumer: something could not be imported; the producer was told and tries something else. The text says why.
pub const LUCARNE_EVENT_IMPORT_FAILED: u32 = 4;
/// To a consumer: no frames for a while.
pub const LUCARNE_EVENT_PAUSED: u32 = 5;
/// To a consumer: frames again.
pub const LUCARNE_EVENT_RESUMED: u32 = 6;
/// To a consumer: the producer has ended the stream.
pub const LUCARNE_EVENT_ENDED: u32 = 7;
/// To a consumer: the connection is over. The text says why.
pub const LUCARNE_EVENT_LOST: u32 = 8;

/// Something that happened to a stream. End it with `lucarne_event_free`. Any thread, several at once.
#[derive(Debug)]
pub struct lucarne_event(pub(super) Event);

/// An event in numbers. What a kind does not tell is 0. New kinds may come: pass over those that you do not know.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_event_info {
    /// `LUCARNE_EVENT_…`.
    pub kind: u32,
    /// Of a consumer that joined: `LUCARNE_DELIVERY_…`.
    pub delivery: u32,
    /// The consumer's number, which a stream never uses twice.
    pub consumer: u64,
    /// The consumer's process, as the kernel knows it; 0 where it has no number here.
    pub pid: u32,
    /// The frames' width in pixels.
    pub width: u32,
    /// The frames' height in rows.
    pub height: u32,
    /// DRM's code of the frames' format.
    pub format: u32,
    /// The generation's number.
    pub generation: u64,
    /// The rung of the ladder, 1 to 4.
    pub rung: u32,
    /// 1 where opaque memory was refused because this consumer does not trust the producer.
    pub needs_trust: u32,
    /// To a consumer: how acquire fences come, `LUCARNE_FENCE_PATH_…`.
    pub acquire_fence: u32,
    /// To a consumer: how release fences go.
    pub release_fence: u32,
}

/// What happened.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_event_describe(
    event: Option<&lucarne_event>,
    info: Option<&mut MaybeUninit<lucarne_event_info>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(info, "info", error, || Ok(given(event, "event")?.0.info))
}

/// What there is to say about it, for people. Empty where there is nothing; `NULL` only for `NULL`. Lives as long as `event`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_event_text(event: Option<&lucarne_event>) -> *const c_char {
    event.map_or(std::ptr::null(), |event| event.0.text.as_ptr())
}

/// Of a consumer's generation: why each better rung was refused. Lives as long as `event`. `NULL` only for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_event_refused(event: Option<&lucarne_event>) -> Option<&lucarne_reasons> {
    event.map(|event| &event.0.refused)
}

/// Of a consumer's generation: what its frames' numbers mean. Another event is refused.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_event_color(
    event: Option<&lucarne_event>,
    color: Option<&mut MaybeUninit<lucarne_color>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(color, "color", error, || {
        let color = given(event, "event")?.0.color.as_ref();
        let limit = "a consumer's of a generation";
        let color = color.ok_or_else(|| Failure::argument("event", "of another kind", limit))?;
        Ok(convert::color_codes(color))
    })
}

/// Ends an event. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_event_free(event: Option<Box<lucarne_event>>) {
    guard::free(event);
}
