//! Whose turn it is, within a process: a pool. Streams have the same turns.

use std::mem::MaybeUninit;

use lucarne::{Frame, Pool, Sent};

use super::error::{lucarne_error, lucarne_status};
use super::fence::lucarne_fence;
use super::frame::lucarne_frame;
use super::guard::{self, given};
use super::image::lucarne_image;
use crate::failure::Failure;
use crate::turn::{Reading, Writing};

/// The frames of one producer within a process; each is in exactly one state at any time. End it with `lucarne_pool_free`. Any
/// thread, several at once.
#[derive(Debug)]
pub struct lucarne_pool(Pool);

/// A turn to write a frame, of a pool or of a stream. Sending it ends the handle, whatever that call answers;
/// `lucarne_writing_free` discards it. Any thread, one at a time; of a stream with a device of EGL, the context's.
#[derive(Debug)]
pub struct lucarne_writing {
    turn: Writing,
    gate: lucarne_fence,
    frame: lucarne_frame,
}

impl lucarne_writing {
    pub(super) fn new(turn: Writing) -> Self {
        Self {
            gate: lucarne_fence::new(turn.gate().clone()),
            frame: lucarne_frame::new(turn.frame()),
            turn,
        }
    }

    pub(super) fn into_turn(self) -> Writing {
        self.turn
    }
}

/// A frame of a pool on its way to its reader. Any thread, one at a time.
#[derive(Debug)]
pub struct lucarne_sent(Sent);

/// A turn to read a frame, of a pool or of a stream. `lucarne_reading_release` ends it, whatever it answers;
/// `lucarne_reading_free` gives the frame back unread. Any thread, one at a time; with a device of EGL, the context's.
#[derive(Debug)]
pub struct lucarne_reading {
    pub(super) turn: Reading,
    acquire: lucarne_fence,
    frame: lucarne_frame,
}

impl lucarne_reading {
    pub(super) fn new(turn: Reading, acquire: lucarne::Fence) -> Self {
        Self {
            acquire: lucarne_fence::new(acquire),
            frame: lucarne_frame::new(turn.frame()),
            turn,
        }
    }
}

/// A pool of these frames, all free. The array and the frames in it stay the caller's; the pool shares their memory.
///
/// # Safety
///
/// `frames` is `NULL`, or points to `count` pointers; each is `NULL`, which is refused, or a frame.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_pool_new(
    frames: *const Option<&lucarne_frame>,
    count: usize,
    pool: Option<&mut MaybeUninit<Option<Box<lucarne_pool>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(pool, "pool", error, || {
        // SAFETY: this function's contract.
        let given_frames = unsafe { guard::array(frames, count, "frames") }?;
        let mut all: Vec<Frame> = Vec::new();
        for frame in given_frames {
            all.push(given(*frame, "frames[]")?.frame().clone());
        }
        if all.is_empty() {
            return Err(Failure::argument("count", 0, "at least 1"));
        }
        Ok(lucarne_pool(Pool::new(all)))
    })
}

/// The turn to write the frame that has been free for longest; `LUCARNE_STATUS_WOULD_BLOCK` while all are in use. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_pool_acquire(
    pool: Option<&lucarne_pool>,
    writing: Option<&mut MaybeUninit<Option<Box<lucarne_writing>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(writing, "writing", error, || {
        let free = given(pool, "pool")?.0.acquire();
        let free = free.ok_or_else(|| Failure::would_block("every frame of the pool is in use"))?;
        // The writing knows its gate.
        let (turn, _gate) = free.acquire();
        Ok(lucarne_writing::new(Writing::Pool(turn)))
    })
}

/// How many frames are free now. 0 for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_pool_free_frames(pool: Option<&lucarne_pool>) -> usize {
    guard::plain(0, || pool.map_or(0, |pool| pool.0.free()))
}

/// Ends a pool. Turns of it go on. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_pool_free(pool: Option<Box<lucarne_pool>>) {
    guard::free(pool);
}

/// The frame's number in its pool, or in its stream's generation, from 0. 0 for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_writing_index(writing: Option<&lucarne_writing>) -> usize {
    guard::plain(0, || writing.map_or(0, |writing| writing.turn.index()))
}

/// The stream's generation that the frame is of, from 1: a new one has other images. 0 for a pool's, and for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_writing_generation(writing: Option<&lucarne_writing>) -> u64 {
    guard::plain(0, || writing.map_or(0, |writing| writing.turn.generation()))
}

/// The fence to wait for before writing: the last reader's release fence. Lent: it lives as long as `writing`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_writing_gate(
    writing: Option<&lucarne_writing>,
) -> Option<&lucarne_fence> {
    writing.map(|writing| &writing.gate)
}

/// The frame. Lent: it lives as long as `writing`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_writing_frame(
    writing: Option<&lucarne_writing>,
) -> Option<&lucarne_frame> {
    writing.map(|writing| &writing.frame)
}

/// The stream's image to draw into; `NULL` for a pool's. Lent: it lives as long as `writing`, and is the same for each turn of the
/// frame, so that the program can keep data with it (`lucarne_image_set_data`).
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_writing_image(
    writing: Option<&lucarne_writing>,
) -> Option<&lucarne_image> {
    writing.and_then(|writing| writing.turn.image())
}

/// Passes a pool's frame on. `acquire` signals when the writing is done, and stays the caller's. Ends `writing`, whatever it answers:
/// after a failure the frame is free again, and what was written is lost. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_writing_send(
    writing: Option<Box<lucarne_writing>>,
    acquire: Option<&lucarne_fence>,
    sent: Option<&mut MaybeUninit<Option<Box<lucarne_sent>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(sent, "sent", error, || {
        let writing = given(writing, "writing")?.into_turn().of_pool()?;
        let acquire = given(acquire, "acquire")?.fence().clone();
        Ok(lucarne_sent(writing.send(acquire)))
    })
}

/// Gives a frame back unwritten. Ends `writing`. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_writing_free(writing: Option<Box<lucarne_writing>>) {
    guard::free(writing);
}

/// Takes the turn to read. Ends `sent`, whatever it answers. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_sent_receive(
    sent: Option<Box<lucarne_sent>>,
    reading: Option<&mut MaybeUninit<Option<Box<lucarne_reading>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(reading, "reading", error, || {
        let (turn, acquire) = given(sent, "sent")?.0.receive().acquire();
        Ok(lucarne_reading::new(Reading::Pool(turn), acquire))
    })
}

/// Gives a frame back for readers elsewhere: another process, a compositor, an encoder. `release` signals when all of them are done,
/// gates the next writer, and stays the caller's. Ends `sent`, whatever it answers. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_sent_release(
    sent: Option<Box<lucarne_sent>>,
    release: Option<&lucarne_fence>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let sent = given(sent, "sent")?;
        let release = given(release, "release")?.fence().clone();
        sent.0.release(release);
        Ok(())
    })
}

/// Gives a frame back that nobody has read. Ends `sent`. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_sent_free(sent: Option<Box<lucarne_sent>>) {
    guard::free(sent);
}

/// The fence to wait for before reading: the writer's acquire fence. Lent: it lives as long as `reading`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_reading_acquire(
    reading: Option<&lucarne_reading>,
) -> Option<&lucarne_fence> {
    reading.map(|reading| &reading.acquire)
}

/// The frame. Lent: it lives as long as `reading`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_reading_frame(
    reading: Option<&lucarne_reading>,
) -> Option<&lucarne_frame> {
    reading.map(|reading| &reading.frame)
}

/// The stream's import of the frame; `NULL` for a pool's, whose reader imports the frame by itself. Lent: it lives as long as
/// `reading`, and is the same for each frame in that memory.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_reading_image(
    reading: Option<&lucarne_reading>,
) -> Option<&lucarne_image> {
    reading.and_then(|reading| reading.turn.image())
}

/// Ends the turn. `release` signals when the reading is done; the next writer waits for it. It stays the caller's. Ends `reading`,
/// whatever it answers: the frame is given back in every case, without a fence where the answer is
/// `LUCARNE_STATUS_INVALID_ARGUMENT`. Blocks only where a fence cannot be sent to a stream's producer.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_reading_release(
    reading: Option<Box<lucarne_reading>>,
    release: Option<&lucarne_fence>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let reading = given(reading, "reading")?;
        let release = given(release, "release")?.fence().clone();
        reading.turn.release(release)
    })
}

/// Gives a frame back unread. Ends `reading`. Only where no command that reads the frame was given to a driver. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_reading_free(reading: Option<Box<lucarne_reading>>) {
    guard::free(reading);
}
