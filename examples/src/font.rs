//! A font of 5 by 7 dots: enough of it for what the demo writes.
//!
//! The Vulkan scene builds letters of cubes from it, the GL side its labels.

/// Dots across a glyph.
pub const GLYPH_WIDTH: usize = 5;
/// Dots down a glyph.
pub const GLYPH_HEIGHT: usize = 7;

/// Seven rows from the top; the highest of the five low bits is the leftmost dot.
type Rows = [u8; GLYPH_HEIGHT];

#[rustfmt::skip]
const GLYPHS: &[(char, Rows)] = &[
    ('0', [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110]),
    ('1', [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110]),
    ('2', [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111]),
    ('3', [0b01110, 0b10001, 0b00001, 0b00110, 0b00001, 0b10001, 0b01110]),
    ('4', [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010]),
    ('5', [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110]),
    ('6', [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110]),
    ('7', [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000]),
    ('8', [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110]),
    ('9', [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100]),
    ('A', [0b01110, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001]),
    ('C', [0b01110, 0b10001, 0b10000, 0b10000, 0b10000, 0b10001, 0b01110]),
    ('E', [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111]),
    ('G', [0b01110, 0b10001, 0b10000, 0b10111, 0b10001, 0b10001, 0b01110]),
    ('L', [0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111]),
    ('N', [0b10001, 0b11001, 0b10101, 0b10011, 0b10001, 0b10001, 0b10001]),
    ('O', [0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110]),
    ('R', [0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001]),
    ('U', [0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110]),
    ('V', [0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01010, 0b00100]),
    ('a', [0b00000, 0b00000, 0b01110, 0b00001, 0b01111, 0b10001, 0b01111]),
    ('e', [0b00000, 0b00000, 0b01110, 0b10001, 0b11111, 0b10000, 0b01110]),
    ('f', [0b00110, 0b01001, 0b01000, 0b11100, 0b01000, 0b01000, 0b01000]),
    ('k', [0b10000, 0b10000, 0b10010, 0b10100, 0b11000, 0b10100, 0b10010]),
    ('l', [0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110]),
    ('m', [0b00000, 0b00000, 0b11010, 0b10101, 0b10101, 0b10101, 0b10101]),
    ('n', [0b00000, 0b00000, 0b11110, 0b10001, 0b10001, 0b10001, 0b10001]),
    ('p', [0b00000, 0b00000, 0b11110, 0b10001, 0b11110, 0b10000, 0b10000]),
    ('r', [0b00000, 0b00000, 0b10110, 0b11001, 0b10000, 0b10000, 0b10000]),
    ('u', [0b00000, 0b00000, 0b10001, 0b10001, 0b10001, 0b10011, 0b01101]),
    ('\u{2192}', [0b00000, 0b00100, 0b00010, 0b11111, 0b00010, 0b00100, 0b00000]),
];

/// Whether the dot at column `x` and row `y` (from the top) of a character is set; a character
/// that the font lacks is blank.
#[must_use]
pub fn dot(character: char, x: usize, y: usize) -> bool {
    let glyph = GLYPHS.iter().find(|(known, _)| *known == character);
    x < GLYPH_WIDTH
        && y < GLYPH_HEIGHT
        && glyph.is_some_and(|(_, rows)| rows[y] >> (GLYPH_WIDTH - 1 - x) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_l_stands_upright_with_its_foot_to_the_right() {
        assert!((0..GLYPH_HEIGHT).all(|y| dot('L', 0, y)));
        assert!((0..GLYPH_WIDTH).all(|x| dot('L', x, GLYPH_HEIGHT - 1)));
        assert!(!dot('L', 4, 0));
    }

    #[test]
    fn outside_and_unknown_are_blank() {
        assert!(!dot('L', 5, 6) && !dot('L', 0, 7) && !dot('?', 0, 0));
    }
}
