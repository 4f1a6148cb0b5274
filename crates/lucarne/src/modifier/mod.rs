//! Memory layouts as DRM names them.

mod amd;
mod arm;
mod fields;
mod intel;
mod named;
mod nvidia;
#[cfg(test)]
mod tests;
mod vendors;

use std::fmt;
use std::str::FromStr;

use drm_fourcc::DrmModifier;

use fields::Fields;

use crate::error::debug_as_display;

/// Who defined a layout: the upper 8 bits of a modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Vendor {
    /// Nobody in particular; the linear layout.
    None,
    /// Intel.
    Intel,
    /// AMD.
    Amd,
    /// NVIDIA.
    Nvidia,
    /// Samsung.
    Samsung,
    /// Qualcomm.
    Qcom,
    /// Vivante.
    Vivante,
    /// Broadcom.
    Broadcom,
    /// Arm.
    Arm,
    /// Allwinner.
    Allwinner,
    /// Amlogic.
    Amlogic,
    /// MediaTek.
    MediaTek,
    /// Apple.
    Apple,
    /// A number that was not assigned when this was written.
    Other(u8),
}

impl Vendor {
    /// The vendor with this number.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::None,
            1 => Self::Intel,
            2 => Self::Amd,
            3 => Self::Nvidia,
            4 => Self::Samsung,
            5 => Self::Qcom,
            6 => Self::Vivante,
            7 => Self::Broadcom,
            8 => Self::Arm,
            9 => Self::Allwinner,
            0x0a => Self::Amlogic,
            0x0b => Self::MediaTek,
            0x0c => Self::Apple,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::None => "no vendor",
            Self::Intel => "Intel",
            Self::Amd => "AMD",
            Self::Nvidia => "NVIDIA",
            Self::Samsung => "Samsung",
            Self::Qcom => "Qualcomm",
            Self::Vivante => "Vivante",
            Self::Broadcom => "Broadcom",
            Self::Arm => "Arm",
            Self::Allwinner => "Allwinner",
            Self::Amlogic => "Amlogic",
            Self::MediaTek => "MediaTek",
            Self::Apple => "Apple",
            Self::Other(code) => return write!(f, "vendor {code:#04x}"),
        };
        f.pad(name)
    }
}

/// An explicit memory layout: a DRM format modifier.
///
/// The value `DRM_FORMAT_MOD_INVALID`, with which several interfaces say "implicit layout" or "end of list",
/// is not a layout and cannot be held.
///
/// ```
/// use lucarne::{Modifier, Vendor};
///
/// let modifier = Modifier::new(0x0100_0000_0000_0002).unwrap();
/// assert_eq!(modifier.vendor(), Vendor::Intel);
/// assert_eq!(modifier.to_string(), "Intel Y tiled (0x0100000000000002)");
/// assert_eq!(Modifier::new(0x00ff_ffff_ffff_ffff), None);
/// ```
///
/// # References
///
/// `include/uapi/drm/drm_fourcc.h` in Linux.
#[doc(alias = "DRM format modifier")]
#[doc(alias = "DRM_FORMAT_MOD_LINEAR")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Modifier(u64);

impl Modifier {
    /// Rows one after the other, nothing else: `DRM_FORMAT_MOD_LINEAR`.
    pub const LINEAR: Self = Self(0);

    /// `DRM_FORMAT_MOD_INVALID`, which is no layout.
    pub(crate) const INVALID_CODE: u64 = 0x00ff_ffff_ffff_ffff;

    /// The layout with this code; `None` exactly for `DRM_FORMAT_MOD_INVALID`.
    #[must_use]
    pub const fn new(code: u64) -> Option<Self> {
        if code == Self::INVALID_CODE {
            None
        } else {
            Some(Self(code))
        }
    }

    /// The code.
    #[must_use]
    pub const fn code(self) -> u64 {
        self.0
    }

    /// Whether this is [`LINEAR`](Self::LINEAR).
    #[must_use]
    pub const fn is_linear(self) -> bool {
        self.0 == 0
    }

    /// Who defined the layout.
    #[must_use]
    pub const fn vendor(self) -> Vendor {
        let [vendor, ..] = self.0.to_be_bytes();
        Vendor::from_code(vendor)
    }

    /// The kernel's name for the layout, such as `I915_FORMAT_MOD_X_TILED`. `None` for layouts that are
    /// put together from fields, and for unknown ones.
    #[must_use]
    pub fn kernel_name(self) -> Option<&'static str> {
        Self::NAMED
            .iter()
            .find(|(_, modifier)| *modifier == self)
            .map(|(name, _)| *name)
    }

    /// The layout with this kernel name.
    #[must_use]
    pub fn from_kernel_name(name: &str) -> Option<Self> {
        Self::NAMED
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, modifier)| *modifier)
    }

    /// How many memory planes the layout adds for data of its own (compression state, clear colour).
    /// `None` when the layout is unknown.
    ///
    /// This is what the code alone tells, for formats with one plane. A format with more planes gets the
    /// number once for each of them on Intel (media compression of `NV12` has four memory planes) and on
    /// Vivante; AMD merges the surfaces where it can. A driver's own answer (`drmFormatModifierPlaneCount`)
    /// counts more than this: use it to check and to explain.
    ///
    /// # References
    ///
    /// The comments on each layout in `drm_fourcc.h`: AMD DCC adds one, DCC with retiling two; on GFX12 the
    /// state has no plane (Mesa's `ac_surface.c`). Intel CCS adds one and clear colour one more, but DG2,
    /// Lunar Lake and Battlemage keep CCS outside of the buffer, so that only the clear colour is left.
    /// Vivante tile status adds one. AFBC, AFRC, UBWC and Apple's compression keep their state in the same
    /// plane as the pixels, NVIDIA keeps it out of the buffer.
    #[must_use]
    pub const fn auxiliary_planes(self) -> Option<u8> {
        let value = self.value();
        match self.vendor() {
            Vendor::None if value == 0 => Some(0),
            Vendor::Intel => intel::auxiliary_planes(value),
            Vendor::Amd => amd::auxiliary_planes(value),
            Vendor::Nvidia => nvidia::auxiliary_planes(value),
            Vendor::Arm => arm::auxiliary_planes(value),
            Vendor::Vivante => vendors::vivante_auxiliary_planes(value),
            Vendor::Samsung if matches!(value, 1 | 2) => Some(0),
            Vendor::Qcom if matches!(value, 1..=3) => Some(0),
            Vendor::Broadcom if matches!(value & 0xff, 2..=5) || matches!(value, 1 | 6) => Some(0),
            Vendor::Allwinner if value == 1 => Some(0),
            Vendor::Amlogic if matches!(value & !0x100, 1 | 2) => Some(0),
            Vendor::MediaTek if value & !0x0003_0101 == 0 && value >> 16 < 3 => Some(0),
            Vendor::Apple if matches!(value, 1 | 2) => Some(0),
            _ => None,
        }
    }

    /// The 56 bits that belong to the vendor.
    const fn value(self) -> u64 {
        self.0 & 0x00ff_ffff_ffff_ffff
    }

    /// The layout in words, without the code.
    fn describe(self) -> String {
        if self.is_linear() {
            return "linear".to_owned();
        }
        let vendor = self.vendor();
        let mut fields = Fields::new(self.value());
        match vendor {
            Vendor::Intel => intel::describe(&mut fields),
            Vendor::Amd => amd::describe(&mut fields),
            Vendor::Nvidia => nvidia::describe(&mut fields),
            Vendor::Arm => arm::describe(&mut fields),
            Vendor::Samsung => vendors::samsung(&mut fields),
            Vendor::Qcom => vendors::qcom(&mut fields),
            Vendor::Vivante => vendors::vivante(&mut fields),
            Vendor::Broadcom => vendors::broadcom(&mut fields),
            Vendor::Allwinner => vendors::allwinner(&mut fields),
            Vendor::Amlogic => vendors::amlogic(&mut fields),
            Vendor::MediaTek => vendors::mediatek(&mut fields),
            Vendor::Apple => vendors::apple(&mut fields),
            Vendor::None | Vendor::Other(_) => {}
        }
        format!("{vendor} {}", fields.finish())
    }
}

/// Writes the layout in words, then its code in parentheses; the linear layout as `linear`.
impl fmt::Display for Modifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.describe();
        if self.is_linear() {
            f.pad(&text)
        } else {
            f.pad(&format!("{text} ({:#018x})", self.0))
        }
    }
}

impl fmt::Debug for Modifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Modifier({:#018x} {})", self.0, self.describe())
    }
}

/// The code `DRM_FORMAT_MOD_INVALID` where a layout was expected.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("DRM_FORMAT_MOD_INVALID is not a memory layout")]
pub struct InvalidModifier;

debug_as_display!(InvalidModifier);

impl TryFrom<u64> for Modifier {
    type Error = InvalidModifier;

    fn try_from(code: u64) -> Result<Self, Self::Error> {
        Self::new(code).ok_or(InvalidModifier)
    }
}

impl TryFrom<DrmModifier> for Modifier {
    type Error = InvalidModifier;

    fn try_from(modifier: DrmModifier) -> Result<Self, Self::Error> {
        Self::try_from(u64::from(modifier))
    }
}

/// Never gives `DrmModifier::Invalid`.
impl From<Modifier> for DrmModifier {
    fn from(modifier: Modifier) -> Self {
        Self::from(modifier.0)
    }
}

impl From<Modifier> for u64 {
    fn from(modifier: Modifier) -> Self {
        modifier.0
    }
}

/// The text names no layout.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither `linear`, nor a kernel name such as I915_FORMAT_MOD_X_TILED, nor a code such as 0x0100000000000001"
)]
pub struct UnknownModifierName(String);

debug_as_display!(UnknownModifierName);

impl FromStr for Modifier {
    type Err = UnknownModifierName;

    /// Reads `linear`, a kernel name, or a hexadecimal code.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("linear") {
            return Ok(Self::LINEAR);
        }
        let code = text
            .strip_prefix("0x")
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        code.and_then(Self::new)
            .or_else(|| Self::from_kernel_name(text))
            .ok_or_else(|| UnknownModifierName(text.to_owned()))
    }
}
