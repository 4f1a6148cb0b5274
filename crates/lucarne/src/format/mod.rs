//! Pixel formats as DRM names them.

mod info;
mod row;
mod table;
#[cfg(test)]
mod tests;
mod yuv;

use std::fmt;
use std::str::FromStr;

use drm_fourcc::DrmFourcc;

use crate::error::debug_as_display;

pub use info::{Channel, ColorKind, Component, FormatInfo, FormatPlane, GlFormat, Numeric};

/// A pixel format: a DRM fourcc code.
///
/// Every code is representable, also one that this crate knows nothing about; [`info`](Self::info) says what
/// is known. Channels in the names are listed from the most significant bits of a little-endian number, so
/// [`ARGB8888`](Self::ARGB8888) is blue, green, red, alpha in memory.
///
/// ```
/// use lucarne::Format;
///
/// let format: Format = "NV12".parse().unwrap();
/// let info = format.info().unwrap();
/// assert_eq!(info.planes.len(), 2);
/// assert_eq!(info.row_bytes(1, 1366), Some(1366));
/// assert_eq!(info.rows(1, 767), Some(384));
/// assert_eq!(Format::from_fourcc(0x3432_5258).to_string(), "XR24 XRGB8888");
/// ```
///
/// # References
///
/// `include/uapi/drm/drm_fourcc.h` in Linux.
#[doc(alias = "fourcc")]
#[doc(alias = "DRM_FORMAT_XRGB8888")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Format(u32);

/// The bit that says that the channels are in big-endian numbers (`DRM_FORMAT_BIG_ENDIAN`).
const BIG_ENDIAN: u32 = 1 << 31;

impl Format {
    /// What is known, one row for each format that has a constant here.
    pub const ALL: &'static [FormatInfo] = table::ALL;

    /// The format with this code.
    #[must_use]
    pub const fn from_fourcc(fourcc: u32) -> Self {
        Self(fourcc)
    }

    /// The format with the code made of these four characters.
    #[must_use]
    pub const fn from_characters(characters: &[u8; 4]) -> Self {
        Self(u32::from_le_bytes(*characters))
    }

    /// The code.
    #[must_use]
    pub const fn fourcc(self) -> u32 {
        self.0
    }

    /// Whether the code carries `DRM_FORMAT_BIG_ENDIAN`. Such a format has no [`info`](Self::info).
    #[must_use]
    pub const fn is_big_endian(self) -> bool {
        self.0 & BIG_ENDIAN != 0
    }

    /// What is known about this format; `None` for a code without a constant here.
    #[must_use]
    pub fn info(self) -> Option<&'static FormatInfo> {
        Self::ALL.iter().find(|info| info.format == self)
    }

    /// The kernel's name, without `DRM_FORMAT_`: `XRGB8888`.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(self.info()?.name)
    }

    /// The format of this kernel name (`XRGB8888`, also with `DRM_FORMAT_` before it), or of these four
    /// characters (`XR24`; spaces at the end may be left out of a known one).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let bare = name.strip_prefix("DRM_FORMAT_").unwrap_or(name);
        if let Some(info) = Self::ALL.iter().find(|info| info.name == bare) {
            return Some(info.format);
        }
        let characters: [u8; 4] = name.as_bytes().try_into().ok()?;
        characters
            .iter()
            .all(|byte| is_printable(*byte))
            .then(|| Self::from_characters(&characters))
    }

    /// [`FormatInfo::opaque_twin`] of this format.
    #[must_use]
    pub fn opaque_twin(self) -> Option<Self> {
        self.info()?.opaque_twin()
    }

    /// [`FormatInfo::alpha_twin`] of this format.
    #[must_use]
    pub fn alpha_twin(self) -> Option<Self> {
        self.info()?.alpha_twin()
    }

    /// The four characters of the code without the big-endian bit, when they can be printed.
    fn characters(self) -> Option<String> {
        let bytes = (self.0 & !BIG_ENDIAN).to_le_bytes();
        let printable = bytes.iter().all(|byte| is_printable(*byte)) && bytes[0] != b' ';
        printable.then(|| bytes.iter().map(|byte| char::from(*byte)).collect())
    }
}

const fn is_printable(byte: u8) -> bool {
    byte == b' ' || byte.is_ascii_graphic()
}

/// Writes `XR24 XRGB8888`; a name that is its own code once (`NV12`); an unknown code as a number, with its
/// characters when they can be printed: `0x31363248 H261`. [`FromStr`] reads all of them back.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let characters = self.characters();
        let characters = characters.as_deref().map(str::trim_end);
        let mut text = match (self.name(), characters) {
            (Some(name), Some(code)) if name == code => name.to_owned(),
            (Some(name), Some(code)) => format!("{code} {name}"),
            (Some(name), None) => name.to_owned(),
            (None, Some(code)) => format!("{:#010x} {code}", self.0),
            (None, None) => format!("{:#010x}", self.0),
        };
        if self.is_big_endian() {
            text.push_str(" big-endian");
        }
        f.pad(&text)
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Format({self})")
    }
}

/// The text names no format.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a DRM format name, nor four characters, nor a code such as 0x34325258")]
pub struct UnknownFormatName(String);

debug_as_display!(UnknownFormatName);

impl FromStr for Format {
    type Err = UnknownFormatName;

    /// Reads a kernel name, four characters, a hexadecimal code, or what `Display` wrote.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let first = text.split_whitespace().next().unwrap_or_default();
        let code = first
            .strip_prefix("0x")
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        code.map(Self::from_fourcc)
            .or_else(|| Self::from_name(text))
            .or_else(|| Self::from_name(first))
            .ok_or_else(|| UnknownFormatName(text.to_owned()))
    }
}

impl From<DrmFourcc> for Format {
    fn from(fourcc: DrmFourcc) -> Self {
        Self(fourcc as u32)
    }
}

/// The `drm-fourcc` crate has no name for this format.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the drm-fourcc crate has no name for the format {0}")]
pub struct NotInDrmFourcc(pub Format);

debug_as_display!(NotInDrmFourcc);

impl TryFrom<Format> for DrmFourcc {
    type Error = NotInDrmFourcc;

    fn try_from(format: Format) -> Result<Self, Self::Error> {
        Self::try_from(format.0).map_err(|_| NotInDrmFourcc(format))
    }
}
