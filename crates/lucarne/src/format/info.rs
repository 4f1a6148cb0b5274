//! What is known about a pixel format: its planes, its channels, and its names in Vulkan and OpenGL.

use super::Format;

/// What one channel of a pixel stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Component {
    /// Red light.
    Red,
    /// Green light.
    Green,
    /// Blue light.
    Blue,
    /// Opacity.
    Alpha,
    /// Brightness, Y of `Y'CbCr`.
    Luma,
    /// Blue difference, Cb (also written U).
    Cb,
    /// Red difference, Cr (also written V).
    Cr,
    /// Bits that carry nothing; readers must ignore them.
    Padding,
}

/// A run of bits in a block of pixels.
///
/// The block is read as one little-endian number of [`FormatPlane::block_bytes`] bytes; the channel is the
/// `bits` bits of that number starting at bit `shift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Channel {
    /// What the bits stand for.
    pub component: Component,
    /// Place of the least significant bit.
    pub shift: u8,
    /// How many bits.
    pub bits: u8,
}

/// How the bits of a channel are read as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Numeric {
    /// An unsigned integer that stands for 0.0 to 1.0.
    Unorm,
    /// An IEEE 754 binary16 number.
    Float,
}

/// Which family of colours a format holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ColorKind {
    /// Red, green, blue, or the first one or two of them (`R8`, `GR88`).
    Rgb,
    /// Luma and two colour differences, `Y'CbCr`; needs a conversion matrix before it is shown.
    Yuv,
}

/// One plane of a format: how its pixels sit in memory.
///
/// This is a *format plane*. A modifier may add memory planes of its own, see
/// [`Modifier::auxiliary_planes`](crate::Modifier::auxiliary_planes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FormatPlane {
    /// Size of one block, the smallest group of pixels that starts on a byte.
    pub block_bytes: u8,
    /// Width of a block, in samples of this plane.
    pub block_width: u8,
    /// Height of a block, in samples of this plane.
    pub block_height: u8,
    /// How many pixels of the image share one sample of this plane, from left to right.
    pub horizontal_subsampling: u8,
    /// How many pixels of the image share one sample of this plane, from top to bottom.
    pub vertical_subsampling: u8,
    /// The channels of one block, from the most significant bits to the least significant.
    pub channels: &'static [Channel],
    /// The format of this plane when it is imported alone: `R8`, `GR88`, `R16`, `GR1616` for the planes of
    /// a `Y'CbCr` format, the format itself for a one-plane RGB format. `None` where no such format exists.
    ///
    /// Sampling `R16` or `GR1616` reads `P010` and its kin as full 16-bit numbers: the 10 or 12 significant
    /// bits are the upper ones, so white (1023) reads as 65472/65535, not as 1.0.
    pub single: Option<Format>,
}

impl FormatPlane {
    /// Bytes that hold one row of blocks of an image `width` pixels wide; partial blocks and partial
    /// samples count as whole ones. `None` when the number does not fit.
    #[must_use]
    pub const fn row_bytes(&self, width: u32) -> Option<u32> {
        let samples = width.div_ceil(self.horizontal_subsampling as u32);
        let blocks = samples.div_ceil(self.block_width as u32);
        blocks.checked_mul(self.block_bytes as u32)
    }

    /// Rows of blocks of an image `height` pixels high; partial ones count as whole.
    #[must_use]
    pub const fn rows(&self, height: u32) -> u32 {
        let samples = height.div_ceil(self.vertical_subsampling as u32);
        samples.div_ceil(self.block_height as u32)
    }
}

/// How OpenGL ES 3 names a format.
///
/// The three enumerants go to `glTexStorage2D` and `glTexSubImage2D`. OpenGL ES reads the bytes in one fixed
/// order only (red first). Formats in another order are uploaded as if they were red first, and their colours get their
/// right places when they are sampled: set `GL_TEXTURE_SWIZZLE_R`, `_G`, `_B` and `_A` to [`swizzle`](Self::swizzle).
/// That needs no extension; `GL_EXT_texture_format_BGRA8888` is not on every driver. A swizzle works for sampling only: a
/// texture that is rendered to, or read through a framebuffer, keeps the order of `internal_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct GlFormat {
    /// Sized internal format, such as `GL_RGBA8`.
    pub internal_format: u32,
    /// The internal format that decodes sRGB, such as `GL_SRGB8_ALPHA8`, where there is one.
    pub internal_format_srgb: Option<u32>,
    /// Format of the upload, such as `GL_RGBA`.
    pub format: u32,
    /// Type of the upload, such as `GL_UNSIGNED_BYTE`.
    pub kind: u32,
    /// `GL_TEXTURE_SWIZZLE_R`, `_G`, `_B` and `_A` that give the colours their places when sampling.
    pub swizzle: [u32; 4],
    /// Whether `internal_format` may name memory that Vulkan allocated for the same format
    /// (`glTexStorageMem2DEXT`). False where drivers may store the internal format in another
    /// layout than the packed one (three-byte pixels, 4:4:4:4 and 5:5:5:1): such formats can only be uploaded.
    pub shares_memory: bool,
    /// The extension that core OpenGL ES 3.0 needs for `internal_format`.
    pub extension: Option<&'static str>,
}

impl GlFormat {
    /// Whether red, green or blue change places when sampled, as in `ARGB8888`: a framebuffer knows no swizzle, and shows
    /// them where `internal_format` has them.
    #[must_use]
    pub const fn is_swizzled(&self) -> bool {
        let [red, green, blue, _] = self.swizzle;
        red != gl::RED || green != gl::GREEN || blue != gl::BLUE
    }

    /// Whether red and blue change places when sampled, as in `ARGB8888`.
    #[must_use]
    pub const fn swizzle_bgra(&self) -> bool {
        self.swizzle[0] == gl::BLUE && self.swizzle[2] == gl::RED
    }
}

/// The few OpenGL enumerants that the table needs (registry: gl.xml).
pub(super) mod gl {
    pub(crate) const ONE: u32 = 1;
    pub(crate) const UNSIGNED_BYTE: u32 = 0x1401;
    pub(crate) const UNSIGNED_SHORT: u32 = 0x1403;
    pub(crate) const RED: u32 = 0x1903;
    pub(crate) const GREEN: u32 = 0x1904;
    pub(crate) const BLUE: u32 = 0x1905;
    pub(crate) const ALPHA: u32 = 0x1906;
    pub(crate) const RGB: u32 = 0x1907;
    pub(crate) const RGBA: u32 = 0x1908;
    pub(crate) const HALF_FLOAT: u32 = 0x140B;
    pub(crate) const UNSIGNED_SHORT_4_4_4_4: u32 = 0x8033;
    pub(crate) const UNSIGNED_SHORT_5_5_5_1: u32 = 0x8034;
    pub(crate) const RGB8: u32 = 0x8051;
    pub(crate) const RGBA4: u32 = 0x8056;
    pub(crate) const RGB5_A1: u32 = 0x8057;
    pub(crate) const RGBA8: u32 = 0x8058;
    pub(crate) const RGB10_A2: u32 = 0x8059;
    pub(crate) const RGBA16: u32 = 0x805B;
    pub(crate) const RG: u32 = 0x8227;
    pub(crate) const R8: u32 = 0x8229;
    pub(crate) const R16: u32 = 0x822A;
    pub(crate) const RG8: u32 = 0x822B;
    pub(crate) const RG16: u32 = 0x822C;
    pub(crate) const UNSIGNED_SHORT_5_6_5: u32 = 0x8363;
    pub(crate) const UNSIGNED_INT_2_10_10_10_REV: u32 = 0x8368;
    pub(crate) const RGBA16F: u32 = 0x881A;
    pub(crate) const SRGB8: u32 = 0x8C41;
    pub(crate) const SRGB8_ALPHA8: u32 = 0x8C43;
    pub(crate) const RGB565: u32 = 0x8D62;
}

/// What is known about one [`Format`]; a row of [`Format::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FormatInfo {
    /// The format that this row describes.
    pub format: Format,
    /// Its name in the kernel's `drm_fourcc.h`, without `DRM_FORMAT_`.
    pub name: &'static str,
    /// Its planes, in memory order.
    pub planes: &'static [FormatPlane],
    /// The family of colours.
    pub color: ColorKind,
    /// How every channel is read.
    pub numeric: Numeric,
    /// Whether there is an alpha channel.
    pub alpha: bool,
    /// The `VkFormat` with the same bits in memory (on a little-endian machine). `None` where Vulkan has no
    /// such format. A format with padding instead of alpha shares the `VkFormat` of its
    /// [`alpha_twin`](Self::alpha_twin), so its alpha reads as whatever the padding holds, unless the view maps it to
    /// `VK_COMPONENT_SWIZZLE_ONE`.
    pub vk: Option<i32>,
    /// The `_SRGB` sibling of `vk`, where there is one.
    pub vk_srgb: Option<i32>,
    /// The OpenGL ES names, where it can express the format.
    pub gl: Option<GlFormat>,
}

impl FormatInfo {
    /// Bytes that hold one row of blocks of plane `plane` of an image `width` pixels wide.
    ///
    /// Partial blocks and partial samples count as whole ones. `None` when there is no such plane or the
    /// number does not fit 32 bits. The pitch of real memory is at least this.
    #[must_use]
    pub fn row_bytes(&self, plane: usize, width: u32) -> Option<u32> {
        self.planes.get(plane)?.row_bytes(width)
    }

    /// Rows of blocks in plane `plane` of an image `height` pixels high; `None` when there is no such plane.
    #[must_use]
    pub fn rows(&self, plane: usize, height: u32) -> Option<u32> {
        Some(self.planes.get(plane)?.rows(height))
    }

    /// Bits of `component`, 0 when the format has none. Chroma counts per sample.
    #[must_use]
    pub fn bits(&self, component: Component) -> u8 {
        let mut channels = self.planes.iter().flat_map(|plane| plane.channels);
        channels
            .find(|channel| channel.component == component)
            .map_or(0, |channel| channel.bits)
    }

    /// The format with the same channels in the same places but padding instead of alpha (`ARGB8888` gives
    /// `XRGB8888`). `None` when this one has no alpha or DRM defines no such format.
    #[must_use]
    pub fn opaque_twin(&self) -> Option<Format> {
        self.twin(Component::Alpha, Component::Padding)
    }

    /// The format with the same channels in the same places but alpha instead of padding (`XRGB8888` gives
    /// `ARGB8888`). `None` when this one has alpha already or DRM defines no such format.
    #[must_use]
    pub fn alpha_twin(&self) -> Option<Format> {
        if self.alpha {
            None
        } else {
            self.twin(Component::Padding, Component::Alpha)
        }
    }

    fn twin(&self, from: Component, to: Component) -> Option<Format> {
        let [plane] = self.planes else { return None };
        let mut channels = plane.channels.to_vec();
        let swapped = channels
            .iter_mut()
            .find(|channel| channel.component == from)?;
        swapped.component = to;
        let matches = |other: &&FormatInfo| {
            let [candidate] = other.planes else {
                return false;
            };
            other.numeric == self.numeric
                && candidate.channels == channels
                && FormatPlane {
                    single: None,
                    channels: &[],
                    ..*candidate
                } == FormatPlane {
                    single: None,
                    channels: &[],
                    ..*plane
                }
        };
        Format::ALL.iter().find(matches).map(|info| info.format)
    }
}
