//! What a frame's numbers mean, and the planes of Y'CbCr.

use std::mem::MaybeUninit;

use lucarne::color::{ColorDescription, YcbcrConversion};
use lucarne::{Components, Format, Frame};

use super::error::{lucarne_error, lucarne_status};
use super::frame::lucarne_frame;
use super::guard::{self, given};
use crate::convert;
use crate::failure::{Failure, Result};

/// A format without opacity.
pub const LUCARNE_ALPHA_OPAQUE: u32 = 1;
/// Colours were not multiplied by opacity.
pub const LUCARNE_ALPHA_STRAIGHT: u32 = 2;
/// The stored numbers were multiplied by opacity.
pub const LUCARNE_ALPHA_PREMULTIPLIED: u32 = 3;
/// Light was multiplied by opacity, before it became numbers.
pub const LUCARNE_ALPHA_PREMULTIPLIED_OPTICAL: u32 = 4;

/// How a frame's numbers stand for colours: docs/color.md has the table. The numbers of Rec. ITU-T H.273, so that those of a video
/// stream, of a PNG's `cICP` and of Wayland's protocol go in and come out. "Unspecified" is refused: take the format's default.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_color {
    /// Which red, green, blue and white: `ColourPrimaries`, 1 for BT.709.
    pub primaries: u32,
    /// From light to numbers: `TransferCharacteristics`, 13 for sRGB.
    pub transfer: u32,
    /// From red, green and blue to Y'CbCr: `MatrixCoefficients`, 0 for formats of red, green and blue.
    pub matrix: u32,
    /// Which codes are black and white: `VideoFullRangeFlag`, 1 for all codes.
    pub range: u32,
    /// Where chroma samples lie: `Chroma420SampleLocType`, 0 for left.
    pub siting: u32,
    /// Whether colours were multiplied by opacity: `LUCARNE_ALPHA_…`.
    pub alpha: u32,
    /// How the picture was turned before it was stored: `wl_output.transform`, 0 for upright.
    pub orientation: u32,
    /// Always 0.
    pub reserved: u32,
}

/// How to make red, green and blue of the frames that `lucarne_frame_components` gives.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct lucarne_ycbcr {
    /// How many of these frames there are, 1 to 3.
    pub components: u32,
    /// In which of them luma, Cb and Cr are.
    pub component: [u32; 3],
    /// In which of that frame's channels: 0 for red, 1 for green, 2 for blue, 3 for alpha.
    pub channel: [u32; 3],
    /// How many pixels share a chroma sample, from left to right.
    pub horizontal_subsampling: u32,
    /// How many pixels share a chroma sample, from top to bottom.
    pub vertical_subsampling: u32,
    /// Always 0.
    pub reserved: u32,
    /// A row each for red, green and blue: what luma, Cb and Cr are multiplied by, as a sampler reads them (0 to 1), and what is
    /// added. The result is 0 to 1, encoded by the transfer function.
    pub rgb: [[f64; 4]; 3],
}

/// What the frame's numbers mean.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_frame_color(
    frame: Option<&lucarne_frame>,
    color: Option<&mut MaybeUninit<lucarne_color>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(color, "color", error, || {
        let layout = given(frame, "frame")?.frame().layout();
        Ok(convert::color_codes(&layout.color()))
    })
}

/// What the numbers of a format mean where nobody says otherwise. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_format_default_color(
    format: u32,
    color: Option<&mut MaybeUninit<lucarne_color>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(color, "color", error, || {
        let known = super::format::known(format)?;
        Ok(convert::color_codes(&ColorDescription::default_for(known)))
    })
}

/// The same frame with other colours: it shares the memory, and nothing is converted. What contradicts the format is refused, by the
/// field's name. Do it before the frame is passed on; a stream's are said in its request (`lucarne_request_set_color`).
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_frame_with_color(
    frame: Option<&lucarne_frame>,
    color: Option<&lucarne_color>,
    colored: Option<&mut MaybeUninit<Option<Box<lucarne_frame>>>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::make(colored, "colored", error, || {
        let frame = given(frame, "frame")?.frame();
        let color = convert::color(given(color, "color")?)?;
        Ok(lucarne_frame::new(&frame.with_color(color)?))
    })
}

/// The planes of a Y'CbCr frame as frames of their own, in formats that every device can import: `R8`, `GR88`, `R16`, `GR1616`. A packed
/// frame, such as one of `YUYV`, becomes two: luma at full width, chroma at half. Nothing is copied, and the frame's one turn covers
/// them all: import each, and wait once.
///
/// Writes as many handles as there are into `components`, whose `capacity` of 4 (`LUCARNE_MAX_PLANES`) is always enough; the rest is
/// `NULL`. End each with `lucarne_frame_free`. `LUCARNE_STATUS_UNSUPPORTED` for formats of red, green and blue, for samples that are not
/// whole bytes, and for opaque memory.
///
/// # Safety
///
/// `components` is `NULL`, or has room for `capacity` pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_frame_components(
    frame: Option<&lucarne_frame>,
    components: *mut Option<Box<lucarne_frame>>,
    capacity: usize,
    count: Option<&mut MaybeUninit<u32>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(count, "count", error, || {
        // SAFETY: this function's contract.
        let places = unsafe { guard::places(components, capacity, "components") }?;
        for place in places.iter_mut() {
            place.write(None);
        }
        let found = given(frame, "frame")?.frame().components()?;
        let frames = found.frames();
        if places.len() < frames.len() {
            let limit = format!("at least {}, the frame's components", frames.len());
            return Err(Failure::argument("capacity", capacity, limit));
        }
        for (place, frame) in places.iter_mut().zip(frames) {
            place.write(Some(Box::new(lucarne_frame::new(frame))));
        }
        Ok(narrow(frames.len()))
    })
}

/// Where luma and chroma are in the frames of `lucarne_frame_components`, and the matrix that makes red, green and blue of them, for this
/// frame's colours. Refused as there.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_frame_ycbcr(
    frame: Option<&lucarne_frame>,
    ycbcr: Option<&mut MaybeUninit<lucarne_ycbcr>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(ycbcr, "ycbcr", error, || {
        let frame = given(frame, "frame")?.frame();
        described(frame, &frame.components()?)
    })
}

fn described(frame: &Frame, found: &Components) -> Result<lucarne_ycbcr> {
    let layout = frame.layout();
    let conversion = YcbcrConversion::of(layout.format_info(), &layout.color())?;
    let subsampling = found.subsampling();
    Ok(lucarne_ycbcr {
        components: narrow(found.frames().len()),
        component: found.places().map(|place| narrow(place.view)),
        channel: found.places().map(|place| narrow(place.channel)),
        horizontal_subsampling: subsampling.horizontal.into(),
        vertical_subsampling: subsampling.vertical.into(),
        reserved: 0,
        rgb: conversion.rgb_matrix(found.codes_per_one()),
    })
}

/// There are three at most.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Refuses what contradicts each of these formats.
pub(super) fn check(color: &ColorDescription, formats: &[Format]) -> Result<()> {
    let mut refused = None;
    for format in formats {
        match color.check(*format) {
            Ok(()) => return Ok(()),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    refused.map_or(Ok(()), |error| Err(error.into()))
}
