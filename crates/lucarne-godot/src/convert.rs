//! Godot's words for Lucarne's, and back.

use godot::classes::rendering_device::DataFormat;
use lucarne::{Format, MemoryPath};

/// DRM's formats beside those of Godot's rendering device, and what the same numbers are called where they are sRGB.
///
/// None has padding: Godot's views of a texture have no swizzle, so that padding would read as alpha.
const FORMATS: [(Format, DataFormat, Option<DataFormat>); 3] = [
    (
        Format::ABGR8888,
        DataFormat::R8G8B8A8_UNORM,
        Some(DataFormat::R8G8B8A8_SRGB),
    ),
    (
        Format::ARGB8888,
        DataFormat::B8G8R8A8_UNORM,
        Some(DataFormat::B8G8R8A8_SRGB),
    ),
    (Format::ABGR16161616F, DataFormat::R16G16B16A16_SFLOAT, None),
];

/// The format of a texture that holds a frame's numbers as they are.
pub(crate) fn data_format(format: Format) -> Option<DataFormat> {
    let row = FORMATS.iter().find(|row| row.0 == format);
    row.map(|row| row.1)
}

/// The format of a frame that a texture's numbers are copied into as they are.
pub(crate) fn format(texture: DataFormat) -> Option<Format> {
    let row = FORMATS
        .iter()
        .find(|row| row.1 == texture || row.2 == Some(texture));
    row.map(|row| row.0)
}

/// What a view may also call the numbers of this format.
pub(crate) fn srgb(texture: DataFormat) -> Option<DataFormat> {
    FORMATS.iter().find(|row| row.1 == texture)?.2
}

/// The same with padding in the place of alpha, for pictures whose alpha means nothing.
const OPAQUE: [(Format, Format); 2] = [
    (Format::ABGR8888, Format::XBGR8888),
    (Format::ABGR16161616F, Format::XBGR16161616F),
];

/// The formats that a texture's numbers are sent in, best first. Only a picture with transparent places needs alpha; but some
/// readers know no padding.
pub(crate) fn sent_as(format: Format, is_opaque: bool) -> Vec<Format> {
    let padded = OPAQUE.iter().find(|row| row.0 == format);
    let padded = padded.map(|row| row.1).filter(|_| is_opaque);
    padded.into_iter().chain([format]).collect()
}

/// The format of a texture that frames of a [sent](sent_as) format are copied out of.
pub(crate) fn sent_format(format: Format) -> Option<DataFormat> {
    let row = OPAQUE.iter().find(|row| row.1 == format);
    data_format(row.map_or(format, |row| row.0))
}

/// The formats of frames that the CPU makes pixels of.
pub(crate) const CPU_FORMATS: [Format; 4] = [
    Format::ABGR8888,
    Format::XBGR8888,
    Format::ARGB8888,
    Format::XRGB8888,
];

/// Makes red, green, blue, alpha of a frame's bytes, in place; false for a format that is not among [`CPU_FORMATS`].
pub(crate) fn to_rgba(format: Format, bytes: &mut [u8]) -> bool {
    if !CPU_FORMATS.contains(&format) {
        return false;
    }
    let blue_first = [Format::ARGB8888, Format::XRGB8888].contains(&format);
    let padded = [Format::XBGR8888, Format::XRGB8888].contains(&format);
    for pixel in bytes.chunks_exact_mut(4) {
        if blue_first {
            pixel.swap(0, 2);
        }
        if padded {
            pixel[3] = 255;
        }
    }
    true
}

/// A memory path in words that a script may compare.
pub(crate) fn path_name(path: Option<MemoryPath>) -> &'static str {
    path.map_or("", MemoryPath::name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_there_and_back() {
        for (drm, texture, srgb_texture) in FORMATS {
            assert_eq!(data_format(drm), Some(texture));
            assert_eq!(format(texture), Some(drm));
            assert_eq!(srgb(texture), srgb_texture);
            if let Some(other) = srgb_texture {
                assert_eq!(format(other), Some(drm));
            }
        }
        assert_eq!(data_format(Format::XRGB8888), None, "padding");
        assert_eq!(format(DataFormat::R8_UNORM), None);
    }

    #[test]
    fn what_is_opaque_is_sent_with_padding_where_that_is_known() {
        let both = [Format::XBGR8888, Format::ABGR8888];
        assert_eq!(sent_as(Format::ABGR8888, true), both);
        assert_eq!(sent_as(Format::ABGR8888, false), both[1..]);
        assert_eq!(sent_as(Format::ARGB8888, true), [Format::ARGB8888]);
        let texture = Some(DataFormat::R8G8B8A8_UNORM);
        assert_eq!(both.map(sent_format), [texture; 2]);
        assert_eq!(sent_format(Format::NV12), None);
    }

    #[test]
    fn pixels_of_the_cpu() {
        let cases = [
            (Format::ABGR8888, [1, 2, 3, 4]),
            (Format::XBGR8888, [1, 2, 3, 255]),
            (Format::ARGB8888, [3, 2, 1, 4]),
            (Format::XRGB8888, [3, 2, 1, 255]),
        ];
        for (format, wanted) in cases {
            let mut pixels = [1, 2, 3, 4, 1, 2, 3, 4];
            assert!(to_rgba(format, &mut pixels));
            assert_eq!(pixels[..4], wanted, "{format}");
            assert_eq!(pixels[4..], wanted, "{format}");
        }
        assert!(!to_rgba(Format::NV12, &mut [0; 4]));
    }
}
