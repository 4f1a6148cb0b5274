//! `R'G'B'` to `Y'CbCr` and back, as H.273 writes it, in `f64`.

use super::{ColorDescription, Matrix, Range};
use crate::error::{Error, Result};
use crate::format::{Component, FormatInfo};

/// The arithmetic of one matrix, range and number of bits.
///
/// Red, green and blue are encoded numbers from 0 to 1. *Codes* are the numbers that are stored: luma, Cb, Cr, in this
/// order, from 0 to 2ⁿ − 1. They are not rounded unless a function says so.
///
/// # References
///
/// Rec. ITU-T H.273, equations 20 to 31 and 38 to 43.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct YcbcrConversion {
    kr: f64,
    kb: f64,
    luma_offset: f64,
    luma_scale: f64,
    chroma_offset: f64,
    chroma_scale: f64,
    max: f64,
}

impl YcbcrConversion {
    /// Codes of `bits` bits.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for [`Matrix::Identity`], which converts nothing, and for fewer than 8 or more than 16 bits.
    pub fn new(matrix: Matrix, range: Range, bits: u8) -> Result<Self> {
        let (kr, kb) = matrix.coefficients().ok_or_else(|| {
            Error::invalid("color.matrix", matrix, "one with luma and two differences")
        })?;
        if !(8..=16).contains(&bits) {
            return Err(Error::invalid("bits", bits, "8 to 16"));
        }
        let max = f64::from((1_u32 << bits) - 1);
        let unit = f64::from(1_u32 << (bits - 8));
        let (luma_offset, luma_scale, chroma_scale) = match range {
            Range::Limited => (16.0 * unit, 219.0 * unit, 224.0 * unit),
            Range::Full => (0.0, max, max),
        };
        Ok(Self {
            kr,
            kb,
            luma_offset,
            luma_scale,
            chroma_offset: 128.0 * unit,
            chroma_scale,
            max,
        })
    }

    /// As the frame's format and colour description say.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn of(info: &FormatInfo, color: &ColorDescription) -> Result<Self> {
        Self::new(color.matrix, color.range, info.bits(Component::Luma))
    }

    /// The largest code.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// The codes of a colour.
    pub fn codes(&self, rgb: [f64; 3]) -> [f64; 3] {
        apply(&self.code_matrix(), rgb)
    }

    /// The codes that are stored: rounded, and clipped to what fits.
    pub fn quantize(&self, codes: [f64; 3]) -> [u16; 3] {
        codes.map(|code| {
            // Halves go up, as H.273's Round does for positive numbers.
            let whole = (code + 0.5).floor().clamp(0.0, self.max);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped to 16 bits at most"
            )]
            let code = whole as u16;
            code
        })
    }

    /// The colour that codes stand for. Some codes stand for no colour; for those, numbers lie outside 0 to 1.
    pub fn rgb(&self, codes: [f64; 3]) -> [f64; 3] {
        apply(&self.rgb_matrix(1.0), codes)
    }

    /// Three rows of four: codes from red, green, blue and 1.
    pub fn code_matrix(&self) -> [[f64; 4]; 3] {
        let (kr, kb) = (self.kr, self.kb);
        let kg = 1.0 - kr - kb;
        let blue = self.chroma_scale / (2.0 * (1.0 - kb));
        let red = self.chroma_scale / (2.0 * (1.0 - kr));
        let luma = self.luma_scale;
        [
            [kr * luma, kg * luma, kb * luma, self.luma_offset],
            [
                -kr * blue,
                -kg * blue,
                (1.0 - kb) * blue,
                self.chroma_offset,
            ],
            [(1.0 - kr) * red, -kg * red, -kb * red, self.chroma_offset],
        ]
    }

    /// Three rows of four: red, green and blue from what a sampler reads of luma, Cb and Cr, and 1. A code of 1 reads
    /// as `1 / codes_per_one`: 255 for 8 bits; 65535/64 for the upper 10 of 16 bits.
    pub fn rgb_matrix(&self, codes_per_one: f64) -> [[f64; 4]; 3] {
        let (kr, kb) = (self.kr, self.kb);
        let kg = 1.0 - kr - kb;
        let luma = 1.0 / self.luma_scale;
        let red = 2.0 * (1.0 - kr) / self.chroma_scale;
        let blue = 2.0 * (1.0 - kb) / self.chroma_scale;
        let rows = [
            [luma, 0.0, red],
            [luma, -blue * kb / kg, -red * kr / kg],
            [luma, blue, 0.0],
        ];
        rows.map(|[y, cb, cr]| {
            let offset = -(y * self.luma_offset + (cb + cr) * self.chroma_offset);
            [
                y * codes_per_one,
                cb * codes_per_one,
                cr * codes_per_one,
                offset,
            ]
        })
    }
}

fn apply(matrix: &[[f64; 4]; 3], vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|[a, b, c, offset]| a * vector[0] + b * vector[1] + c * vector[2] + offset)
}
