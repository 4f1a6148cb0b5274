//! What a frame's numbers mean, in 32 bytes, of which a later version may use more.

use lucarne::Format;
use lucarne::color::{
    AlphaMode, ChromaSiting, ColorDescription, Matrix, Orientation, Primaries, Range, Transfer,
};

use super::codec::{Malformed, Reader, Result, Writer};

const RESERVED: usize = 25;

const ALPHA: [(u8, AlphaMode); 4] = [
    (1, AlphaMode::Opaque),
    (2, AlphaMode::Straight),
    (3, AlphaMode::Premultiplied),
    (4, AlphaMode::PremultipliedOptical),
];

pub(super) fn put_color(
    writer: &mut Writer,
    color: &ColorDescription,
    format: Format,
) -> Result<()> {
    check(color, format)?;
    let alpha = ALPHA.iter().find(|(_, mode)| *mode == color.alpha);
    // The core may learn a mode that this version cannot say.
    let alpha = alpha.ok_or_else(|| Malformed::new("color.alpha", color.alpha, "one of 1 to 4"))?;
    writer.bytes(&[
        color.primaries.code(),
        color.transfer.code(),
        color.matrix.code(),
        color.range.code(),
        color.siting.code(),
        alpha.0,
        color.orientation.code(),
    ]);
    writer.bytes(&[0; RESERVED]);
    Ok(())
}

pub(super) fn take_color(reader: &mut Reader<'_>, format: Format) -> Result<ColorDescription> {
    let [
        primaries,
        transfer,
        matrix,
        range,
        siting,
        alpha,
        orientation,
    ] = reader.array("color")?;
    let reserved: [u8; RESERVED] = reader.array("color.reserved")?;
    if reserved != [0; RESERVED] {
        return Err(Malformed::new("color.reserved", "something", "zeros"));
    }
    let mode = ALPHA.iter().find(|(code, _)| *code == alpha);
    let color = ColorDescription {
        primaries: decode_code("color.primaries", primaries, Primaries::from_code)?,
        transfer: decode_code("color.transfer", transfer, Transfer::from_code)?,
        // 5 and 6 are one matrix in H.273; only one of them is sent.
        matrix: decode_code("color.matrix", matrix, |code| {
            Matrix::from_code(code).filter(|matrix| matrix.code() == code)
        })?,
        range: decode_code("color.range", range, Range::from_code)?,
        siting: decode_code("color.siting", siting, ChromaSiting::from_code)?,
        alpha: decode_code("color.alpha", alpha, |_| mode.map(|(_, mode)| *mode))?,
        orientation: decode_code("color.orientation", orientation, Orientation::from_code)?,
    };
    check(&color, format)?;
    Ok(color)
}

fn decode_code<T>(field: &'static str, code: u8, of: impl Fn(u8) -> Option<T>) -> Result<T> {
    of(code).ok_or_else(|| Malformed::new(field, code, "a number that docs/protocol.md has"))
}

/// Refuses colours that contradict a format whose meaning is known.
fn check(color: &ColorDescription, format: Format) -> Result<()> {
    if format.info().is_none() {
        return Ok(());
    }
    let limit = |error| Malformed::new("color", color, format!("right for {format}: {error}"));
    color.check(format).map_err(limit)
}
