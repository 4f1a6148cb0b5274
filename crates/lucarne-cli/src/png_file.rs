//! Pictures as PNG files, in and out.

use std::io::{BufReader, Write};
use std::path::Path;

use lucarne::Extent;

use crate::Failure;
use crate::new_file::NewFile;
use crate::pixels::Picture;

/// Writes a picture.
pub(crate) fn write(path: &Path, picture: &Picture) -> Result<(), Failure> {
    let mut file = NewFile::create(path)?;
    encode(picture, &mut file)?;
    file.finish()?;
    Ok(())
}

/// As a PNG file.
pub(crate) fn encode(picture: &Picture, writer: &mut impl Write) -> Result<(), png::EncodingError> {
    let mut encoder = png::Encoder::new(writer, picture.extent.width, picture.extent.height);
    let channels = if picture.alpha { 4 } else { 3 };
    encoder.set_color(if picture.alpha {
        png::ColorType::Rgba
    } else {
        png::ColorType::Rgb
    });
    encoder.set_depth(if picture.deep {
        png::BitDepth::Sixteen
    } else {
        png::BitDepth::Eight
    });
    let mut bytes = Vec::with_capacity(picture.pixels.len() * channels);
    for pixel in &picture.pixels {
        for value in &pixel[..channels] {
            if picture.deep {
                bytes.extend(value.to_be_bytes());
            } else {
                bytes.push(u8::try_from((u32::from(*value) + 128) / 257).unwrap_or(u8::MAX));
            }
        }
    }
    let mut file = encoder.write_header()?;
    file.write_image_data(&bytes)?;
    file.finish()
}

/// A PNG file's pixels.
pub(crate) fn read(path: &Path) -> Result<Picture, Failure> {
    let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(|error| at(&error))?;
    let mut decoder = png::Decoder::new(BufReader::new(file));
    decoder.set_transformations(
        png::Transformations::normalize_to_color8() | png::Transformations::ALPHA,
    );
    let mut reader = decoder.read_info().map_err(|error| at(&error))?;
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| at(&"too large"))?;
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes).map_err(|error| at(&error))?;
    let wide = |value: u8| u16::from(value) * 257;
    let pixels = match info.color_type {
        png::ColorType::Rgba => bytes
            .chunks_exact(4)
            .map(|p| [p[0], p[1], p[2], p[3]].map(wide))
            .collect(),
        png::ColorType::GrayscaleAlpha => bytes
            .chunks_exact(2)
            .map(|p| [p[0], p[0], p[0], p[1]].map(wide))
            .collect(),
        other => {
            return Err(at(&format_args!("pixels of the kind {other:?} are not known")).into());
        }
    };
    Ok(Picture {
        extent: Extent::new(info.width, info.height),
        pixels,
        deep: false,
        alpha: true,
    })
}
