//! GStreamer's words in ours, and back: formats, colours, caps.

use gst_video::{
    VideoChromaSite, VideoColorMatrix, VideoColorPrimaries, VideoColorRange, VideoColorimetry,
    VideoFormat, VideoInfo, VideoTransferFunction,
};
use lucarne::color::{
    AlphaMode, ChromaSiting, ColorDescription, Matrix, Primaries, Range, Transfer,
};
use lucarne::{Extent, Format, FrameLayout};

/// GStreamer names bytes in the order of memory; DRM names the bits of a little-endian number, from the highest.
const FORMATS: [(VideoFormat, Format); 25] = [
    (VideoFormat::Rgbx, Format::XBGR8888),
    (VideoFormat::Bgrx, Format::XRGB8888),
    (VideoFormat::Rgba, Format::ABGR8888),
    (VideoFormat::Bgra, Format::ARGB8888),
    (VideoFormat::Xrgb, Format::BGRX8888),
    (VideoFormat::Xbgr, Format::RGBX8888),
    (VideoFormat::Argb, Format::BGRA8888),
    (VideoFormat::Abgr, Format::RGBA8888),
    (VideoFormat::Rgb, Format::BGR888),
    (VideoFormat::Bgr, Format::RGB888),
    (VideoFormat::Rgb16, Format::RGB565),
    (VideoFormat::Bgr16, Format::BGR565),
    (VideoFormat::Rgb10a2Le, Format::ABGR2101010),
    (VideoFormat::Bgr10a2Le, Format::ARGB2101010),
    (VideoFormat::Nv12, Format::NV12),
    (VideoFormat::Nv21, Format::NV21),
    (VideoFormat::Nv16, Format::NV16),
    (VideoFormat::Nv24, Format::NV24),
    (VideoFormat::I420, Format::YUV420),
    (VideoFormat::Yv12, Format::YVU420),
    (VideoFormat::Y42b, Format::YUV422),
    (VideoFormat::Y444, Format::YUV444),
    (VideoFormat::Yuy2, Format::YUYV),
    (VideoFormat::Uyvy, Format::UYVY),
    (VideoFormat::P01010le, Format::P010),
];

/// Every format that both sides have a word for.
pub(crate) fn formats() -> impl Iterator<Item = (VideoFormat, Format)> {
    FORMATS.into_iter()
}

/// `None` for a format that GStreamer has no word for.
pub(crate) fn video_format(format: Format) -> Option<VideoFormat> {
    formats()
        .find(|(_, ours)| *ours == format)
        .map(|(word, _)| word)
}

/// `None` for a format that DRM has no word for.
pub(crate) fn format(word: VideoFormat) -> Option<Format> {
    formats()
        .find(|(theirs, _)| *theirs == word)
        .map(|(_, format)| format)
}

/// The whole of a frame in GStreamer's words, all but the rate, which streams do not have. Strides and offsets are GStreamer's own.
pub(crate) fn video_info(layout: &FrameLayout) -> Option<VideoInfo> {
    let Extent { width, height } = layout.extent();
    let color = layout.color();
    let colorimetry = colorimetry(&color);
    let mut info = VideoInfo::builder(video_format(layout.format())?, width, height)
        .fps(gst::Fraction::new(0, 1))
        .colorimetry(&colorimetry);
    if is_subsampled(layout.format()) {
        info = info.chroma_site(chroma_site(color.siting));
    }
    info.build().ok()
}

/// What a video's frames are as ours: size, format and colours.
pub(crate) fn described(info: &VideoInfo) -> Option<(Extent, Format, ColorDescription)> {
    let format = format(info.format())?;
    let extent = Extent::new(info.width(), info.height());
    Some((extent, format, color(info, format)))
}

fn is_subsampled(format: Format) -> bool {
    let planes = format.info().map_or(&[][..], |info| info.planes);
    planes.iter().any(|plane| plane.vertical_subsampling > 1)
}

fn colorimetry(color: &ColorDescription) -> VideoColorimetry {
    let range = match color.range {
        Range::Full => VideoColorRange::Range0_255,
        _ => VideoColorRange::Range16_235,
    };
    VideoColorimetry::new(
        range,
        VideoColorMatrix::from_iso(u32::from(color.matrix.code())),
        VideoTransferFunction::from_iso(u32::from(color.transfer.code())),
        VideoColorPrimaries::from_iso(u32::from(color.primaries.code())),
    )
}

/// What the caps leave open is as the format's default.
fn color(info: &VideoInfo, format: Format) -> ColorDescription {
    let known = format.info().map(ColorDescription::default_for);
    let default = known.unwrap_or(ColorDescription::SRGB);
    let said = info.colorimetry();
    let code = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
    let color = ColorDescription {
        primaries: Primaries::from_code(code(said.primaries().to_iso()))
            .unwrap_or(default.primaries),
        transfer: Transfer::from_code(code(said.transfer().to_iso())).unwrap_or(default.transfer),
        matrix: Matrix::from_code(code(said.matrix().to_iso())).unwrap_or(default.matrix),
        range: match said.range() {
            VideoColorRange::Range0_255 => Range::Full,
            VideoColorRange::Range16_235 => Range::Limited,
            _ => default.range,
        },
        siting: siting(info.chroma_site()).unwrap_or(default.siting),
        // GStreamer's alpha is straight, unless flags say otherwise, which caps cannot.
        alpha: match default.alpha {
            AlphaMode::Opaque => AlphaMode::Opaque,
            _ => AlphaMode::Straight,
        },
        ..default
    };
    // Caps may name a matrix for red, green and blue, which has none.
    match color.check(format) {
        Ok(()) => color,
        Err(_) => ColorDescription {
            matrix: default.matrix,
            ..color
        },
    }
}

const SITES: [(ChromaSiting, VideoChromaSite); 4] = [
    (ChromaSiting::LEFT, VideoChromaSite::H_COSITED),
    (ChromaSiting::CENTER, VideoChromaSite::NONE),
    (ChromaSiting::TOP_LEFT, VideoChromaSite::COSITED),
    (ChromaSiting::TOP, VideoChromaSite::V_COSITED),
];

fn chroma_site(siting: ChromaSiting) -> VideoChromaSite {
    let known = SITES.into_iter().find(|(ours, _)| *ours == siting);
    known.map_or(VideoChromaSite::H_COSITED, |(_, site)| site)
}

fn siting(site: VideoChromaSite) -> Option<ChromaSiting> {
    let mut sites = SITES.into_iter();
    sites
        .find(|(_, theirs)| *theirs == site)
        .map(|(siting, _)| siting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_as_many_planes_and_as_long_rows_on_both_sides() {
        gst::init().expect("GStreamer");
        let extent = Extent::new(128, 64);
        for (word, format) in formats() {
            let (layout, _) = FrameLayout::linear(extent, format).expect("a layout");
            let info = video_info(&layout).expect("a video");
            assert_eq!(info.n_planes() as usize, layout.planes().len(), "{format}");
            for (plane, stride) in info.stride().iter().enumerate() {
                let row = layout.format_info().row_bytes(plane, extent.width);
                let row = row.and_then(|row| i32::try_from(row).ok());
                assert_eq!(row, Some(*stride), "{format}, plane {plane}");
            }
            assert_eq!(
                super::format(word).and_then(video_format),
                Some(word),
                "{format}"
            );
            assert_eq!(info.has_alpha(), layout.format_info().alpha, "{format}");
        }
    }

    #[test]
    fn colours_come_back() {
        gst::init().expect("GStreamer");
        for (_, format) in formats() {
            let (layout, _) = FrameLayout::linear(Extent::new(32, 32), format).expect("a layout");
            let mut colors = vec![layout.color()];
            if layout.color().matrix != Matrix::Identity {
                colors.push(ColorDescription {
                    matrix: Matrix::Bt601,
                    range: Range::Full,
                    siting: ChromaSiting::CENTER,
                    ..layout.color()
                });
                colors.push(ColorDescription {
                    matrix: Matrix::Bt2020,
                    primaries: Primaries::Bt2020,
                    transfer: Transfer::Pq,
                    siting: ChromaSiting::TOP_LEFT,
                    ..layout.color()
                });
            }
            for color in colors {
                let layout = layout.clone().with_color(color).expect("colours");
                let info = video_info(&layout).expect("a video");
                let caps = info.to_caps().expect("caps");
                let info = VideoInfo::from_caps(&caps).expect("a video");
                let (extent, again, mut back) = described(&info).expect("a frame");
                assert_eq!((extent, again), (layout.extent(), format));
                // No caps say it.
                back.alpha = color.alpha;
                if !is_subsampled(format) {
                    back.siting = color.siting;
                }
                assert_eq!(back, color, "{caps}");
            }
        }
    }
}
