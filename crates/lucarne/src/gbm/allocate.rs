//! Asking libgbm for buffers, and checking what it made.

use std::ffi::c_uint;
use std::ptr::NonNull;

use super::buffer::Bo;
use super::inner::DeviceInner;
use super::raw::{self, USE_LINEAR, USE_RENDERING};
use crate::error::{Error, Result};
use crate::format::{Format, FormatInfo};
use crate::layout::{Extent, LINEAR_HEIGHT_ALIGNMENT, LINEAR_PITCH_ALIGNMENT, MAX_PLANES};
use crate::modifier::Modifier;
use crate::negotiate::Usage;

/// A buffer, and what is known of it for certain.
pub(super) struct Made<'a> {
    pub(super) bo: Bo<'a>,
    pub(super) modifier: Modifier,
    pub(super) planes: u8,
}

/// Allocates with one of these modifiers.
pub(super) fn make<'a>(
    device: &'a DeviceInner,
    extent: Extent,
    info: &FormatInfo,
    modifiers: &[Modifier],
    usage: Usage,
) -> Result<Made<'a>> {
    let linear = modifiers == [Modifier::LINEAR];
    let extent = if linear { padded(extent, info) } else { extent };
    let bo = match bo_with_modifiers(device, extent, info.format, modifiers, usage) {
        // Mesa's software driver (25.0.7) knows no modifiers, but has the flag.
        Err(_) if linear => bo(device, extent, info.format, usage_flags(usage) | USE_LINEAR)?,
        other => other?,
    };
    let code = modifier_code(device, &bo);
    // A driver without modifiers answers INVALID; it was told to be linear, and has accepted that.
    let modifier = match Modifier::new(code) {
        None if linear => Some(Modifier::LINEAR),
        other => other.filter(|modifier| modifiers.contains(modifier)),
    };
    let Some(modifier) = modifier else {
        return Err(Error::driver(
            "gbm_bo_create_with_modifiers2",
            format!("success, but modifier {code:#018x}, which was not asked for"),
        ));
    };
    let planes = plane_count(device, &bo)?;
    Ok(Made {
        bo,
        modifier,
        planes,
    })
}

/// Allocates as the driver likes it best. `None` where it does not say how that is laid out.
pub(super) fn make_preferred<'a>(
    device: &'a DeviceInner,
    extent: Extent,
    info: &FormatInfo,
    usage: Usage,
) -> Result<Option<Made<'a>>> {
    let bo = bo(device, extent, info.format, usage_flags(usage))?;
    let Some(modifier) = Modifier::new(modifier_code(device, &bo)) else {
        return Ok(None);
    };
    let planes = plane_count(device, &bo)?;
    Ok(Some(Made {
        bo,
        modifier,
        planes,
    }))
}

/// Any buffer at all.
pub(super) fn any_bo<'a>(
    device: &'a DeviceInner,
    extent: Extent,
    format: Format,
) -> Result<Bo<'a>> {
    bo(device, extent, format, USE_LINEAR).or_else(|_| bo(device, extent, format, USE_RENDERING))
}

/// Sampling needs no flag.
pub(super) fn usage_flags(usage: Usage) -> u32 {
    if usage.contains(Usage::RENDER) {
        USE_RENDERING
    } else {
        0
    }
}

/// The extent whose rows are whole multiples of the pitch that every driver accepts.
fn padded(extent: Extent, info: &FormatInfo) -> Extent {
    let whole = |width: &u32| {
        (0..info.planes.len()).all(|plane| {
            let bytes = info.row_bytes(plane, *width).map(u64::from);
            bytes.is_some_and(|bytes| bytes.is_multiple_of(LINEAR_PITCH_ALIGNMENT))
        })
    };
    // Most blocks are a power of two bytes for one pixel; some hold three pixels.
    let mut steps = (0..=10).flat_map(|shift| [1 << shift, 3 << shift]);
    let step = steps.find(whole).unwrap_or(1);
    Extent::new(
        extent.width.next_multiple_of(step),
        extent.height.next_multiple_of(LINEAR_HEIGHT_ALIGNMENT),
    )
}

fn bo<'a>(device: &'a DeviceInner, extent: Extent, format: Format, flags: u32) -> Result<Bo<'a>> {
    let _one = device.lock();
    // SAFETY: gbm_bo_create on a live device; any numbers may be asked for.
    let bo = unsafe {
        (device.library.bo_create)(
            device.raw(),
            extent.width,
            extent.height,
            format.fourcc(),
            flags,
        )
    };
    NonNull::new(bo)
        .map(|bo| Bo::new(device, bo))
        .ok_or_else(|| raw::failed("gbm_bo_create", format!("{extent} {format}")))
}

fn bo_with_modifiers<'a>(
    device: &'a DeviceInner,
    extent: Extent,
    format: Format,
    modifiers: &[Modifier],
    usage: Usage,
) -> Result<Bo<'a>> {
    let codes: Vec<u64> = modifiers.iter().map(|one| one.code()).collect();
    let count = c_uint::try_from(codes.len()).unwrap_or(c_uint::MAX);
    let _one = device.lock();
    // SAFETY: gbm_bo_create_with_modifiers2 on a live device reads `count` modifiers, which is at most the array's
    // length.
    let bo = unsafe {
        (device.library.bo_create_with_modifiers2)(
            device.raw(),
            extent.width,
            extent.height,
            format.fourcc(),
            codes.as_ptr(),
            count,
            usage_flags(usage),
        )
    };
    NonNull::new(bo)
        .map(|bo| Bo::new(device, bo))
        .ok_or_else(|| {
            let names: Vec<String> = modifiers.iter().map(ToString::to_string).collect();
            let asked = format!("{extent} {format} as {}", names.join(" or "));
            raw::failed("gbm_bo_create_with_modifiers2", asked)
        })
}

fn modifier_code(device: &DeviceInner, bo: &Bo<'_>) -> u64 {
    let _one = device.lock();
    // SAFETY: gbm_bo_get_modifier of a live buffer.
    unsafe { (device.library.bo_get_modifier)(bo.raw()) }
}

fn plane_count(device: &DeviceInner, bo: &Bo<'_>) -> Result<u8> {
    let _one = device.lock();
    // SAFETY: gbm_bo_get_plane_count of a live buffer.
    let count = unsafe { (device.library.bo_get_plane_count)(bo.raw()) };
    u8::try_from(count)
        .ok()
        .filter(|count| (1..=MAX_PLANES).contains(&usize::from(*count)))
        .ok_or_else(|| Error::driver("gbm_bo_get_plane_count", format!("{count} planes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_rows_are_padded_for_every_driver() {
        let cases = [
            (Format::XRGB8888, Extent::new(1, 1), Extent::new(64, 16)),
            (Format::XRGB8888, Extent::new(65, 17), Extent::new(128, 32)),
            (Format::RGB888, Extent::new(3, 16), Extent::new(256, 16)),
            (
                Format::ABGR16161616F,
                Extent::new(33, 1),
                Extent::new(64, 16),
            ),
            (Format::NV12, Extent::new(1, 1), Extent::new(256, 16)),
            (Format::YUV420, Extent::new(1, 1), Extent::new(512, 16)),
        ];
        for (format, extent, want) in cases {
            assert_eq!(padded(extent, format.info().unwrap()), want, "{format}");
        }
    }

    #[test]
    fn every_format_has_a_padding() {
        for info in Format::ALL {
            let padded = padded(Extent::new(7, 7), info);
            for plane in 0..info.planes.len() {
                let bytes = u64::from(info.row_bytes(plane, padded.width).unwrap());
                assert_eq!(bytes % LINEAR_PITCH_ALIGNMENT, 0, "{}", info.format);
            }
        }
    }

    #[test]
    fn only_rendering_has_a_flag() {
        assert_eq!(usage_flags(Usage::SAMPLE), 0);
        assert_eq!(usage_flags(Usage::RENDER | Usage::SAMPLE), USE_RENDERING);
    }
}
