//! Formats: their names, their planes and channels.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use lucarne::{ColorKind, Format, FormatInfo, Numeric};

use super::error::{lucarne_error, lucarne_status};
use super::guard;
use super::image::at;
use crate::convert;
use crate::failure::{Failure, Result};

/// Bits that carry nothing.
pub const LUCARNE_COMPONENT_PADDING: u32 = 0;
/// Red light.
pub const LUCARNE_COMPONENT_RED: u32 = 1;
/// Green light.
pub const LUCARNE_COMPONENT_GREEN: u32 = 2;
/// Blue light.
pub const LUCARNE_COMPONENT_BLUE: u32 = 3;
/// Opacity.
pub const LUCARNE_COMPONENT_ALPHA: u32 = 4;
/// Brightness, Y of Y'CbCr.
pub const LUCARNE_COMPONENT_LUMA: u32 = 5;
/// Blue difference, Cb.
pub const LUCARNE_COMPONENT_CB: u32 = 6;
/// Red difference, Cr.
pub const LUCARNE_COMPONENT_CR: u32 = 7;

/// The most channels of a block.
pub const LUCARNE_MAX_CHANNELS: u32 = 8;

const CHANNELS: usize = LUCARNE_MAX_CHANNELS as usize;

/// What is known of a format.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_format_info {
    /// How many planes it is made of.
    pub planes: u32,
    /// 1 where it holds Y'CbCr, 0 where it holds red, green and blue, or the first of them.
    pub is_ycbcr: u32,
    /// 1 where its numbers are of 16-bit floating point, 0 where they are unsigned and stand for 0 to 1.
    pub is_float: u32,
    /// 1 where it holds opacity.
    pub has_alpha: u32,
}

/// A run of bits in a block, which is read as one little-endian number.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_channel {
    /// What the bits stand for: `LUCARNE_COMPONENT_…`.
    pub component: u32,
    /// Place of the least significant bit.
    pub shift: u32,
    /// How many bits.
    pub bits: u32,
}

/// How a plane's pixels sit in memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct lucarne_format_plane {
    /// Bytes of a block, the smallest group of samples that starts on a byte.
    pub block_bytes: u32,
    /// Width of a block, in samples of this plane.
    pub block_width: u32,
    /// Height of a block, in samples of this plane.
    pub block_height: u32,
    /// How many pixels of the frame share one sample, from left to right.
    pub horizontal_subsampling: u32,
    /// How many pixels of the frame share one sample, from top to bottom.
    pub vertical_subsampling: u32,
    /// How many of `channels` there are.
    pub channel_count: u32,
    /// A block's channels, from the most significant bits to the least significant.
    pub channels: [lucarne_channel; 8],
}

pub(super) fn known(format: u32) -> Result<&'static FormatInfo> {
    let format = Format::from_fourcc(format);
    let limit = "one that Lucarne knows the pixels of";
    format
        .info()
        .ok_or_else(|| Failure::argument("format", format, limit))
}

/// DRM's code of the format with this name: the kernel's, such as `XBGR8888`, four characters, a hexadecimal code, or what
/// `lucarne_format_name` wrote. Any thread.
///
/// # Safety
///
/// `name` is `NULL`, or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_format_from_name(
    name: *const c_char,
    format: Option<&mut MaybeUninit<u32>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(format, "format", error, || {
        // SAFETY: this function's contract.
        let name = unsafe { guard::text(name, "name") }?;
        let limit = "a DRM format's name, four characters, or a code such as 0x34325258";
        let format: Format = name
            .parse()
            .map_err(|_| Failure::argument("name", format!("`{name}`"), limit))?;
        Ok(format.fourcc())
    })
}

/// What is known of a format. One whose pixels Lucarne does not know is refused. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_format_describe(
    format: u32,
    info: Option<&mut MaybeUninit<lucarne_format_info>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(info, "info", error, || {
        let known = known(format)?;
        Ok(lucarne_format_info {
            planes: u32::try_from(known.planes.len()).unwrap_or(u32::MAX),
            is_ycbcr: u32::from(known.color == ColorKind::Yuv),
            is_float: u32::from(known.numeric == Numeric::Float),
            has_alpha: u32::from(known.alpha),
        })
    })
}

/// How the pixels of a format's plane sit in memory, from plane 0. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_format_plane_at(
    format: u32,
    plane: u32,
    info: Option<&mut MaybeUninit<lucarne_format_plane>>,
    error: Option<&mut MaybeUninit<Option<Box<lucarne_error>>>>,
) -> lucarne_status {
    guard::fill(info, "info", error, || {
        let planes = known(format)?.planes;
        let limit = || format!("below {}, the planes of the format", planes.len());
        let known = planes.get(at(plane));
        let known = known.ok_or_else(|| Failure::argument("plane", plane, limit()))?;
        let mut channels = [lucarne_channel::default(); CHANNELS];
        for (place, channel) in channels.iter_mut().zip(known.channels) {
            *place = lucarne_channel {
                component: convert::component_code(channel.component),
                shift: u32::from(channel.shift),
                bits: u32::from(channel.bits),
            };
        }
        Ok(lucarne_format_plane {
            block_bytes: u32::from(known.block_bytes),
            block_width: u32::from(known.block_width),
            block_height: u32::from(known.block_height),
            horizontal_subsampling: u32::from(known.horizontal_subsampling),
            vertical_subsampling: u32::from(known.vertical_subsampling),
            channel_count: u32::try_from(known.channels.len()).unwrap_or(u32::MAX),
            channels,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_fits_and_every_component_has_a_number() {
        for info in Format::ALL {
            for plane in info.planes {
                assert!(plane.channels.len() <= CHANNELS, "{}", info.format);
                for channel in plane.channels {
                    let code = convert::component_code(channel.component);
                    let padding = channel.component == lucarne::Component::Padding;
                    assert_eq!(
                        code == LUCARNE_COMPONENT_PADDING,
                        padding,
                        "{}",
                        info.format
                    );
                }
            }
        }
    }
}
