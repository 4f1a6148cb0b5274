//! A frame's memory itself, for programs that read and write there without a copy.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lucarne::cpu;

use super::error::{lucarne_error, lucarne_status};
use super::fence::lucarne_fence;
use super::guard::{self, given};
use super::image::{at, lucarne_image};
use crate::failure::{Failure, Result};

/// An image of the CPU's in this process's memory, and the turn to touch it. `lucarne_mapping_end` ends the turn; the addresses stay
/// valid until `lucarne_mapping_free`, even after the image, the stream and the device have ended. Any thread, several at once.
#[derive(Debug)]
pub struct lucarne_mapping {
    turn: Mutex<Option<cpu::Mapped>>,
    // Keeps the memory where it is.
    _image: Arc<cpu::Image>,
}

/// Where a plane of a format lies in this process's memory.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lucarne_mapped_plane {
    /// The first byte of the first row.
    pub address: *mut c_void,
    /// From one row to the next, in bytes. What lies behind `row_bytes` is padding.
    pub pitch: u64,
    /// Bytes in a row, without padding.
    pub row_bytes: u32,
    /// How many rows there are.
    pub rows: u32,
}

impl Default for lucarne_mapped_plane {
    fn default() -> Self {
        Self {
            address: std::ptr::null_mut(),
            pitch: 0,
            row_bytes: 0,
            rows: 0,
        }
    }
}

impl lucarne_mapping {
    fn new(turn: cpu::Mapped) -> Self {
        Self {
            _image: Arc::clone(turn.image()),
            turn: Mutex::new(Some(turn)),
        }
    }
}

fn over() -> Failure {
    Failure::argument(
        "mapping",
        "one whose turn has ended",
        "one whose turn lasts",
    )
}

/// Begins to write a frame in its memory, without a copy. Waits for `gate`, the fence that came with the turn, `timeout` nanoseconds at
/// most; it stays the caller's. Images of Vulkan and OpenGL are refused, and so is an image that is in use.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_image_map_write(
    image: Option<&lucarne_image>,
    gate: Option<&lucarne_fence>,
    timeout: u64,
    mapping: Option<&mut MaybeUninit<Option<Box<lucarne_mapping>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(mapping, "mapping", error, || {
        let image = given(image, "image")?.image().cpu()?;
        let gate = given(gate, "gate")?.fence();
        let turn = image.map_write(gate, Duration::from_nanos(timeout))?;
        Ok(lucarne_mapping::new(turn))
    })
}

/// Begins to read a frame in its memory, without a copy. `acquire` is the fence that came with the turn, and stays the caller's. Only
/// read there: the memory may be mapped for nothing else. Otherwise as `lucarne_image_map_write`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_image_map_read(
    image: Option<&lucarne_image>,
    acquire: Option<&lucarne_fence>,
    timeout: u64,
    mapping: Option<&mut MaybeUninit<Option<Box<lucarne_mapping>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(mapping, "mapping", error, || {
        let image = given(image, "image")?.image().cpu()?;
        let acquire = given(acquire, "acquire")?.fence();
        let turn = image.map_read(acquire, Duration::from_nanos(timeout))?;
        Ok(lucarne_mapping::new(turn))
    })
}

/// Where a plane of the format lies, from 0. Refused once the turn has ended: an address that was asked for before stays valid until
/// `lucarne_mapping_free`, but then shows whatever others write.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_mapping_plane(
    mapping: Option<&lucarne_mapping>,
    plane: u32,
    place: Option<&mut MaybeUninit<lucarne_mapped_plane>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(place, "place", error, || {
        let turn = &given(mapping, "mapping")?.turn;
        let turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let plane = turn.as_ref().ok_or_else(over)?.plane(at(plane))?;
        Ok(lucarne_mapped_plane {
            address: plane.address.cast(),
            pitch: wide(plane.pitch),
            row_bytes: narrow(plane.row_bytes)?,
            rows: narrow(plane.rows)?,
        })
    })
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn narrow(number: usize) -> Result<u32> {
    let limit = "below 2^32";
    u32::try_from(number).map_err(|_| Failure::argument("plane", number, limit))
}

/// Ends the turn: what was written is there for every device. `done` is the fence for the next turn. Its second call is refused. Where
/// the kernel refuses, the turn is over all the same.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_mapping_end(
    mapping: Option<&lucarne_mapping>,
    done: Option<&mut MaybeUninit<Option<Box<lucarne_fence>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(done, "done", error, || {
        let turn = &given(mapping, "mapping")?.turn;
        let turn = turn.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(lucarne_fence::new(turn.ok_or_else(over)?.end()?))
    })
}

/// Ends a mapping, and its turn where that lasts: the addresses are not to be touched any more. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_mapping_free(mapping: Option<Box<lucarne_mapping>>) {
    guard::free(mapping);
}
