//! A frame's bytes as the pixels of a PNG file.

use lucarne::color::{AlphaMode, Orientation};
use lucarne::{Channel, ColorKind, Component, Extent, Format, FormatInfo, FrameLayout, Numeric};

/// Red, green, blue and alpha, 16 bits each, the top row first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) extent: Extent,
    pub(crate) pixels: Vec<[u16; 4]>,
    /// Whether the format has more than 8 bits in some channel.
    pub(crate) deep: bool,
    pub(crate) alpha: bool,
}

/// Whether frames of this format can become pictures: one plane of red, green and blue in whole pixels.
pub(crate) fn can_show(format: Format) -> bool {
    format.info().is_some_and(|info| {
        info.color == ColorKind::Rgb
            && info.numeric == Numeric::Unorm
            && info.planes.len() == 1
            && info.planes[0].block_width == 1
            && info.planes[0].block_height == 1
    })
}

/// The picture that a frame's bytes show, rows without padding. `None` for formats that [`can_show`] refuses.
pub(crate) fn picture(layout: &FrameLayout, bytes: &[u8]) -> Option<Picture> {
    if !can_show(layout.format()) {
        return None;
    }
    let info = layout.format_info();
    let block = usize::from(info.planes[0].block_bytes);
    let pixels = bytes
        .chunks_exact(block)
        .map(|block| pixel(info, block))
        .collect();
    Some(finished(layout, pixels))
}

/// Pixels as they are stored, as a picture that is upright, and with colours that are not multiplied.
pub(crate) fn finished(layout: &FrameLayout, mut pixels: Vec<[u16; 4]>) -> Picture {
    let info = layout.format_info();
    let multiplied = matches!(
        layout.color().alpha,
        AlphaMode::Premultiplied | AlphaMode::PremultipliedOptical
    );
    if info.alpha && multiplied {
        pixels.iter_mut().for_each(divide_by_alpha);
    }
    let mut channels = info.planes.iter().flat_map(|plane| plane.channels);
    upright(
        Picture {
            extent: layout.extent(),
            pixels,
            deep: channels
                .any(|channel| channel.bits > 8 && channel.component != Component::Padding),
            alpha: info.alpha,
        },
        layout.color().orientation,
    )
}

fn pixel(info: &FormatInfo, block: &[u8]) -> [u16; 4] {
    let mut bytes = [0; 16];
    bytes[..block.len()].copy_from_slice(block);
    let word = u128::from_le_bytes(bytes);
    let mut pixel = [0, 0, 0, u16::MAX];
    for channel in info.planes[0].channels {
        let place = match channel.component {
            Component::Red => 0,
            Component::Green => 1,
            Component::Blue => 2,
            Component::Alpha => 3,
            _ => continue,
        };
        pixel[place] = value(word, channel);
    }
    pixel
}

/// A channel's number, stretched to 16 bits.
fn value(word: u128, channel: &Channel) -> u16 {
    let largest = (1_u128 << channel.bits) - 1;
    let number = (word >> channel.shift) & largest;
    u16::try_from((number * 65535 + largest / 2) / largest).unwrap_or(u16::MAX)
}

/// PNG keeps colours that were not multiplied.
fn divide_by_alpha(pixel: &mut [u16; 4]) {
    let alpha = u32::from(pixel[3]);
    if alpha == 0 {
        return;
    }
    for colour in &mut pixel[..3] {
        let divided = (u32::from(*colour) * 65535 + alpha / 2) / alpha;
        *colour = u16::try_from(divided).unwrap_or(u16::MAX);
    }
}

/// What was done to a picture before it was stored: mirrored, then rotated counter-clockwise.
pub(crate) struct Turns {
    pub(crate) mirrored: bool,
    pub(crate) quarters: u8,
}

impl Turns {
    pub(crate) fn of(orientation: Orientation) -> Self {
        let (mirrored, quarters) = match orientation {
            Orientation::Rotated90 => (false, 1),
            Orientation::Rotated180 => (false, 2),
            Orientation::Rotated270 => (false, 3),
            Orientation::Flipped => (true, 0),
            Orientation::Flipped90 => (true, 1),
            Orientation::Flipped180 => (true, 2),
            Orientation::Flipped270 => (true, 3),
            _ => (false, 0),
        };
        Self { mirrored, quarters }
    }
}

/// Undoes how the picture was turned before it was stored.
fn upright(picture: Picture, orientation: Orientation) -> Picture {
    let Turns { mirrored, quarters } = Turns::of(orientation);
    let mut picture = picture;
    for _ in 0..quarters {
        picture = clockwise(picture);
    }
    if mirrored {
        for row in picture
            .pixels
            .chunks_exact_mut(picture.extent.width as usize)
        {
            row.reverse();
        }
    }
    picture
}

fn clockwise(picture: Picture) -> Picture {
    let (width, height) = (
        picture.extent.width as usize,
        picture.extent.height as usize,
    );
    let mut pixels = Vec::with_capacity(picture.pixels.len());
    for column in 0..width {
        for row in (0..height).rev() {
            pixels.push(picture.pixels[row * width + column]);
        }
    }
    Picture {
        extent: Extent::new(picture.extent.height, picture.extent.width),
        pixels,
        ..picture
    }
}

impl Picture {
    /// A pixel with its colours multiplied by alpha, as frames have them.
    pub(crate) fn premultiplied(&self, at: [u32; 2]) -> [u16; 4] {
        let index = at[1] as usize * self.extent.width as usize + at[0] as usize;
        let Some([red, green, blue, alpha]) = self.pixels.get(index).copied() else {
            return [0; 4];
        };
        let times = |colour: u16| {
            let product = (u32::from(colour) * u32::from(alpha) + 32767) / 65535;
            u16::try_from(product).unwrap_or(u16::MAX)
        };
        [times(red), times(green), times(blue), alpha]
    }
}

/// A frame's bytes, rows without padding: what `paint` gives for each column and row, in a format that [`can_show`].
pub(crate) fn bytes(
    format: Format,
    extent: Extent,
    paint: impl Fn([u32; 2]) -> [u16; 4],
) -> Vec<u8> {
    let Some(info) = format.info().filter(|_| can_show(format)) else {
        return Vec::new();
    };
    let block = usize::from(info.planes[0].block_bytes);
    let mut bytes = Vec::with_capacity(block * extent.width as usize * extent.height as usize);
    for y in 0..extent.height {
        for x in 0..extent.width {
            let word = packed(info, paint([x, y]));
            bytes.extend_from_slice(&word.to_le_bytes()[..block]);
        }
    }
    bytes
}

fn packed(info: &FormatInfo, pixel: [u16; 4]) -> u128 {
    let mut word = 0;
    for channel in info.planes[0].channels {
        let value = match channel.component {
            Component::Red => pixel[0],
            Component::Green => pixel[1],
            Component::Blue => pixel[2],
            Component::Alpha => pixel[3],
            _ => continue,
        };
        let largest = (1_u128 << channel.bits) - 1;
        word |= ((u128::from(value) * largest + 32767) / 65535) << channel.shift;
    }
    word
}

/// From 0 to 1, in 16 bits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 16 bits"
)]
pub(crate) fn to_16_bits(value: f64) -> u16 {
    (value.clamp(0.0, 1.0) * 65535.0).round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use lucarne::color::ColorDescription;

    fn layout(
        format: Format,
        color: impl FnOnce(ColorDescription) -> ColorDescription,
    ) -> FrameLayout {
        let (layout, _) = FrameLayout::linear(Extent::new(2, 1), format).expect("a layout");
        let color = color(layout.color());
        layout.with_color(color).expect("colours that fit")
    }

    #[test]
    fn channels_find_their_places() {
        let bytes = [1, 2, 3, 0, 4, 5, 6, 0];
        let shown = picture(&layout(Format::XRGB8888, |color| color), &bytes).expect("RGB");
        assert_eq!(
            shown.pixels,
            [[771, 514, 257, 65535], [1542, 1285, 1028, 65535]]
        );
        assert!(!shown.deep && !shown.alpha);
        let white = [0xff, 0xff, 0x00, 0x00];
        let shown = picture(&layout(Format::RGB565, |color| color), &white).expect("RGB");
        assert_eq!(shown.pixels, [[65535; 4], [0, 0, 0, 65535]]);
    }

    #[test]
    fn multiplied_colours_are_divided() {
        let half = [0x40, 0x20, 0x80, 0x80, 0, 0, 0, 0];
        let shown = picture(&layout(Format::ARGB8888, |color| color), &half).expect("RGB");
        let bytes: Vec<u16> = shown.pixels[0].iter().map(|value| value / 257).collect();
        assert_eq!(bytes, [255, 63, 127, 128]);
        assert_eq!(shown.pixels[1], [0; 4]);
        let straight = |color| ColorDescription {
            alpha: AlphaMode::Straight,
            ..color
        };
        let shown = picture(&layout(Format::ARGB8888, straight), &half).expect("RGB");
        assert_eq!(shown.pixels[0][0], 0x80 * 257);
    }

    #[test]
    fn what_was_turned_is_turned_back() {
        let bytes = [1, 0, 0, 0, 2, 0, 0, 0];
        let turned = |orientation| {
            let color = |color| ColorDescription {
                orientation,
                ..color
            };
            let shown = picture(&layout(Format::XBGR8888, color), &bytes).expect("RGB");
            let reds: Vec<u16> = shown.pixels.iter().map(|pixel| pixel[0] / 257).collect();
            (shown.extent.width, reds)
        };
        assert_eq!(turned(Orientation::Normal), (2, vec![1, 2]));
        assert_eq!(turned(Orientation::Flipped), (2, vec![2, 1]));
        assert_eq!(turned(Orientation::Rotated180), (2, vec![2, 1]));
        // Mirrored and turned by 180 degrees is upside down, which one row does not show.
        assert_eq!(turned(Orientation::Flipped180), (2, vec![1, 2]));
        // Turned counter-clockwise, what was above is at the left.
        assert_eq!(turned(Orientation::Rotated90), (1, vec![1, 2]));
        assert_eq!(turned(Orientation::Rotated270), (1, vec![2, 1]));
    }

    #[test]
    fn formats_without_a_picture_are_known() {
        assert!(can_show(Format::XRGB2101010) && can_show(Format::RGB565));
        assert!(!can_show(Format::NV12) && !can_show(Format::ABGR16161616F));
    }

    #[test]
    fn what_is_drawn_is_seen() {
        let extent = Extent::new(2, 1);
        let colours = [[65535, 0, 257 * 0x42, 65535], [0, 65535, 0, 65535]];
        for info in Format::ALL.iter().filter(|info| can_show(info.format)) {
            let bytes = bytes(info.format, extent, |at| colours[at[0] as usize]);
            let (layout, _) = FrameLayout::linear(extent, info.format).expect("a layout");
            let seen = picture(&layout, &bytes).expect("RGB");
            for (seen, drawn) in seen.pixels.iter().zip(colours) {
                for (place, component) in [Component::Red, Component::Green, Component::Blue]
                    .into_iter()
                    .enumerate()
                {
                    let bits = info.bits(component);
                    let step = if bits == 0 {
                        continue;
                    } else {
                        65535 / ((1_u32 << bits) - 1)
                    };
                    let off = u32::from(seen[place].abs_diff(drawn[place]));
                    assert!(off <= step / 2 + 1, "{}: {seen:?} for {drawn:?}", info.name);
                }
            }
        }
    }
}
