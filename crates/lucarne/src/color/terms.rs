//! The terms of a colour description, with the numbers that others know them by.

use std::fmt;

/// An enumeration whose variants have a number and a name.
macro_rules! terms {
    (
        $(#[$doc:meta])*
        $name:ident: $standard:literal {
            $($(#[$variant_doc:meta])* $variant:ident = $code:literal $(| $other:literal)*, $text:literal;)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every one, in ascending order of number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            #[doc = concat!("The number in ", $standard, ".")]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            #[doc = concat!("What has this number in ", $standard, "; `None` for \"unspecified\", for reserved \
                numbers, and for what this crate cannot honour.")]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code $(| $other)* => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)+
                })
            }
        }
    };
}

terms! {
    /// Chromaticities of red, green, blue and white.
    Primaries: "H.273, `ColourPrimaries`" {
        /// Rec. ITU-R BT.709, also sRGB's.
        Bt709 = 1, "BT.709";
        /// BT.470 System M, NTSC of 1953.
        Bt470M = 4, "BT.470 M";
        /// BT.470 Systems B and G, also BT.601 with 625 lines.
        Bt470Bg = 5, "BT.470 B/G";
        /// BT.601 with 525 lines, SMPTE 170M.
        Smpte170M = 6, "SMPTE 170M";
        /// SMPTE 240M; the same chromaticities as SMPTE 170M.
        Smpte240M = 7, "SMPTE 240M";
        /// Generic film with illuminant C.
        Film = 8, "film";
        /// BT.2020, also BT.2100.
        Bt2020 = 9, "BT.2020";
        /// CIE 1931 XYZ, SMPTE ST 428-1.
        Xyz = 10, "CIE XYZ";
        /// SMPTE RP 431-2, DCI P3.
        DciP3 = 11, "DCI P3";
        /// SMPTE EG 432-1, P3 with white D65: Display P3.
        DisplayP3 = 12, "Display P3";
        /// EBU Tech. 3213-E.
        Ebu3213 = 22, "EBU 3213";
    }
}

terms! {
    /// The function between light and the numbers that stand for it.
    Transfer: "H.273, `TransferCharacteristics`" {
        /// Rec. ITU-R BT.709.
        Bt709 = 1, "BT.709";
        /// A power of 2.2, BT.470 System M.
        Gamma22 = 4, "gamma 2.2";
        /// A power of 2.8, BT.470 Systems B and G.
        Gamma28 = 5, "gamma 2.8";
        /// BT.601; the same function as BT.709's.
        Bt601 = 6, "BT.601";
        /// SMPTE 240M.
        Smpte240M = 7, "SMPTE 240M";
        /// None: numbers are proportional to light.
        Linear = 8, "linear";
        /// Logarithmic over a range of 100 : 1.
        Log100 = 9, "log 100:1";
        /// Logarithmic over a range of 100 √10 : 1.
        Log316 = 10, "log 316:1";
        /// IEC 61966-2-4, xvYCC.
        XvYcc = 11, "xvYCC";
        /// BT.1361 with its extended gamut.
        Bt1361 = 12, "BT.1361";
        /// IEC 61966-2-1, sRGB.
        Srgb = 13, "sRGB";
        /// BT.2020 for 10 bits; the same function as BT.709's.
        Bt2020Bits10 = 14, "BT.2020 (10 bits)";
        /// BT.2020 for 12 bits; the same function as BT.709's.
        Bt2020Bits12 = 15, "BT.2020 (12 bits)";
        /// SMPTE ST 2084, perceptual quantisation.
        Pq = 16, "PQ";
        /// SMPTE ST 428-1.
        Smpte428 = 17, "SMPTE 428";
        /// ARIB STD-B67, hybrid log-gamma.
        Hlg = 18, "HLG";
    }
}

terms! {
    /// The matrix between `R'G'B'` and `Y'CbCr`. Conversions that are not a matrix of constants (constant luminance,
    /// `ICtCp`) are left out.
    Matrix: "H.273, `MatrixCoefficients`" {
        /// No matrix: the numbers are red, green and blue.
        Identity = 0, "identity";
        /// Rec. ITU-R BT.709.
        Bt709 = 1, "BT.709";
        /// United States FCC Title 47, of 2003.
        Fcc = 4, "FCC";
        /// BT.601, of 525 lines (6) and of 625 (5), which are the same; written as 6.
        Bt601 = 6 | 5, "BT.601";
        /// SMPTE 240M.
        Smpte240M = 7, "SMPTE 240M";
        /// BT.2020 and BT.2100, non-constant luminance.
        Bt2020 = 9, "BT.2020";
    }
}

impl Matrix {
    /// `KR` and `KB` of H.273; `None` for the identity.
    pub const fn coefficients(self) -> Option<(f64, f64)> {
        match self {
            Self::Identity => None,
            Self::Bt709 => Some((0.2126, 0.0722)),
            Self::Fcc => Some((0.30, 0.11)),
            Self::Bt601 => Some((0.299, 0.114)),
            Self::Smpte240M => Some((0.212, 0.087)),
            Self::Bt2020 => Some((0.2627, 0.0593)),
        }
    }
}

terms! {
    /// Which codes stand for black, white and full chroma.
    Range: "H.273, `VideoFullRangeFlag`" {
        /// Black 16, white 235, chroma 16 to 240 of 8 bits (also "narrow", "studio", "TV").
        Limited = 0, "limited";
        /// Every code.
        Full = 1, "full";
    }
}

/// Where a chroma sample lies between the pixels that share it, along one axis (`VkChromaLocation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChromaLocation {
    /// On the first of them: the left, or the upper.
    CositedEven,
    /// In the middle.
    Midpoint,
}

/// Where chroma samples lie. H.273 has two more positions, below the middle; no graphics API can express them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChromaSiting {
    /// From left to right.
    pub horizontal: ChromaLocation,
    /// From top to bottom.
    pub vertical: ChromaLocation,
}

impl ChromaSiting {
    /// On the left pixels, halfway between rows: MPEG-2, H.264 and most of video.
    pub const LEFT: Self = Self::new(ChromaLocation::CositedEven, ChromaLocation::Midpoint);
    /// In the middle of all: JPEG, MPEG-1.
    pub const CENTER: Self = Self::new(ChromaLocation::Midpoint, ChromaLocation::Midpoint);
    /// On the upper left pixels: BT.2020 and BT.2100.
    pub const TOP_LEFT: Self = Self::new(ChromaLocation::CositedEven, ChromaLocation::CositedEven);
    /// On the upper pixels, halfway between columns.
    pub const TOP: Self = Self::new(ChromaLocation::Midpoint, ChromaLocation::CositedEven);

    /// Every one, in the order of [`code`](Self::code).
    pub const ALL: &'static [Self] = &[Self::LEFT, Self::CENTER, Self::TOP_LEFT, Self::TOP];

    /// Both axes.
    pub const fn new(horizontal: ChromaLocation, vertical: ChromaLocation) -> Self {
        Self {
            horizontal,
            vertical,
        }
    }

    /// The number in H.273, `Chroma420SampleLocType`.
    pub const fn code(self) -> u8 {
        match (self.horizontal, self.vertical) {
            (ChromaLocation::CositedEven, ChromaLocation::Midpoint) => 0,
            (ChromaLocation::Midpoint, ChromaLocation::Midpoint) => 1,
            (ChromaLocation::CositedEven, ChromaLocation::CositedEven) => 2,
            (ChromaLocation::Midpoint, ChromaLocation::CositedEven) => 3,
        }
    }

    /// What has this number in H.273; `None` for the two positions below the middle and for reserved numbers.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::LEFT),
            1 => Some(Self::CENTER),
            2 => Some(Self::TOP_LEFT),
            3 => Some(Self::TOP),
            _ => None,
        }
    }
}

impl fmt::Display for ChromaSiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.code() {
            0 => "left",
            1 => "center",
            2 => "top left",
            _ => "top",
        })
    }
}

/// Whether colours have been multiplied by alpha.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlphaMode {
    /// Alpha is 1 everywhere: there is none, or it is to be ignored.
    Opaque,
    /// Not multiplied.
    Straight,
    /// The encoded numbers have been multiplied (Wayland's "premultiplied electrical"), as compositors assume.
    Premultiplied,
    /// Light has been multiplied, and encoded after that (Wayland's "premultiplied optical").
    PremultipliedOptical,
}

impl fmt::Display for AlphaMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Opaque => "opaque",
            Self::Straight => "straight",
            Self::Premultiplied => "premultiplied",
            Self::PremultipliedOptical => "premultiplied optical",
        })
    }
}

terms! {
    /// How the picture was turned before it was stored: first mirrored, where the name says so, then rotated
    /// counter-clockwise. Lucarne does not turn it back: the program that shows it must.
    Orientation: "Wayland, `wl_output.transform`" {
        /// Not at all: the first row is the top, the first pixel of a row the left.
        Normal = 0, "upright";
        /// By 90 degrees.
        Rotated90 = 1, "rotated by 90 degrees";
        /// By 180 degrees.
        Rotated180 = 2, "rotated by 180 degrees";
        /// By 270 degrees.
        Rotated270 = 3, "rotated by 270 degrees";
        /// Left and right exchanged.
        Flipped = 4, "mirrored";
        /// Mirrored, then by 90 degrees.
        Flipped90 = 5, "mirrored and rotated by 90 degrees";
        /// Mirrored, then by 180 degrees: the first row is the bottom, as OpenGL draws.
        Flipped180 = 6, "upside down";
        /// Mirrored, then by 270 degrees.
        Flipped270 = 7, "mirrored and rotated by 270 degrees";
    }
}
