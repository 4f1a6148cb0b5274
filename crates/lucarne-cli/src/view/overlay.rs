//! Text over the picture: light letters on a dark panel, drawn by the CPU into a few pixels of their own.

use std::convert::Infallible;

use embedded_graphics::mono_font::iso_8859_1::{FONT_6X10, FONT_8X13, FONT_10X20};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{
    DrawTarget, Drawable, OriginDimensions, Pixel, Point, RgbColor, Size,
};
use embedded_graphics::text::{Baseline, Text};
use lucarne::Extent;

/// A name and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) value: String,
}

impl Row {
    pub(super) fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// Pixels to lay over the picture: red, green, blue and alpha, colours multiplied by alpha, the top row first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Panel {
    pub(super) extent: Extent,
    pub(super) pixels: Vec<u8>,
}

/// Black, and dark enough that white stands out on any picture.
const GROUND: [u8; 4] = [0, 0, 0, 200];
const NAMES: Rgb888 = Rgb888::new(0x9a, 0xb4, 0xd0);
const VALUES: Rgb888 = Rgb888::WHITE;
/// Columns that a table should have at least: a smaller font is taken where they do not fit.
const COLUMNS: u32 = 46;
/// Columns that a table has at most: longer lines are hard to read.
const MOST_COLUMNS: usize = 64;
/// Columns of a table's names, with the gap behind them.
const NAME_COLUMNS: usize = 10;
/// Free pixels around the text, before scaling.
const MARGIN: u32 = 6;

/// A font, and how many pixels each of its dots is wide and high.
#[derive(Clone, Copy, Debug)]
struct Look {
    font: &'static MonoFont<'static>,
    scale: u32,
}

impl Look {
    /// The largest letters with which `columns` and `rows` fit into the room, and the smallest where none do. `factor` is how
    /// many pixels the display counts as one.
    fn of(room: Extent, factor: f64, columns: u32, rows: u32) -> Self {
        let largest = (1..=4).rfind(|scale| f64::from(*scale) <= factor.max(1.0) + 0.25);
        let scales = (1..=largest.unwrap_or(1)).rev();
        let looks = scales.flat_map(|scale| {
            [&FONT_10X20, &FONT_8X13, &FONT_6X10].map(|font| Self { font, scale })
        });
        let fits = |look: &Self| look.columns(room) >= columns && look.rows(room) >= rows;
        looks
            .clone()
            .find(fits)
            .or_else(|| looks.last())
            .unwrap_or(Self {
                font: &FONT_6X10,
                scale: 1,
            })
    }

    /// How many letters stand side by side.
    fn columns(self, room: Extent) -> u32 {
        let free = (room.width / self.scale).saturating_sub(2 * MARGIN);
        (free / self.font.character_size.width).max(1)
    }

    fn rows(self, room: Extent) -> u32 {
        let free = (room.height / self.scale).saturating_sub(2 * MARGIN);
        (free / self.font.character_size.height).max(1)
    }
}

/// A table of names and values, no wider than the room.
pub(super) fn table(rows: &[Row], room: Extent, factor: f64) -> Panel {
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let look = Look::of(room, factor, COLUMNS, count);
    let lines = fold(rows, (look.columns(room) as usize).min(MOST_COLUMNS));
    draw(&lines, look, room)
}

/// A sentence, in as many lines as it needs.
pub(super) fn sentence(text: &str, room: Extent, factor: f64) -> Panel {
    let columns = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let look = Look::of(room, factor, columns.min(COLUMNS), 2);
    let lines: Vec<Row> = wrap(text, look.columns(room) as usize)
        .into_iter()
        .map(|line| Row::new("", line))
        .collect();
    draw_at(&lines, look, room, 0)
}

/// Values that are too long go on in the next line.
fn fold(rows: &[Row], columns: usize) -> Vec<Row> {
    let left = columns.saturating_sub(NAME_COLUMNS).max(1);
    let mut lines = Vec::new();
    for row in rows {
        for (number, part) in wrap(&row.value, left).into_iter().enumerate() {
            let name = if number == 0 { row.name.as_str() } else { "" };
            lines.push(Row::new(name, part));
        }
    }
    lines
}

/// Lines of at most so many letters; words stay whole where they fit.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let line = lines.last_mut().expect("there is a first line");
            let used = line.chars().count();
            let gap = usize::from(used > 0);
            if used + gap + word.len() <= columns {
                if gap == 1 {
                    line.push(' ');
                }
                line.extend(&word);
                break;
            }
            if used == 0 {
                let rest = word.split_off(columns);
                line.extend(&word);
                word = rest;
            }
            lines.push(String::new());
        }
    }
    lines
}

fn draw(lines: &[Row], look: Look, room: Extent) -> Panel {
    draw_at(lines, look, room, NAME_COLUMNS)
}

/// Draws names at the left, and values from a column on.
fn draw_at(lines: &[Row], look: Look, room: Extent, column: usize) -> Panel {
    let letter = look.font.character_size;
    let longest = lines.iter().map(|line| line.value.chars().count()).max();
    let columns = column + longest.unwrap_or(0);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let wide = count(columns).saturating_mul(letter.width);
    let high = count(lines.len()).saturating_mul(letter.height);
    let side = |text: u32, room: u32| {
        let whole = text.saturating_add(2 * MARGIN).saturating_mul(look.scale);
        whole.min(room).max(1)
    };
    let extent = Extent::new(side(wide, room.width), side(high, room.height));
    let mut canvas = Canvas::new(extent, look.scale);
    let at = |column: usize, line: usize| {
        let x = MARGIN + count(column) * letter.width;
        let y = MARGIN + count(line) * letter.height;
        Point::new(signed(x), signed(y))
    };
    for (number, line) in lines.iter().enumerate() {
        for (text, color, column) in [(&line.name, NAMES, 0), (&line.value, VALUES, column)] {
            let style = MonoTextStyle::new(look.font, color);
            let text = Text::with_baseline(text, at(column, number), style, Baseline::Top);
            match text.draw(&mut canvas) {
                Ok(_) => {}
                Err(never) => match never {},
            }
        }
    }
    canvas.panel
}

fn signed(pixels: u32) -> i32 {
    i32::try_from(pixels).unwrap_or(i32::MAX)
}

/// What letters are drawn on.
struct Canvas {
    panel: Panel,
    scale: u32,
}

impl Canvas {
    fn new(extent: Extent, scale: u32) -> Self {
        let pixels = extent.width as usize * extent.height as usize;
        let panel = Panel {
            extent,
            pixels: GROUND.repeat(pixels),
        };
        Self { panel, scale }
    }

    /// Paints a dot: a square of pixels.
    fn dot(&mut self, at: Point, color: Rgb888) {
        let (Ok(x), Ok(y)) = (u32::try_from(at.x), u32::try_from(at.y)) else {
            return;
        };
        let Extent { width, height, .. } = self.panel.extent;
        let range = |at: u32, end: u32| {
            let from = at.saturating_mul(self.scale).min(end);
            from..from.saturating_add(self.scale).min(end)
        };
        for y in range(y, height) {
            for x in range(x, width) {
                let index = 4 * (y as usize * width as usize + x as usize);
                let pixel = [color.r(), color.g(), color.b(), u8::MAX];
                self.panel.pixels[index..index + 4].copy_from_slice(&pixel);
            }
        }
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        let Extent { width, height, .. } = self.panel.extent;
        Size::new(width.div_ceil(self.scale), height.div_ceil(self.scale))
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<Rgb888>>,
    {
        for Pixel(at, color) in pixels {
            self.dot(at, color);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Extent = Extent::new(800, 600);

    /// How many pixels have the colour of values.
    fn white(panel: &Panel) -> usize {
        panel.pixels.chunks(4).filter(|p| *p == [255; 4]).count()
    }

    #[test]
    fn letters_stand_on_a_dark_ground() {
        let panel = sentence("the producer has gone", ROOM, 1.0);
        assert_eq!(
            (panel.extent.width, panel.extent.height),
            (21 * 10 + 12, 20 + 12)
        );
        assert_eq!(panel.pixels[..4], GROUND);
        assert!(white(&panel) > 200, "{}", white(&panel));
        assert!(white(&panel) < panel.pixels.len() / 4 / 3);
        assert_eq!(white(&sentence("", ROOM, 1.0)), 0);
    }

    #[test]
    fn what_is_twice_as_large_has_four_times_the_dots() {
        let rows = [Row::new("size", "640x360")];
        let (small, large) = (
            table(&rows, ROOM, 1.0),
            table(&rows, Extent::new(1600, 1200), 2.0),
        );
        assert_eq!(4 * white(&small), white(&large));
        assert_eq!(2 * small.extent.width, large.extent.width);
    }

    #[test]
    fn long_values_go_on_below_and_words_stay_whole() {
        assert_eq!(wrap("a bc def", 5), ["a bc", "def"]);
        assert_eq!(wrap("abcdefgh i", 3), ["abc", "def", "gh", "i"]);
        assert_eq!(wrap("", 3), [""]);
        let lines = fold(&[Row::new("path", "dma-buf (linear), emulated")], 26);
        assert_eq!(
            lines,
            [
                Row::new("path", "dma-buf"),
                Row::new("", "(linear),"),
                Row::new("", "emulated")
            ]
        );
    }

    #[test]
    fn a_panel_never_leaves_its_room() {
        let rows: Vec<Row> = (0..40)
            .map(|_| Row::new("name", "value ".repeat(20)))
            .collect();
        for room in [
            Extent::new(64, 48),
            Extent::new(1, 1),
            Extent::new(300, 2000),
        ] {
            for factor in [0.0, 1.0, 1.5, 3.0, 100.0] {
                let panel = table(&rows, room, factor);
                assert!(panel.extent.width <= room.width && panel.extent.height <= room.height);
                let pixels = panel.extent.width as usize * panel.extent.height as usize;
                assert_eq!(panel.pixels.len(), 4 * pixels);
                let line = sentence("some words that are too many", room, factor);
                assert!(line.extent.width <= room.width && line.extent.height <= room.height);
            }
        }
    }
}
