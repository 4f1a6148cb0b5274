//! Whether memory that is not the driver's own is sampled rightly, where a driver is known to get that wrong.

use std::rc::Rc;
use std::time::Duration;

use crate::device_id::DeviceId;
use crate::egl::inner::DeviceInner;
use crate::egl::{image, pixels};
use crate::error::{Error, Requirement, Result};
use crate::format::Format;
use crate::frame::{Frame, Memory};
use crate::kernel::{DmaBuf, DmaBufMapping, Udmabuf};
use crate::layout::{Extent, FrameLayout};
use crate::modifier::Modifier;
use crate::negotiate::{MemoryPath, OfferEntry, Strike, StrikeReason};
use crate::quirks;

/// 3 MiB: pages beyond the first 2 MiB are the ones that went wrong.
const EXTENT: Extent = Extent::new(1024, 768);
const FORMAT: Format = Format::XRGB8888;
const TIMEOUT: Duration = Duration::from_secs(1);

/// Linear dma-bufs, where this driver may sample other memory than theirs and was not seen to do it rightly.
pub(in crate::egl) fn withdraw(device: &Rc<DeviceInner>, entries: &[OfferEntry]) -> Option<Strike> {
    if !device.quirk(&quirks::NVIDIA_FOREIGN_IMPORT) {
        return None;
    }
    let linear = |entry: &&OfferEntry| {
        let modifier = entry.tiling.modifier();
        let dma_buf = entry.path == MemoryPath::DmaBuf;
        dma_buf && modifier.is_some_and(|modifier| modifier.is_linear())
    };
    entries.iter().find(linear)?;
    let mut of_format = entries.iter().filter(linear);
    let outcome = match of_format.find(|entry| entry.format == FORMAT) {
        Some(entry) => sample(device, entry.external_only).map(|pixels| judge(&pixels)),
        None => Err(Error::driver(
            "self-test",
            format!("{FORMAT} is not listed"),
        )),
    };
    let effect = match outcome {
        Ok(Ok(())) => return None,
        Ok(Err(row)) => format!(
            "its driver samples wrong pages of foreign memory: row {row} of a test image is not what was written"
        ),
        Err(error) => {
            format!(
                "its driver may sample wrong pages of foreign memory, and the test failed: {error}"
            )
        }
    };
    let name = quirks::NVIDIA_FOREIGN_IMPORT.name;
    Some(Strike {
        path: MemoryPath::DmaBuf,
        format: None,
        modifier: Some(Modifier::LINEAR),
        reason: StrikeReason::SelfTest(Requirement::Quirk { name, effect }),
    })
}

/// What the driver sees of memory that is not its own.
fn sample(device: &Rc<DeviceInner>, external_only: bool) -> Result<Vec<[f32; 4]>> {
    let (layout, size) = FrameLayout::linear(EXTENT, FORMAT)?;
    let buffer = Udmabuf::open()?.create(size)?;
    write(&buffer, &layout)?;
    let foreign = DeviceId {
        software: true,
        ..DeviceId::default()
    };
    let frame = Frame::new(layout, Memory::DmaBuf(vec![buffer]), foreign)?;
    let Memory::DmaBuf(buffers) = frame.memory() else {
        return Err(Error::driver("self-test", "another memory than was made"));
    };
    let texture = image::import(device, &frame, buffers, external_only)?;
    pixels::fetch(device, &texture)
}

fn write(buffer: &DmaBuf, layout: &FrameLayout) -> Result<()> {
    let pitch = layout.planes().first().map_or(0, |plane| plane.pitch);
    let mut mapping = DmaBufMapping::new(buffer)?;
    let mut access = mapping.write(TIMEOUT)?;
    for row in 0..EXTENT.height {
        let [red, green, blue] = color(row);
        let pixels = [blue, green, red, 0].repeat(usize::try_from(EXTENT.width).unwrap_or(0));
        let offset = usize::try_from(pitch * u64::from(row)).unwrap_or(usize::MAX);
        access.copy_in(offset, &pixels)?;
    }
    access.end()
}

/// A colour that no other row has.
fn color(row: u32) -> [u8; 3] {
    let [low, high, ..] = row.to_le_bytes();
    [low, high, low ^ 0xa5]
}

/// Fails with the first row that is not as it was written.
fn judge(pixels: &[[f32; 4]]) -> std::result::Result<(), u32> {
    let width = usize::try_from(EXTENT.width).unwrap_or(usize::MAX);
    let mut rows = pixels.chunks(width);
    for row in 0..EXTENT.height {
        let wanted = color(row).map(|level| f32::from(level) / 255.0);
        let right = |pixel: &[f32; 4]| {
            let pairs = pixel.iter().zip(wanted);
            pairs.fold(true, |right, (got, wanted)| {
                right && (got - wanted).abs() < 0.5 / 255.0
            })
        };
        if !rows
            .next()
            .is_some_and(|pixels| pixels.len() == width && pixels.iter().all(right))
        {
            return Err(row);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(shown: impl Fn(u32) -> u32) -> Vec<[f32; 4]> {
        (0..EXTENT.height)
            .flat_map(|row| {
                let [r, g, b] = color(shown(row)).map(|level| f32::from(level) / 255.0);
                vec![[r, g, b, 1.0]; 1024]
            })
            .collect()
    }

    /// 512 rows of 4096 bytes are 2 MiB.
    #[test]
    fn pages_beyond_two_mebibytes_are_looked_at() {
        assert_eq!(judge(&image(|row| row)), Ok(()));
        assert_eq!(
            judge(&image(|row| row % 512)),
            Err(512),
            "the first pages again"
        );
        assert_eq!(
            judge(&image(|row| if row < 512 { row } else { 0 })),
            Err(512)
        );
        assert_eq!(judge(&image(|_| 0)), Err(1), "one colour");
        let mut last = image(|row| row);
        *last.last_mut().expect("a pixel") = [0.0; 4];
        assert_eq!(judge(&last), Err(767), "the last pixel counts");
        assert_eq!(judge(&[]), Err(0));
    }
}
