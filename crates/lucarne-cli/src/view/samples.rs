//! What shaders read of frames.

use lucarne::FrameLayout;
use lucarne::color::AlphaMode;

use crate::pixels::{Picture, finished, to_16_bits};

/// The picture that a shader reads: red, green, blue and alpha of each pixel, rows without padding.
pub(super) fn picture(layout: &FrameLayout, samples: &[[f32; 4]]) -> Picture {
    let wide = |sample: &[f32; 4]| sample.map(|value| to_16_bits(value.into()));
    finished(layout, samples.iter().map(wide).collect())
}

/// Whether colours are kept beside alpha, and not multiplied by it.
pub(super) fn is_straight(layout: &FrameLayout) -> bool {
    layout.color().alpha == AlphaMode::Straight
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels;
    use lucarne::color::{ColorDescription, Orientation};
    use lucarne::{Extent, Format};

    fn layout(format: Format, color: impl Fn(ColorDescription) -> ColorDescription) -> FrameLayout {
        let (layout, _) = FrameLayout::linear(Extent::new(2, 1), format).expect("a layout");
        let color = color(layout.color());
        layout.with_color(color).expect("colours that fit")
    }

    #[test]
    fn samples_and_bytes_give_the_same_picture() {
        // Red and blue, the second half transparent and multiplied.
        let samples = [[1.0, 0.0, 0.2, 1.0], [0.4, 0.0, 0.2, 0.8]];
        let bytes = [255, 0, 51, 255, 102, 0, 51, 204];
        let flipped = |color| ColorDescription {
            orientation: Orientation::Flipped,
            ..color
        };
        for format in [Format::ABGR8888, Format::XBGR8888] {
            let layout = layout(format, flipped);
            let stored = pixels::picture(&layout, &bytes).expect("RGB");
            let mut read = samples;
            if format == Format::XBGR8888 {
                // Padding reads as one.
                read[1][3] = 1.0;
            }
            assert_eq!(picture(&layout, &read), stored, "{format}");
        }
    }

    #[test]
    fn colours_beside_alpha_are_multiplied_when_shown() {
        let straight = |color| ColorDescription {
            alpha: AlphaMode::Straight,
            ..color
        };
        assert!(is_straight(&layout(Format::ABGR8888, straight)));
        assert!(!is_straight(&layout(Format::XBGR8888, |color| color)));
        assert!(!is_straight(&layout(Format::ABGR8888, |color| color)));
    }
}
