//! Pictures that tests show, and what display servers then show.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::display::SOCKET;

/// Red, green and blue of each pixel, first row first.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// All of them.
    pub pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// Neighbours differ, rows and columns too, and so do pictures of other seeds.
    ///
    /// # Panics
    ///
    /// Never: the values fit a byte.
    pub fn of_many_colours(width: u32, height: u32, seed: u32) -> Self {
        let byte = |number: u32| u8::try_from(number % 251).expect("a byte");
        let pixel = |x: u32, y: u32| {
            [
                byte(x * 7 + y + seed),
                byte(y * 11 + 40 + 3 * seed),
                byte(x * 3 + y * 5 + 90),
            ]
        };
        let all = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Self {
            width,
            height,
            pixels: all.map(|(x, y)| pixel(x, y)).collect(),
        }
    }

    /// Four bytes for each pixel: blue, green, red, and one that says nothing (`XRGB8888`).
    pub fn xrgb8888(&self) -> Vec<u8> {
        let pixels = self.pixels.iter();
        pixels.flat_map(|[r, g, b]| [*b, *g, *r, 0x5a]).collect()
    }

    /// Four bytes for each pixel: red, green, blue, and one that says nothing (`XBGR8888`).
    pub fn xbgr8888(&self) -> Vec<u8> {
        let pixels = self.pixels.iter();
        pixels.flat_map(|[r, g, b]| [*r, *g, *b, 0x5a]).collect()
    }

    /// A pixel; black outside.
    pub fn at(&self, x: u32, y: u32) -> [u8; 3] {
        if x >= self.width || y >= self.height {
            return [0; 3];
        }
        self.pixels[(y * self.width + x) as usize]
    }

    /// Whether all of `part` is somewhere in here, each pixel as it is.
    pub fn holds(&self, part: &Self) -> bool {
        let places = |all: u32, part: u32| 0..(all + 1).saturating_sub(part);
        let mut corners = places(self.height, part.height)
            .flat_map(|top| places(self.width, part.width).map(move |left| (left, top)));
        corners.any(|(left, top)| {
            let mut all = (0..part.height).flat_map(|y| (0..part.width).map(move |x| (x, y)));
            all.all(|(x, y)| self.at(left + x, top + y) == part.at(x, y))
        })
    }

    /// How many pixels of `screen` are not as they must be, where this is shown from `(left, top)` on, in its own size, and all else is black.
    pub fn differences_on(&self, screen: &Self, left: u32, top: u32) -> usize {
        let all = (0..screen.height).flat_map(|y| (0..screen.width).map(move |x| (x, y)));
        let must = |x: u32, y: u32| match (x.checked_sub(left), y.checked_sub(top)) {
            (Some(x), Some(y)) => self.at(x, y),
            _ => [0; 3],
        };
        all.filter(|(x, y)| screen.at(*x, *y) != must(*x, *y))
            .count()
    }

    fn rows(&self, rows: std::ops::Range<u32>) -> &[[u8; 3]] {
        let at = |row: u32| (row * self.width) as usize;
        &self.pixels[at(rows.start)..at(rows.end)]
    }

    /// How many pixels of these rows differ; all of them where the pictures have another size.
    pub fn differences(&self, other: &Self, rows: std::ops::Range<u32>) -> usize {
        if (self.width, self.height) != (other.width, other.height) {
            return self.pixels.len();
        }
        let pairs = self.rows(rows.clone()).iter().zip(other.rows(rows));
        pairs.filter(|(one, other)| one != other).count()
    }

    /// Reads a PPM file.
    ///
    /// # Panics
    ///
    /// Where it is none.
    pub fn of_ppm(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("a picture");
        let mut head = bytes.splitn(4, |byte| *byte == b'\n');
        assert_eq!(head.next(), Some(&b"P6"[..]));
        let size = String::from_utf8_lossy(head.next().expect("a size")).into_owned();
        assert_eq!(head.next(), Some(&b"255"[..]));
        let mut size = size.split(' ').map(|one| one.parse().expect("a number"));
        let (width, height) = (
            size.next().expect("a width"),
            size.next().expect("a height"),
        );
        Self::of_bytes(width, height, 3, head.next().expect("pixels"))
    }

    /// Reads a PNG file of three or four channels, the last of which is not looked at.
    ///
    /// # Panics
    ///
    /// Where it is none.
    pub fn of_png(path: &Path) -> Self {
        let file = std::fs::File::open(path).expect("a picture");
        let decoder = png::Decoder::new(BufReader::new(file));
        let mut reader = decoder.read_info().expect("PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut bytes).expect("PNG");
        let channels = info.color_type.samples();
        Self::of_bytes(info.width, info.height, channels, &bytes)
    }

    fn of_bytes(width: u32, height: u32, channels: usize, bytes: &[u8]) -> Self {
        let pixels = bytes.chunks_exact(channels);
        let pixels: Vec<[u8; 3]> = pixels.map(|one| [one[0], one[1], one[2]]).collect();
        assert_eq!(pixels.len(), (width * height) as usize, "{width}x{height}");
        Self {
            width,
            height,
            pixels,
        }
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

/// What Weston shows now; it was started with `--debug`.
///
/// # Panics
///
/// Where Weston's own program cannot take the picture.
pub fn weston_shot(runtime: &Path) -> Picture {
    let folder = runtime.join("shot");
    std::fs::create_dir_all(&folder).expect("a folder");
    let output = Command::new("weston-screenshooter")
        .current_dir(&folder)
        .env("XDG_RUNTIME_DIR", runtime)
        .env("WAYLAND_DISPLAY", SOCKET)
        .output()
        .expect("weston-screenshooter");
    assert!(output.status.success(), "{output:?}");
    let mut files = std::fs::read_dir(&folder).expect("a folder");
    let file: PathBuf = files.next().expect("a file").expect("a file").path();
    let picture = Picture::of_png(&file);
    std::fs::remove_file(file).expect("it was there");
    picture
}
