//! PipeWire's words in ours, and back: formats and colours. Tables and pure functions.

use lucarne::Format;
use lucarne::color::{ColorDescription, Matrix, Primaries, Range, Transfer};
use pipewire::spa::param::video::VideoFormat;
use pipewire::spa::sys;

/// PipeWire names the bytes of a pixel in the order of memory, DRM the bits of a little-endian word from the top.
const FORMATS: &[(VideoFormat, Format)] = &[
    (VideoFormat::RGBx, Format::XBGR8888),
    (VideoFormat::BGRx, Format::XRGB8888),
    (VideoFormat::xRGB, Format::BGRX8888),
    (VideoFormat::xBGR, Format::RGBX8888),
    (VideoFormat::RGBA, Format::ABGR8888),
    (VideoFormat::BGRA, Format::ARGB8888),
    (VideoFormat::ARGB, Format::BGRA8888),
    (VideoFormat::ABGR, Format::RGBA8888),
    (VideoFormat::RGB, Format::BGR888),
    (VideoFormat::BGR, Format::RGB888),
    // Of host order: "components are in big-endian order" does not hold for these.
    (VideoFormat::RGB16, Format::RGB565),
    (VideoFormat::BGR16, Format::BGR565),
    (VideoFormat::RGB15, Format::XRGB1555),
    (VideoFormat::BGR15, Format::XBGR1555),
    (VideoFormat::xRGB_210LE, Format::XRGB2101010),
    (VideoFormat::xBGR_210LE, Format::XBGR2101010),
    (VideoFormat::RGBx_102LE, Format::RGBX1010102),
    (VideoFormat::BGRx_102LE, Format::BGRX1010102),
    (VideoFormat::ARGB_210LE, Format::ARGB2101010),
    (VideoFormat::ABGR_210LE, Format::ABGR2101010),
    (VideoFormat::RGBA_102LE, Format::RGBA1010102),
    (VideoFormat::BGRA_102LE, Format::BGRA1010102),
    (VideoFormat::RGBA_F16, Format::ABGR16161616F),
    (VideoFormat::GRAY8, Format::R8),
    (VideoFormat::GRAY16_LE, Format::R16),
    (VideoFormat::YUY2, Format::YUYV),
    (VideoFormat::YVYU, Format::YVYU),
    (VideoFormat::UYVY, Format::UYVY),
    (VideoFormat::VYUY, Format::VYUY),
    (VideoFormat::NV12, Format::NV12),
    (VideoFormat::NV21, Format::NV21),
    (VideoFormat::NV16, Format::NV16),
    (VideoFormat::NV61, Format::NV61),
    (VideoFormat::NV24, Format::NV24),
    (VideoFormat::P010_10LE, Format::P010),
    (VideoFormat::I420, Format::YUV420),
    (VideoFormat::YV12, Format::YVU420),
    (VideoFormat::Y42B, Format::YUV422),
    (VideoFormat::Y444, Format::YUV444),
];

/// The formats that PipeWire has a name for.
pub fn formats() -> impl Iterator<Item = Format> {
    FORMATS.iter().map(|(_, ours)| *ours)
}

/// Our format's name there; `None` where PipeWire has none.
pub(crate) fn to_video_format(format: Format) -> Option<VideoFormat> {
    let row = FORMATS.iter().find(|(_, ours)| *ours == format);
    row.map(|(theirs, _)| *theirs)
}

/// Their format's name here; `None` for what is encoded, big-endian, or has no DRM format.
pub(crate) fn from_video_format(format: VideoFormat) -> Option<Format> {
    let row = FORMATS.iter().find(|(theirs, _)| *theirs == format);
    row.map(|(_, ours)| *ours)
}

/// The colour properties of a format, each as PipeWire's number; `None` where a side says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Colors {
    pub(crate) range: Option<u32>,
    pub(crate) matrix: Option<u32>,
    pub(crate) transfer: Option<u32>,
    pub(crate) primaries: Option<u32>,
}

const RANGES: &[(u32, Range)] = &[
    (sys::SPA_VIDEO_COLOR_RANGE_0_255, Range::Full),
    (sys::SPA_VIDEO_COLOR_RANGE_16_235, Range::Limited),
];
const MATRICES: &[(u32, Matrix)] = &[
    (sys::SPA_VIDEO_COLOR_MATRIX_RGB, Matrix::Identity),
    (sys::SPA_VIDEO_COLOR_MATRIX_FCC, Matrix::Fcc),
    (sys::SPA_VIDEO_COLOR_MATRIX_BT709, Matrix::Bt709),
    (sys::SPA_VIDEO_COLOR_MATRIX_BT601, Matrix::Bt601),
    (sys::SPA_VIDEO_COLOR_MATRIX_SMPTE240M, Matrix::Smpte240M),
    (sys::SPA_VIDEO_COLOR_MATRIX_BT2020, Matrix::Bt2020),
];
const TRANSFERS: &[(u32, Transfer)] = &[
    (sys::SPA_VIDEO_TRANSFER_GAMMA10, Transfer::Linear),
    (sys::SPA_VIDEO_TRANSFER_GAMMA22, Transfer::Gamma22),
    (sys::SPA_VIDEO_TRANSFER_BT709, Transfer::Bt709),
    (sys::SPA_VIDEO_TRANSFER_SMPTE240M, Transfer::Smpte240M),
    (sys::SPA_VIDEO_TRANSFER_SRGB, Transfer::Srgb),
    (sys::SPA_VIDEO_TRANSFER_GAMMA28, Transfer::Gamma28),
    (sys::SPA_VIDEO_TRANSFER_LOG100, Transfer::Log100),
    (sys::SPA_VIDEO_TRANSFER_LOG316, Transfer::Log316),
    (sys::SPA_VIDEO_TRANSFER_BT2020_12, Transfer::Bt2020Bits12),
];
const PRIMARIES: &[(u32, Primaries)] = &[
    (sys::SPA_VIDEO_COLOR_PRIMARIES_BT709, Primaries::Bt709),
    (sys::SPA_VIDEO_COLOR_PRIMARIES_BT470M, Primaries::Bt470M),
    (sys::SPA_VIDEO_COLOR_PRIMARIES_BT470BG, Primaries::Bt470Bg),
    (
        sys::SPA_VIDEO_COLOR_PRIMARIES_SMPTE170M,
        Primaries::Smpte170M,
    ),
    (
        sys::SPA_VIDEO_COLOR_PRIMARIES_SMPTE240M,
        Primaries::Smpte240M,
    ),
    (sys::SPA_VIDEO_COLOR_PRIMARIES_FILM, Primaries::Film),
    (sys::SPA_VIDEO_COLOR_PRIMARIES_BT2020, Primaries::Bt2020),
];

fn theirs<T: Copy + PartialEq>(table: &[(u32, T)], ours: T) -> Option<u32> {
    let row = table.iter().find(|(_, known)| *known == ours);
    row.map(|(theirs, _)| *theirs)
}

fn ours<T: Copy>(table: &[(u32, T)], theirs: Option<u32>) -> Option<T> {
    let row = table.iter().find(|(known, _)| Some(*known) == theirs);
    row.map(|(_, ours)| *ours)
}

/// What PipeWire can be told of these colours; what it has no word for is left out.
pub(crate) fn to_colors(color: &ColorDescription) -> Colors {
    Colors {
        range: theirs(RANGES, color.range),
        matrix: theirs(MATRICES, color.matrix),
        transfer: theirs(TRANSFERS, color.transfer),
        primaries: theirs(PRIMARIES, color.primaries),
    }
}

/// The colours of a frame in `format`: what was said, and the format's default for the rest. A matrix that contradicts the
/// format is left out, as peers give one with every format.
pub(crate) fn from_colors(format: Format, said: Colors) -> Option<ColorDescription> {
    let default = ColorDescription::default_for(format.info()?);
    let color = ColorDescription {
        range: ours(RANGES, said.range).unwrap_or(default.range),
        matrix: ours(MATRICES, said.matrix).unwrap_or(default.matrix),
        transfer: ours(TRANSFERS, said.transfer).unwrap_or(default.transfer),
        primaries: ours(PRIMARIES, said.primaries).unwrap_or(default.primaries),
        ..default
    };
    Some(if color.check(format).is_ok() {
        color
    } else {
        ColorDescription {
            matrix: default.matrix,
            ..color
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_goes_there_and_back() {
        for (theirs, ours) in FORMATS {
            assert_eq!(to_video_format(*ours), Some(*theirs), "{ours}");
            assert_eq!(from_video_format(*theirs), Some(*ours), "{theirs:?}");
            assert!(ours.info().is_some(), "{ours} has a geometry");
        }
        assert_eq!(from_video_format(VideoFormat::Encoded), None);
        assert_eq!(to_video_format(Format::NV15), None);
    }

    /// PipeWire's names spell the bytes in the order of memory; ours the components from the word's top.
    #[test]
    fn the_bytes_of_packed_formats_are_those_of_the_name() {
        let names = [
            ("RGBx", VideoFormat::RGBx),
            ("BGRx", VideoFormat::BGRx),
            ("xRGB", VideoFormat::xRGB),
            ("xBGR", VideoFormat::xBGR),
            ("RGBA", VideoFormat::RGBA),
            ("BGRA", VideoFormat::BGRA),
            ("ARGB", VideoFormat::ARGB),
            ("ABGR", VideoFormat::ABGR),
            ("RGB", VideoFormat::RGB),
            ("BGR", VideoFormat::BGR),
        ];
        for (name, theirs) in names {
            let format = from_video_format(theirs).expect("in the table");
            let from_the_top = format.info().expect("known").name;
            let letters = from_the_top.trim_end_matches(char::is_numeric);
            let backwards: String = letters.chars().rev().collect();
            assert_eq!(backwards.to_uppercase(), name.to_uppercase());
        }
    }

    #[test]
    fn colours_go_there_and_back() {
        for color in [ColorDescription::SRGB, ColorDescription::VIDEO] {
            let format = if color.matrix == Matrix::Identity {
                Format::XRGB8888
            } else {
                Format::NV12
            };
            let back = from_colors(format, to_colors(&color)).expect("a known format");
            assert_eq!(back, color);
        }
        let said = Colors {
            range: Some(sys::SPA_VIDEO_COLOR_RANGE_0_255),
            matrix: Some(sys::SPA_VIDEO_COLOR_MATRIX_BT601),
            ..Colors::default()
        };
        let video = from_colors(Format::NV12, said).expect("a known format");
        assert_eq!((video.matrix, video.range), (Matrix::Bt601, Range::Full));
        // A matrix with red, green and blue is a contradiction, and the rest still counts.
        let screen = from_colors(Format::XRGB8888, said).expect("a known format");
        assert_eq!(screen.matrix, Matrix::Identity);
        assert_eq!(screen.range, Range::Full);
    }
}
