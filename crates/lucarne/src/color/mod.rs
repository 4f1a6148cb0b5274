//! What the numbers of a frame mean: primaries, transfer, matrix, range, siting, alpha and orientation.
//!
//! Every [`FrameLayout`](crate::FrameLayout) carries a [`ColorDescription`]: its format's
//! [default](ColorDescription::default_for) unless [`FrameLayout::with_color`](crate::FrameLayout::with_color) says
//! otherwise. The arithmetic between red, green, blue and `Y'CbCr` is here too, in `f64` ([`YcbcrConversion`] and the filters
//! beside it): the reference that every shader of this crate is compared with.
//!
//! Words and numbers are those of Rec. ITU-T H.273 (07/2021), as in video streams, PNG's `cICP` and Wayland's
//! color-representation protocol.

mod conversion;
mod filter;
mod terms;

use std::fmt;

pub use conversion::YcbcrConversion;
pub use filter::{
    Subsampling, Tap, chroma_at_pixel, downsampling_taps, pixels_to_chroma, upsampling_taps,
};
pub use terms::{
    AlphaMode, ChromaLocation, ChromaSiting, Matrix, Orientation, Primaries, Range, Transfer,
};

use crate::error::{Error, Result};
use crate::format::{ColorKind, Format, FormatInfo, Numeric};

/// How a frame's numbers stand for colours. Plain data; [`check`](Self::check) says whether it fits a format.
///
/// ```
/// use lucarne::color::{ColorDescription, Matrix, Range};
/// use lucarne::{Extent, Format, FrameLayout};
///
/// let (layout, _) = FrameLayout::linear(Extent::new(640, 480), Format::NV12)?;
/// assert_eq!(layout.color().matrix, Matrix::Bt709);
/// let color = ColorDescription {
///     matrix: Matrix::Bt601,
///     range: Range::Full,
///     ..layout.color()
/// };
/// let layout = layout.with_color(color)?;
/// assert_eq!(layout.color().matrix.code(), 6);
/// # Ok::<(), lucarne::Error>(())
/// ```
///
/// # References
///
/// Rec. ITU-T H.273.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ColorDescription {
    /// Which red, green, blue and white.
    pub primaries: Primaries,
    /// The function from light to the stored numbers.
    pub transfer: Transfer,
    /// The matrix from `R'G'B'` to `Y'CbCr`; [`Matrix::Identity`] for RGB formats.
    pub matrix: Matrix,
    /// Which codes are black and white.
    pub range: Range,
    /// Where chroma samples lie. Without meaning for formats whose chroma is not subsampled.
    pub siting: ChromaSiting,
    /// Whether colours have been multiplied by alpha.
    pub alpha: AlphaMode,
    /// How the picture was turned before it was stored.
    pub orientation: Orientation,
}

impl ColorDescription {
    /// The colours of ordinary screens: BT.709 primaries, sRGB's transfer, full range, no alpha.
    pub const SRGB: Self = Self {
        primaries: Primaries::Bt709,
        transfer: Transfer::Srgb,
        matrix: Matrix::Identity,
        range: Range::Full,
        siting: ChromaSiting::LEFT,
        alpha: AlphaMode::Opaque,
        orientation: Orientation::Normal,
    };

    /// High-definition video: BT.709 throughout, limited range, chroma to the left, no alpha.
    pub const VIDEO: Self = Self {
        transfer: Transfer::Bt709,
        matrix: Matrix::Bt709,
        range: Range::Limited,
        ..Self::SRGB
    };

    /// The description that a frame of this format has when nobody gives another one: [`SRGB`](Self::SRGB) for RGB formats
    /// (with a linear transfer for floating-point formats), [`VIDEO`](Self::VIDEO) for `Y'CbCr` formats of every size. Alpha
    /// is premultiplied where the format has alpha, as compositors assume.
    pub fn default_for(info: &FormatInfo) -> Self {
        let base = match info.color {
            ColorKind::Rgb => Self::SRGB,
            ColorKind::Yuv => Self::VIDEO,
        };
        let alpha = if info.alpha {
            AlphaMode::Premultiplied
        } else {
            AlphaMode::Opaque
        };
        let transfer = match info.numeric {
            Numeric::Float => Transfer::Linear,
            Numeric::Unorm => base.transfer,
        };
        Self {
            alpha,
            transfer,
            ..base
        }
    }

    /// Refuses a description that contradicts the format.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], naming the field: a matrix for red, green and blue; none for `Y'CbCr`; an alpha mode for a
    /// format without alpha; a format whose geometry is unknown.
    pub fn check(&self, format: Format) -> Result<()> {
        let info = format.info().ok_or_else(|| Error::unknown_format(format))?;
        let none = self.matrix == Matrix::Identity;
        match info.color {
            ColorKind::Rgb if !none => {
                let limit = format!("identity: {format} holds red, green and blue");
                return Err(Error::invalid("color.matrix", self.matrix, limit));
            }
            ColorKind::Yuv if none => {
                let limit = format!("the one that {format} was made with, such as BT.709");
                return Err(Error::invalid("color.matrix", self.matrix, limit));
            }
            ColorKind::Rgb | ColorKind::Yuv => {}
        }
        if !info.alpha && self.alpha != AlphaMode::Opaque {
            let limit = format!("opaque: {format} has no alpha");
            return Err(Error::invalid("color.alpha", self.alpha, limit));
        }
        Ok(())
    }
}

impl fmt::Display for ColorDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            primaries,
            transfer,
            matrix,
            range,
            siting,
            alpha,
            orientation,
        } = self;
        write!(f, "{primaries} primaries, {transfer} transfer, ")?;
        if *matrix != Matrix::Identity {
            write!(f, "{matrix} matrix, chroma {siting}, ")?;
        }
        write!(f, "{range} range, {alpha} alpha, {orientation}")
    }
}
