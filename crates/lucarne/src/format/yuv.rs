//! The rows of the `Y'CbCr` formats.
//!
//! A `VkFormat` stands here only where Vulkan's own reading (green is luma, blue is Cb, red is Cr) meets the
//! bits as they are. Formats that differ by the order of chroma alone (`NV21`, `YVU420`) would need a swizzle
//! in the sampler conversion, so they have none; nor has OpenGL a name for any: import plane by plane, see
//! [`FormatPlane::single`].

use super::row::{bytes, code, has_alpha, packed};
use super::{Channel, ColorKind, Component, Format, FormatInfo, FormatPlane, Numeric};

const Y: Component = Component::Luma;
const U: Component = Component::Cb;
const V: Component = Component::Cr;
const A: Component = Component::Alpha;
const X: Component = Component::Padding;

/// First format of `VK_KHR_sampler_ycbcr_conversion`, in Vulkan 1.1.
const YCBCR: i32 = 1_000_156_000;
/// First format of `VK_EXT_ycbcr_2plane_444_formats`, in Vulkan 1.3.
const TWO_PLANE_444: i32 = 1_000_330_000;

const R8: Option<Format> = Some(Format::R8);
const R16: Option<Format> = Some(Format::R16);
const GR88: Option<Format> = Some(Format::GR88);
const GR1616: Option<Format> = Some(Format::GR1616);

/// One plane: pixels that share a sample (across, down), samples in a block, channels, the plane alone.
macro_rules! plane {
    (($across:literal, $down:literal, $width:literal) [$($component:ident $bits:literal),+] $single:expr) => {{
        const CHANNELS: &[Channel] = &packed([$(($component, $bits)),+]);
        FormatPlane {
            block_bytes: bytes(CHANNELS),
            block_width: $width,
            block_height: 1,
            horizontal_subsampling: $across,
            vertical_subsampling: $down,
            channels: CHANNELS,
            single: $single,
        }
    }};
}

macro_rules! yuv {
    ($($name:ident $code:literal $vk:expr, { $($size:tt $channels:tt $single:expr),+ };)+) => {
        impl Format {
            $(
                #[doc = concat!("`", $code, "`: `", $(stringify!($channels), " ",)+ "`.")]
                pub const $name: Self = code($code);
            )+
        }

        pub(super) const ROWS: &[FormatInfo] = &[$({
            const PLANES: &[FormatPlane] = &[$(plane!($size $channels $single)),+];
            FormatInfo {
                format: Format::$name,
                name: stringify!($name),
                planes: PLANES,
                color: ColorKind::Yuv,
                numeric: Numeric::Unorm,
                alpha: has_alpha(PLANES[0].channels),
                vk: $vk,
                vk_srgb: None,
                gl: None,
            }
        }),+];
    };
}

yuv! {
    // One plane, two pixels in a block.
    YUYV "YUYV" Some(YCBCR), { (1, 1, 2) [V 8, Y 8, U 8, Y 8] None };
    YVYU "YVYU" None, { (1, 1, 2) [U 8, Y 8, V 8, Y 8] None };
    UYVY "UYVY" Some(YCBCR + 1), { (1, 1, 2) [Y 8, V 8, Y 8, U 8] None };
    VYUY "VYUY" None, { (1, 1, 2) [Y 8, U 8, Y 8, V 8] None };
    Y210 "Y210" Some(YCBCR + 10), { (1, 1, 2) [V 10, X 6, Y 10, X 6, U 10, X 6, Y 10, X 6] None };
    Y212 "Y212" Some(YCBCR + 20), { (1, 1, 2) [V 12, X 4, Y 12, X 4, U 12, X 4, Y 12, X 4] None };
    Y216 "Y216" Some(YCBCR + 27), { (1, 1, 2) [V 16, Y 16, U 16, Y 16] None };

    // One plane, one pixel in a block.
    AYUV "AYUV" None, { (1, 1, 1) [A 8, Y 8, U 8, V 8] None };
    AVUY8888 "AVUY" None, { (1, 1, 1) [A 8, V 8, U 8, Y 8] None };
    XYUV8888 "XYUV" None, { (1, 1, 1) [X 8, Y 8, U 8, V 8] None };
    XVUY8888 "XVUY" None, { (1, 1, 1) [X 8, V 8, U 8, Y 8] None };
    VUY888 "VU24" None, { (1, 1, 1) [V 8, U 8, Y 8] None };
    Y410 "Y410" None, { (1, 1, 1) [A 2, V 10, Y 10, U 10] None };
    Y412 "Y412" None, { (1, 1, 1) [A 12, X 4, V 12, X 4, Y 12, X 4, U 12, X 4] None };
    Y416 "Y416" None, { (1, 1, 1) [A 16, V 16, Y 16, U 16] None };
    XVYU2101010 "XV30" None, { (1, 1, 1) [X 2, V 10, Y 10, U 10] None };
    XVYU12_16161616 "XV36" None, { (1, 1, 1) [X 12, X 4, V 12, X 4, Y 12, X 4, U 12, X 4] None };
    XVYU16161616 "XV48" None, { (1, 1, 1) [X 16, V 16, Y 16, U 16] None };

    // Luma, then both chroma channels in one plane.
    NV12 "NV12" Some(YCBCR + 3), { (1, 1, 1) [Y 8] R8, (2, 2, 1) [V 8, U 8] GR88 };
    NV21 "NV21" None, { (1, 1, 1) [Y 8] R8, (2, 2, 1) [U 8, V 8] GR88 };
    NV16 "NV16" Some(YCBCR + 5), { (1, 1, 1) [Y 8] R8, (2, 1, 1) [V 8, U 8] GR88 };
    NV61 "NV61" None, { (1, 1, 1) [Y 8] R8, (2, 1, 1) [U 8, V 8] GR88 };
    NV24 "NV24" Some(TWO_PLANE_444), { (1, 1, 1) [Y 8] R8, (1, 1, 1) [V 8, U 8] GR88 };
    NV42 "NV42" None, { (1, 1, 1) [Y 8] R8, (1, 1, 1) [U 8, V 8] GR88 };
    NV15 "NV15" None, { (1, 1, 4) [Y 10, Y 10, Y 10, Y 10] None, (2, 2, 2) [V 10, U 10, V 10, U 10] None };
    NV20 "NV20" None, { (1, 1, 4) [Y 10, Y 10, Y 10, Y 10] None, (2, 1, 2) [V 10, U 10, V 10, U 10] None };
    NV30 "NV30" None, { (1, 1, 4) [Y 10, Y 10, Y 10, Y 10] None, (1, 1, 2) [V 10, U 10, V 10, U 10] None };
    P010 "P010" Some(YCBCR + 13), { (1, 1, 1) [Y 10, X 6] R16, (2, 2, 1) [V 10, X 6, U 10, X 6] GR1616 };
    P012 "P012" Some(YCBCR + 23), { (1, 1, 1) [Y 12, X 4] R16, (2, 2, 1) [V 12, X 4, U 12, X 4] GR1616 };
    P016 "P016" Some(YCBCR + 30), { (1, 1, 1) [Y 16] R16, (2, 2, 1) [V 16, U 16] GR1616 };
    P210 "P210" Some(YCBCR + 15), { (1, 1, 1) [Y 10, X 6] R16, (2, 1, 1) [V 10, X 6, U 10, X 6] GR1616 };
    P030 "P030" None, {
        (1, 1, 3) [X 2, Y 10, Y 10, Y 10] None,
        (2, 2, 3) [X 2, V 10, U 10, V 10, X 2, U 10, V 10, U 10] None
    };

    // Three planes.
    Q410 "Q410" Some(YCBCR + 16), {
        (1, 1, 1) [Y 10, X 6] R16, (1, 1, 1) [U 10, X 6] R16, (1, 1, 1) [V 10, X 6] R16
    };
    Q401 "Q401" None, {
        (1, 1, 1) [Y 10, X 6] R16, (1, 1, 1) [V 10, X 6] R16, (1, 1, 1) [U 10, X 6] R16
    };
    YUV410 "YUV9" None, { (1, 1, 1) [Y 8] R8, (4, 4, 1) [U 8] R8, (4, 4, 1) [V 8] R8 };
    YVU410 "YVU9" None, { (1, 1, 1) [Y 8] R8, (4, 4, 1) [V 8] R8, (4, 4, 1) [U 8] R8 };
    YUV411 "YU11" None, { (1, 1, 1) [Y 8] R8, (4, 1, 1) [U 8] R8, (4, 1, 1) [V 8] R8 };
    YVU411 "YV11" None, { (1, 1, 1) [Y 8] R8, (4, 1, 1) [V 8] R8, (4, 1, 1) [U 8] R8 };
    YUV420 "YU12" Some(YCBCR + 2), { (1, 1, 1) [Y 8] R8, (2, 2, 1) [U 8] R8, (2, 2, 1) [V 8] R8 };
    YVU420 "YV12" None, { (1, 1, 1) [Y 8] R8, (2, 2, 1) [V 8] R8, (2, 2, 1) [U 8] R8 };
    YUV422 "YU16" Some(YCBCR + 4), { (1, 1, 1) [Y 8] R8, (2, 1, 1) [U 8] R8, (2, 1, 1) [V 8] R8 };
    YVU422 "YV16" None, { (1, 1, 1) [Y 8] R8, (2, 1, 1) [V 8] R8, (2, 1, 1) [U 8] R8 };
    YUV444 "YU24" Some(YCBCR + 6), { (1, 1, 1) [Y 8] R8, (1, 1, 1) [U 8] R8, (1, 1, 1) [V 8] R8 };
    YVU444 "YV24" None, { (1, 1, 1) [Y 8] R8, (1, 1, 1) [V 8] R8, (1, 1, 1) [U 8] R8 };
}
