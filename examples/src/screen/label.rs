//! Text by GL: each dot of a glyph is a small square.

use crate::font::{self, GLYPH_HEIGHT, GLYPH_WIDTH};

/// Appends the squares of `text` as triangles: `left` and `bottom` in pixels, `dot` the size of a dot.
pub(super) fn append(points: &mut Vec<[f32; 2]>, text: &str, left: f32, bottom: f32, dot: f32) {
    for (column, character) in text.chars().enumerate() {
        for y in 0..GLYPH_HEIGHT {
            for x in 0..GLYPH_WIDTH {
                if font::dot(character, x, y) {
                    let x0 = left + dot * small(column * (GLYPH_WIDTH + 1) + x);
                    let y0 = bottom + dot * small(GLYPH_HEIGHT - 1 - y);
                    let (x1, y1) = (x0 + dot, y0 + dot);
                    points.extend([[x0, y0], [x1, y0], [x1, y1], [x0, y0], [x1, y1], [x0, y1]]);
                }
            }
        }
    }
}

/// Pixels across which `text` takes.
pub(super) fn width(text: &str, dot: f32) -> f32 {
    dot * small((text.chars().count() * (GLYPH_WIDTH + 1)).saturating_sub(1))
}

fn small(count: usize) -> f32 {
    f32::from(u16::try_from(count).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_lies_in_its_box() {
        let mut points = Vec::new();
        append(&mut points, "GL 1", 10.0, 20.0, 2.0);
        assert!(!points.is_empty());
        let right = 10.0 + width("GL 1", 2.0);
        for [x, y] in points {
            assert!(
                (10.0..=right).contains(&x) && (20.0..=34.0).contains(&y),
                "{x} {y}"
            );
        }
    }
}
