//! Patterns whose every pixel is known, and what a sampler must read of them.

use lucarne::{Component, Extent, FormatInfo, Numeric};

use crate::ends::Pixels;

/// The bytes of an image, rows without padding.
///
/// Each channel is a gradient of its own, so that swapped channels, rows, columns or a wrong pitch all show; the
/// frame number shifts it, so that a stale frame shows too.
///
/// # Panics
///
/// For formats with more than one plane, which are shared plane by plane.
pub fn bytes(info: &FormatInfo, extent: Extent, frame: u32) -> Vec<u8> {
    let plane = single(info);
    let mut bytes = Vec::new();
    for y in 0..extent.height {
        for x in 0..extent.width {
            let mut block = 0_u64;
            for channel in plane.channels {
                let value = channel_bits(info, channel.component, channel.bits, x, y, frame);
                block |= value << channel.shift;
            }
            let size = usize::from(plane.block_bytes);
            bytes.extend_from_slice(&block.to_le_bytes()[..size]);
        }
    }
    bytes
}

/// What a sampler reads at a pixel, red, green, blue, alpha.
pub fn expected(info: &FormatInfo, x: u32, y: u32, frame: u32) -> [f32; 4] {
    let plane = single(info);
    let mut pixel = [0.0, 0.0, 0.0, 1.0];
    for channel in plane.channels {
        let index = match channel.component {
            Component::Red => 0,
            Component::Green => 1,
            Component::Blue => 2,
            Component::Alpha => 3,
            _ => continue,
        };
        let bits = channel_bits(info, channel.component, channel.bits, x, y, frame);
        pixel[index] = match info.numeric {
            Numeric::Float => half_to_f32(bits),
            _ => normalized(bits, channel.bits),
        };
    }
    pixel
}

/// The only plane of a format.
///
/// # Panics
///
/// When there are more.
fn single(info: &FormatInfo) -> &lucarne::FormatPlane {
    assert_eq!(info.planes.len(), 1, "{} has several planes", info.format);
    &info.planes[0]
}

fn channel_bits(
    info: &FormatInfo,
    component: Component,
    bits: u8,
    x: u32,
    y: u32,
    frame: u32,
) -> u64 {
    let seed = match component {
        Component::Red => x * 7 + y * 3 + frame,
        Component::Green => x * 2 + y * 11 + frame * 5 + 40,
        Component::Blue => (x ^ y) * 5 + frame * 3 + 90,
        // Never opaque throughout, and never 1 where it must be ignored.
        Component::Alpha => x + y * 2 + frame + 17,
        _ => x * 13 + y,
    };
    let mask = (1_u64 << bits) - 1;
    match info.numeric {
        // 0 to 1.98 in steps that binary16 holds exactly: 1.0 + n/128, or n/64 below one.
        Numeric::Float => half_steps(u64::from(seed) % 127),
        _ if bits > 8 => u64::from(seed).wrapping_mul(0x101) & mask,
        _ => u64::from(seed) & mask,
    }
}

/// binary16 of `step` / 64, for `step` below 2048.
fn half_steps(step: u64) -> u64 {
    if step == 0 {
        return 0;
    }
    let exponent = 63 - u64::from(step.leading_zeros());
    let mantissa = (step << (10 - exponent)) & 0x3ff;
    // Value is step * 2^-6, that is 1.m * 2^(exponent - 6).
    ((exponent + 15 - 6) << 10) | mantissa
}

fn half_to_f32(bits: u64) -> f32 {
    let exponent = i32::try_from((bits >> 10) & 0x1f).expect("five bits");
    let mantissa = f32::from(u16::try_from(bits & 0x3ff).expect("ten bits"));
    if exponent == 0 {
        return mantissa * 2.0_f32.powi(-24);
    }
    (1.0 + mantissa / 1024.0) * 2.0_f32.powi(exponent - 15)
}

fn normalized(value: u64, bits: u8) -> f32 {
    let most = f64::from(u32::try_from((1_u64 << bits) - 1).expect("at most 32 bits"));
    let value = f64::from(u32::try_from(value).expect("at most 32 bits"));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding to what a sampler returns is the point"
    )]
    let value = (value / most) as f32;
    value
}

/// Compares what was read with what must be there.
///
/// # Errors
///
/// The first pixel that differs: sampled ones by more than half a unit of 16 bits, in which no wrong unit of a format
/// hides; bytes in any bit that is not padding.
pub fn compare(info: &FormatInfo, extent: Extent, frame: u32, read: &Pixels) -> Result<(), String> {
    match read {
        Pixels::Sampled(pixels) => compare_sampled(info, extent, frame, pixels),
        Pixels::Bytes(pixels) => compare_bytes(info, extent, frame, pixels),
    }
}

fn compare_sampled(
    info: &FormatInfo,
    extent: Extent,
    frame: u32,
    read: &[[f32; 4]],
) -> Result<(), String> {
    let count = u64::from(extent.width) * u64::from(extent.height);
    if read.len() as u64 != count {
        return Err(format!("{} pixels read, must be {count}", read.len()));
    }
    let mut pixels = read.iter();
    for y in 0..extent.height {
        for x in 0..extent.width {
            let got = pixels.next().copied().unwrap_or_default();
            let want = expected(info, x, y, frame);
            let close = got
                .iter()
                .zip(want)
                .all(|(g, w)| (g - w).abs() < 0.5 / 65_535.0);
            if !close {
                return Err(format!(
                    "frame {frame}, pixel {x},{y}: read {got:?}, must be {want:?}"
                ));
            }
        }
    }
    Ok(())
}

fn compare_bytes(info: &FormatInfo, extent: Extent, frame: u32, read: &[u8]) -> Result<(), String> {
    let want = bytes(info, extent, frame);
    if read.len() != want.len() {
        return Err(format!("{} bytes read, must be {}", read.len(), want.len()));
    }
    let plane = single(info);
    let size = usize::from(plane.block_bytes);
    let mask = plane
        .channels
        .iter()
        .filter(|channel| channel.component != Component::Padding)
        .fold(0_u64, |mask, channel| {
            mask | (((1_u64 << channel.bits) - 1) << channel.shift)
        });
    let number = |block: &[u8]| {
        let mut all = [0; 8];
        all[..size].copy_from_slice(block);
        u64::from_le_bytes(all) & mask
    };
    let blocks = read.chunks_exact(size).zip(want.chunks_exact(size));
    for (index, (got, want)) in blocks.enumerate() {
        if number(got) != number(want) {
            let width = usize::try_from(extent.width).unwrap_or(1);
            return Err(format!(
                "frame {frame}, pixel {},{}: read {got:02x?}, must be {want:02x?}",
                index % width,
                index / width
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use lucarne::Format;

    use super::*;

    #[test]
    fn half_steps_are_sixty_fourths() {
        for step in 0..128_u64 {
            let want = f32::from(u16::try_from(step).expect("small")) / 64.0;
            assert_eq!(half_to_f32(half_steps(step)).to_bits(), want.to_bits());
        }
    }

    #[test]
    fn neighbours_rows_channels_and_frames_differ() {
        let info = Format::ABGR8888.info().expect("known");
        let here = expected(info, 5, 5, 0);
        assert_ne!(here, expected(info, 6, 5, 0));
        assert_ne!(here, expected(info, 5, 6, 0));
        assert_ne!(here, expected(info, 5, 5, 1));
        assert_ne!(here[0].to_bits(), here[1].to_bits());
        assert_ne!(here[1].to_bits(), here[2].to_bits());
    }

    #[test]
    fn formats_without_alpha_read_one() {
        let info = Format::XRGB8888.info().expect("known");
        assert_eq!(expected(info, 3, 4, 0)[3].to_bits(), 1.0_f32.to_bits());
        assert_ne!(bytes(info, Extent::new(1, 1), 0)[3], 255);
    }

    #[test]
    fn one_wrong_bit_is_found() {
        let info = Format::XRGB8888.info().expect("known");
        let extent = Extent::new(7, 3);
        let mut read = bytes(info, extent, 1);
        let ok = compare(info, extent, 1, &Pixels::Bytes(read.clone()));
        assert_eq!(ok, Ok(()));
        // Padding may hold anything.
        read[3] ^= 0xff;
        assert!(compare(info, extent, 1, &Pixels::Bytes(read.clone())).is_ok());
        read[4 * 8 + 1] ^= 1;
        let error = compare(info, extent, 1, &Pixels::Bytes(read)).expect_err("one bit");
        assert!(error.contains("pixel 1,1"), "{error}");
    }
}
