//! Lists of reasons.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::error::{lucarne_error, lucarne_status};
use super::guard::{self, given};
use crate::reasons::Line;

/// Nothing that could be installed, enabled or permitted is missing.
pub const LUCARNE_REQUIREMENT_NONE: u32 = 0;
/// An API's extension.
pub const LUCARNE_REQUIREMENT_EXTENSION: u32 = 1;
/// A newer version of an API.
pub const LUCARNE_REQUIREMENT_VERSION: u32 = 2;
/// A device node that is absent, or that this process may not open.
pub const LUCARNE_REQUIREMENT_DEVICE_NODE: u32 = 3;
/// A system library.
pub const LUCARNE_REQUIREMENT_LIBRARY: u32 = 4;
/// A driver for an API whose loader is there.
pub const LUCARNE_REQUIREMENT_LOADED_DRIVER: u32 = 5;
/// A driver without a fault that Lucarne knows.
pub const LUCARNE_REQUIREMENT_QUIRK: u32 = 6;
/// Something that the driver or the device cannot do.
pub const LUCARNE_REQUIREMENT_CAPABILITY: u32 = 7;
/// A queue family of some kind.
pub const LUCARNE_REQUIREMENT_QUEUE_FAMILY: u32 = 8;
/// A package of the system.
pub const LUCARNE_REQUIREMENT_PACKAGE: u32 = 9;
/// The consumer's word that it trusts the producer.
pub const LUCARNE_REQUIREMENT_TRUSTED_PRODUCER: u32 = 10;
/// Something else. The text says what.
pub const LUCARNE_REQUIREMENT_OTHER: u32 = 11;

/// Not one side's fault.
pub const LUCARNE_SIDE_NONE: u32 = 0;
/// The side that makes frames.
pub const LUCARNE_SIDE_PRODUCER: u32 = 1;
/// The side that uses them.
pub const LUCARNE_SIDE_CONSUMER: u32 = 2;

/// One reason why something, or something better, was refused.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_reason {
    /// The rung that it is about, 1 (the best) to 4. 0 where it is about none.
    pub rung: u32,
    /// Whose fault it is: `LUCARNE_SIDE_…`.
    pub side: u32,
    /// What kind of thing is missing: `LUCARNE_REQUIREMENT_…`.
    pub kind: u32,
    /// 1 where the thing is there, and enabling or permitting it would be enough.
    pub available: u32,
    /// DRM's code of the format that it is about; 0 where it is about all.
    pub format: u32,
    /// Always 0.
    pub reserved: u32,
    /// The modifier that it is about. Only meaningful where `format` is not 0.
    pub modifier: u64,
}

/// A list of reasons. Belongs to the error, agreement, offer or event that it was asked from, and lives as long. Any thread.
#[derive(Debug, Default)]
pub struct lucarne_reasons(Vec<Line>);

impl lucarne_reasons {
    pub(crate) fn new(lines: Vec<Line>) -> Self {
        Self(lines)
    }
}

/// How many reasons there are. 0 for `NULL`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_reasons_count(reasons: Option<&lucarne_reasons>) -> usize {
    reasons.map_or(0, |reasons| reasons.0.len())
}

/// The reason at `index`, from 0.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_reasons_at(
    reasons: Option<&lucarne_reasons>,
    index: usize,
    reason: Option<&mut MaybeUninit<lucarne_reason>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(reason, "reason", error, || {
        let lines = &given(reasons, "reasons")?.0;
        Ok(guard::at(lines, index)?.reason)
    })
}

/// The name of what is missing at `index`: an extension's, a file's, a package's. Empty where it has none; `NULL` beyond the end.
/// Lives as long as `reasons`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_reasons_name(
    reasons: Option<&lucarne_reasons>,
    index: usize,
) -> *const c_char {
    let line = reasons.and_then(|reasons| reasons.0.get(index));
    line.map_or(std::ptr::null(), |line| line.name.as_ptr())
}

/// The reason at `index` as a sentence, for people. `NULL` beyond the end. Lives as long as `reasons`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_reasons_text(
    reasons: Option<&lucarne_reasons>,
    index: usize,
) -> *const c_char {
    let line = reasons.and_then(|reasons| reasons.0.get(index));
    line.map_or(std::ptr::null(), |line| line.text.as_ptr())
}
