//! Pictures read back, as PNG files and for comparison.

use lucarne::{Extent, Fence, Format, cpu};
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;
use std::time::Duration;

/// RGBA bytes, the top row first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    rgba: Vec<u8>,
}

impl Picture {
    /// Takes RGBA bytes as glReadPixels gives them: the lowest row first.
    ///
    /// # Panics
    ///
    /// If there are not width × height × 4 bytes.
    #[must_use]
    pub fn from_bottom_up(width: u32, height: u32, rgba: Vec<u8>) -> Self {
        let row = 4 * width as usize;
        assert_eq!(
            rgba.len(),
            row * height as usize,
            "four bytes for each of {width}x{height} pixels"
        );
        let rgba = rgba
            .chunks_exact(row.max(1))
            .rev()
            .flatten()
            .copied()
            .collect();
        Self {
            width,
            height,
            rgba,
        }
    }

    /// Takes a frame's bytes in one of the four 8-bit formats, the top row first and without padding.
    ///
    /// # Errors
    ///
    /// If the format is another, or there are not width × height × 4 bytes.
    pub fn from_frame(extent: Extent, format: Format, mut bytes: Vec<u8>) -> Result<Self, String> {
        let (width, height) = (extent.width, extent.height);
        let wanted = 4 * width as usize * height as usize;
        if bytes.len() != wanted {
            let got = bytes.len();
            return Err(format!("{extent} are {wanted} bytes, but there are {got}"));
        }
        // Formats are named from the highest bits of a word down; in memory the lowest byte comes first.
        if format == Format::XRGB8888 || format == Format::ARGB8888 {
            for pixel in bytes.chunks_exact_mut(4) {
                pixel.swap(0, 2);
            }
        } else if format != Format::XBGR8888 && format != Format::ABGR8888 {
            return Err(format!(
                "pictures are made of 8-bit formats, not of {format}"
            ));
        }
        Ok(Self {
            width,
            height,
            rgba: bytes,
        })
    }

    /// Reads a mapped frame of one plane, after `acquire`: the picture, and the fence to release the frame with.
    ///
    /// # Errors
    ///
    /// Those of [`Image::read`](cpu::Image::read) and [`Picture::from_frame`].
    pub fn from_mapping(
        image: &cpu::Image,
        acquire: &Fence,
        timeout: Duration,
    ) -> Result<(Self, Fence), Box<dyn std::error::Error>> {
        let mut bytes = vec![0; image.plane_bytes(0)];
        let read = image.read(acquire, timeout, |rows| rows.read_plane(0, &mut bytes))?;
        let layout = image.frame().layout();
        let picture = Self::from_frame(layout.extent(), layout.format(), bytes)?;
        Ok((picture, read))
    }

    /// Takes what a shader read of each pixel: red, green, blue and alpha from 0 to 1, the top row first.
    ///
    /// # Errors
    ///
    /// If there are not width × height pixels.
    pub fn from_shader(extent: Extent, pixels: &[[f32; 4]]) -> Result<Self, String> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to what a byte holds"
        )]
        let byte = |value: &f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
        let bytes = pixels.iter().flatten().map(byte).collect();
        Self::from_frame(extent, Format::ABGR8888, bytes)
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The RGBA bytes of a pixel, counted from the upper left corner.
    ///
    /// # Panics
    ///
    /// If there is no such pixel.
    #[must_use]
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 4] {
        assert!(
            x < self.width && y < self.height,
            "({x}, {y}) in {}x{}",
            self.width,
            self.height
        );
        let at = 4 * (y as usize * self.width as usize + x as usize);
        [
            self.rgba[at],
            self.rgba[at + 1],
            self.rgba[at + 2],
            self.rgba[at + 3],
        ]
    }

    /// The largest difference between any two bytes at the same place, and how many pixels differ; `None`
    /// if the sizes do.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<(u8, usize)> {
        if (self.width, self.height) != (other.width, other.height) {
            return None;
        }
        let pairs = self.rgba.chunks_exact(4).zip(other.rgba.chunks_exact(4));
        let by = |(a, b): (&[u8], &[u8])| {
            a.iter()
                .zip(b)
                .map(|(a, b)| a.abs_diff(*b))
                .max()
                .unwrap_or(0)
        };
        let differing = pairs.map(by).filter(|difference| *difference > 0);
        Some(differing.fold((0, 0), |(largest, count), d| (largest.max(d), count + 1)))
    }

    /// Writes a PNG file without alpha. What was at the path stays until the whole file is there.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        let rgb: Vec<u8> = self
            .rgba
            .chunks_exact(4)
            .flat_map(|p| [p[0], p[1], p[2]])
            .collect();
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&rgb)?;
        writer.finish()?;
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let written = fs::write(&new, &file).and_then(|()| fs::rename(&new, path));
        // A full disk leaves nothing half written behind.
        written.inspect_err(|_| drop(fs::remove_file(&new)))
    }

    /// Reads a PNG file of eight bits per channel, RGB or RGBA.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is of another kind.
    pub fn load(path: &Path) -> io::Result<Self> {
        let mut reader = png::Decoder::new(BufReader::new(File::open(path)?)).read_info()?;
        let size = reader
            .output_buffer_size()
            .ok_or_else(|| io::Error::other("too large"))?;
        let mut bytes = vec![0; size];
        let info = reader.next_frame(&mut bytes)?;
        bytes.truncate(info.buffer_size());
        let rgba = match (info.color_type, info.bit_depth) {
            (png::ColorType::Rgba, png::BitDepth::Eight) => bytes,
            (png::ColorType::Rgb, png::BitDepth::Eight) => bytes
                .chunks_exact(3)
                .flat_map(|p| [p[0], p[1], p[2], 255])
                .collect(),
            (color, depth) => {
                let kind = format!("{}: {color:?} of {depth:?} bits", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, kind));
            }
        };
        Ok(Self {
            width: info.width,
            height: info.height,
            rgba,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_row_ends_up_at_the_bottom() {
        let picture = Picture::from_bottom_up(1, 2, vec![1, 1, 1, 255, 2, 2, 2, 255]);
        assert_eq!(picture.pixel(0, 0), [2, 2, 2, 255]);
        assert_eq!(picture.pixel(0, 1), [1, 1, 1, 255]);
    }

    #[test]
    fn a_full_disk_leaves_the_old_picture() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.png");
        let old = Picture::from_bottom_up(1, 1, vec![1, 2, 3, 255]);
        old.save(&path).unwrap();
        // Whatever is written there finds no space.
        let full = folder.path().join("picture.png.new");
        std::os::unix::fs::symlink("/dev/full", &full).unwrap();
        let new = Picture::from_bottom_up(1, 1, vec![4, 5, 6, 255]);
        let error = new.save(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(Picture::load(&path).unwrap(), old);
        assert!(fs::symlink_metadata(&full).is_err(), "nothing is left over");
        new.save(&path).unwrap();
        assert_eq!(Picture::load(&path).unwrap(), new);
    }

    #[test]
    fn differences_are_counted_by_pixel() {
        let one = Picture::from_bottom_up(2, 1, vec![0, 0, 0, 255, 9, 9, 9, 255]);
        let two = Picture::from_bottom_up(2, 1, vec![0, 0, 0, 255, 9, 5, 8, 255]);
        assert_eq!(one.difference(&one), Some((0, 0)));
        assert_eq!(one.difference(&two), Some((4, 1)));
        assert_eq!(
            one.difference(&Picture::from_bottom_up(1, 1, vec![0; 4])),
            None
        );
    }
}
