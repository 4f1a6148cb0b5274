//! What is wanted.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use lucarne::color::ColorDescription;
use lucarne::negotiate::{Strike, StrikeReason};
use lucarne::{Extent, Format, Modifier, Request};

use super::color::{self, lucarne_color};
use super::error::{lucarne_error, lucarne_status};
use super::guard::{self, given};
use super::words::LUCARNE_MODIFIER_INVALID;
use crate::convert;
use crate::failure::Result;

/// What is wanted of an agreement, or of a stream. End it with `lucarne_request_free`. Any thread, one at a time.
#[derive(Debug)]
pub struct lucarne_request {
    request: Request,
    color: Option<ColorDescription>,
}

impl lucarne_request {
    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    /// What frames mean, where that is not the format's default.
    pub(super) fn color(&self) -> Result<Option<ColorDescription>> {
        if let Some(color) = &self.color {
            color::check(color, &self.request.formats)?;
        }
        Ok(self.color)
    }

    fn change(&mut self, change: impl FnOnce(Request) -> Request) {
        self.request = change(self.request.clone());
    }
}

/// Asks for frames of this size in pixels, which the producer renders and the consumer samples, over any path, in the 8-bit formats
/// that every driver has. The size is checked by whoever takes the request.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_request_new(
    width: u32,
    height: u32,
    request: Option<&mut MaybeUninit<Option<Box<lucarne_request>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(request, "request", error, || {
        Ok(lucarne_request {
            request: Request::new(Extent::new(width, height)),
            color: None,
        })
    })
}

/// Accepts these formats only, best first: DRM's codes. The array stays the caller's.
///
/// # Safety
///
/// `formats` is `NULL`, or points to `count` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_request_set_formats(
    request: Option<&mut lucarne_request>,
    formats: *const u32,
    count: usize,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let request = given(request, "request")?;
        // SAFETY: this function's contract.
        let codes = unsafe { guard::array(formats, count, "formats") }?;
        let formats: Vec<Format> = codes.iter().copied().map(Format::from_fourcc).collect();
        request.change(|request| request.formats(&formats));
        Ok(())
    })
}

/// Accepts these memory paths only: `LUCARNE_PATH_…`. The array stays the caller's.
///
/// # Safety
///
/// `paths` is `NULL`, or points to `count` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_request_set_paths(
    request: Option<&mut lucarne_request>,
    paths: *const u32,
    count: usize,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let request = given(request, "request")?;
        // SAFETY: this function's contract.
        let codes = unsafe { guard::array(paths, count, "paths") }?;
        let paths = codes.iter().map(|code| convert::path(*code));
        let paths = paths.collect::<Result<Vec<_>>>()?;
        request.change(|request| request.paths(&paths));
        Ok(())
    })
}

/// Asks for these usages: bits of `LUCARNE_USAGE_…`. A stream's consumers say theirs by themselves.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_request_set_usage(
    request: Option<&mut lucarne_request>,
    producer: u32,
    consumer: u32,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let request = given(request, "request")?;
        let producer = convert::usage("producer", producer)?;
        let consumer = convert::usage("consumer", consumer)?;
        request.change(|request| request.usage(producer, consumer));
        Ok(())
    })
}

/// Says what the numbers of a stream's frames mean, where that is not the format's default. It matters to `lucarne_producer_bind` and
/// `lucarne_producer_reconfigure` only; formats that it contradicts are not made. An image of your own passes its frame on with
/// `lucarne_frame_with_color`.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_request_set_color(
    request: Option<&mut lucarne_request>,
    color: Option<&lucarne_color>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let request = given(request, "request")?;
        request.color = Some(convert::color(given(color, "color")?)?);
        Ok(())
    })
}

/// Excludes what was tried and failed. `format` 0 stands for every format, `LUCARNE_MODIFIER_INVALID` for every layout; `reason` is a
/// sentence for people.
///
/// # Safety
///
/// `reason` is `NULL`, or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_request_strike(
    request: Option<&mut lucarne_request>,
    path: u32,
    format: u32,
    modifier: u64,
    reason: *const c_char,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::status(error, || {
        let request = given(request, "request")?;
        // SAFETY: this function's contract.
        let reason = unsafe { guard::text(reason, "reason") }?;
        let every = modifier == LUCARNE_MODIFIER_INVALID;
        let strike = Strike {
            path: convert::path(path)?,
            format: (format != 0).then(|| Format::from_fourcc(format)),
            modifier: if every { None } else { Modifier::new(modifier) },
            reason: StrikeReason::Unwanted(reason.to_owned()),
        };
        request.change(|request| request.strike(strike));
        Ok(())
    })
}

/// Ends a request. `NULL` is fine.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_request_free(request: Option<Box<lucarne_request>>) {
    guard::free(request);
}
