//! Where a picture lies in a window, and how it is turned there.

use lucarne::Extent;
use lucarne::color::Orientation;

use crate::pixels::Turns;

/// A rectangle of the window, in pixels from its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Place {
    /// The largest place of a picture's shape, in the window's middle. It has a pixel at least.
    pub(super) fn fit(picture: Extent, window: Extent) -> Self {
        let [pw, ph, ww, wh] =
            [picture.width, picture.height, window.width, window.height].map(u64::from);
        let rounded = |length: u64, by: u64, of: u64| {
            let exact = (length * by + of / 2) / of.max(1);
            u32::try_from(exact).unwrap_or(u32::MAX).max(1)
        };
        let (width, height) = if pw * wh >= ph * ww {
            (window.width.max(1), rounded(ph, ww, pw))
        } else {
            (rounded(pw, wh, ph), window.height.max(1))
        };
        Self {
            x: window.width.saturating_sub(width) / 2,
            y: window.height.saturating_sub(height) / 2,
            width,
            height,
        }
    }

    /// Left, top, right and bottom from -1 to 1, upwards.
    pub(super) fn clip(self, window: Extent) -> [f32; 4] {
        let across = |x: u32| 2.0 * float(x) / float(window.width.max(1)) - 1.0;
        let up = |y: u32| 1.0 - 2.0 * float(y) / float(window.height.max(1));
        [
            across(self.x),
            up(self.y),
            across(self.x + self.width),
            up(self.y + self.height),
        ]
    }
}

/// Sizes of windows are far below what a float counts exactly.
pub(super) fn float(pixels: u32) -> f32 {
    f32::from(u16::try_from(pixels).unwrap_or(u16::MAX))
}

/// The size of a stored picture once it is upright.
pub(super) fn upright(stored: Extent, orientation: Orientation) -> Extent {
    if Turns::of(orientation).quarters % 2 == 1 {
        Extent::new(stored.height, stored.width)
    } else {
        stored
    }
}

/// Where an upright picture lies in its texture: a corner, and the ways from there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Corners {
    /// The upper left corner.
    pub(super) corner: [f32; 2],
    /// From there to the upper right one.
    pub(super) across: [f32; 2],
    /// From there to the lower left one.
    pub(super) down: [f32; 2],
}

impl Corners {
    /// Of a texture that is upright itself.
    pub(super) const UPRIGHT: Self = Self {
        corner: [0.0, 0.0],
        across: [1.0, 0.0],
        down: [0.0, 1.0],
    };

    pub(super) fn of(orientation: Orientation) -> Self {
        let turns = Turns::of(orientation);
        let corner = turns.stored([0.0, 0.0]);
        let from_corner = |to: [f32; 2]| [to[0] - corner[0], to[1] - corner[1]];
        Self {
            corner,
            across: from_corner(turns.stored([1.0, 0.0])),
            down: from_corner(turns.stored([0.0, 1.0])),
        }
    }
}

impl Turns {
    /// Where a point of the upright picture is stored.
    fn stored(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let mut point = if self.mirrored { [1.0 - x, y] } else { [x, y] };
        for _ in 0..self.quarters {
            point = [point[1], 1.0 - point[0]];
        }
        point
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels;
    use lucarne::color::ColorDescription;
    use lucarne::{Format, FrameLayout};

    fn place(x: u32, y: u32, width: u32, height: u32) -> Place {
        Place {
            x,
            y,
            width,
            height,
        }
    }

    #[test]
    fn a_picture_keeps_its_shape_in_the_middle() {
        let fit = |picture: [u32; 2], window: [u32; 2]| {
            let [picture, window] = [picture, window].map(|[w, h]| Extent::new(w, h));
            Place::fit(picture, window)
        };
        assert_eq!(fit([640, 360], [640, 360]), place(0, 0, 640, 360));
        assert_eq!(fit([640, 360], [1280, 1000]), place(0, 140, 1280, 720));
        assert_eq!(fit([640, 360], [1000, 360]), place(180, 0, 640, 360));
        assert_eq!(fit([3, 2], [100, 100]), place(0, 16, 100, 67));
        // However flat it is, something is seen of it.
        assert_eq!(fit([8192, 1], [100, 100]), place(0, 49, 100, 1));
        assert_eq!(fit([1, 8192], [100, 100]), place(49, 0, 1, 100));
        assert_eq!(fit([8192, 8192], [1, 1]), place(0, 0, 1, 1));
    }

    #[test]
    fn the_window_reaches_from_minus_one_to_one() {
        let window = Extent::new(200, 100);
        assert_eq!(place(0, 0, 200, 100).clip(window), [-1.0, 1.0, 1.0, -1.0]);
        assert_eq!(place(50, 25, 50, 50).clip(window), [-0.5, 0.5, 0.0, -0.5]);
    }

    /// The red of each pixel as `pixels` turns it for a PNG file, and as the corners find it.
    #[test]
    fn the_window_turns_pictures_as_files_are_turned() {
        let stored = Extent::new(3, 2);
        let bytes: Vec<u8> = (0..6).flat_map(|red| [red * 40, 0, 0, 0]).collect();
        let all = [
            Orientation::Normal,
            Orientation::Rotated90,
            Orientation::Rotated180,
            Orientation::Rotated270,
            Orientation::Flipped,
            Orientation::Flipped90,
            Orientation::Flipped180,
            Orientation::Flipped270,
        ];
        for orientation in all {
            let (layout, _) = FrameLayout::linear(stored, Format::XBGR8888).expect("a layout");
            let color = ColorDescription {
                orientation,
                ..layout.color()
            };
            let layout = layout.with_color(color).expect("colours that fit");
            let file = pixels::picture(&layout, &bytes).expect("RGB");
            let size = upright(stored, orientation);
            assert_eq!(size, file.extent, "{orientation:?}");
            let corners = Corners::of(orientation);
            for y in 0..size.height {
                for x in 0..size.width {
                    let [u, v] = [(x, size.width), (y, size.height)]
                        .map(|(at, of)| (float(at) + 0.5) / float(of));
                    let at = |axis: usize| {
                        corners.corner[axis] + u * corners.across[axis] + v * corners.down[axis]
                    };
                    let column = [0_u8, 1, 2]
                        .into_iter()
                        .rfind(|c| at(0) * 3.0 >= f32::from(*c));
                    let row = [0_u8, 1]
                        .into_iter()
                        .rfind(|r| at(1) * 2.0 >= f32::from(*r));
                    let seen = (row.expect("a row") * 3 + column.expect("a column")) * 40;
                    let index = (y * size.width + x) as usize;
                    assert_eq!(
                        u16::from(seen) * 257,
                        file.pixels[index][0],
                        "{orientation:?} at {x}, {y}"
                    );
                }
            }
        }
    }
}
