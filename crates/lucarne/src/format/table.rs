//! The rows of the formats that hold red, green and blue, and the joined table.

use super::info::gl;
use super::row::{bytes, code, has_alpha, packed};
use super::yuv;
use super::{Channel, ColorKind, Component, Format, FormatInfo, FormatPlane, GlFormat, Numeric};

/// Short names, so that a row reads like the kernel's own comment on the format.
mod letters {
    use super::Component;

    pub(super) const R: Component = Component::Red;
    pub(super) const G: Component = Component::Green;
    pub(super) const B: Component = Component::Blue;
    pub(super) const A: Component = Component::Alpha;
    pub(super) const X: Component = Component::Padding;
}
use letters::{A, B, G, R, X};

/// A `VkFormat` and its `_SRGB` sibling.
type Vk = (Option<i32>, Option<i32>);

/// `VkFormat` numbers under their names in `vulkan_core.h`.
mod vk {
    use super::Vk;

    pub(super) const NONE: Vk = (None, None);
    pub(super) const R4G4B4A4_PACK16: Vk = (Some(2), None);
    pub(super) const B4G4R4A4_PACK16: Vk = (Some(3), None);
    pub(super) const R5G6B5_PACK16: Vk = (Some(4), None);
    pub(super) const B5G6R5_PACK16: Vk = (Some(5), None);
    pub(super) const R5G5B5A1_PACK16: Vk = (Some(6), None);
    pub(super) const B5G5R5A1_PACK16: Vk = (Some(7), None);
    pub(super) const A1R5G5B5_PACK16: Vk = (Some(8), None);
    pub(super) const R8: Vk = (Some(9), Some(15));
    pub(super) const R8G8: Vk = (Some(16), Some(22));
    pub(super) const R8G8B8: Vk = (Some(23), Some(29));
    pub(super) const B8G8R8: Vk = (Some(30), Some(36));
    pub(super) const R8G8B8A8: Vk = (Some(37), Some(43));
    pub(super) const B8G8R8A8: Vk = (Some(44), Some(50));
    pub(super) const A2R10G10B10_PACK32: Vk = (Some(58), None);
    pub(super) const A2B10G10R10_PACK32: Vk = (Some(64), None);
    pub(super) const R16: Vk = (Some(70), None);
    pub(super) const R16G16: Vk = (Some(77), None);
    pub(super) const R16G16B16A16: Vk = (Some(91), None);
    pub(super) const R16G16B16A16_SFLOAT: Vk = (Some(97), None);
    pub(super) const R10X6G10X6B10X6A10X6_4PACK16: Vk = (Some(1_000_156_009), None);
    /// Vulkan 1.3, or `VK_EXT_4444_formats`.
    pub(super) const A4R4G4B4_PACK16: Vk = (Some(1_000_340_000), None);
    /// Vulkan 1.3, or `VK_EXT_4444_formats`.
    pub(super) const A4B4G4R4_PACK16: Vk = (Some(1_000_340_001), None);
    /// Vulkan 1.4, or `VK_KHR_maintenance5`.
    pub(super) const A1B5G5R5_PACK16: Vk = (Some(1_000_470_000), None);
}

/// A way that OpenGL ES reads pixels.
#[derive(Clone, Copy)]
struct Upload {
    internal_format: u32,
    internal_format_srgb: Option<u32>,
    format: u32,
    kind: u32,
    /// Whether the first component is in the least significant bits.
    low_first: bool,
    shares_memory: bool,
    extension: Option<&'static str>,
}

const fn upload(internal_format: u32, format: u32, kind: u32) -> Upload {
    let (low_first, shares_memory) = (true, true);
    Upload {
        internal_format,
        internal_format_srgb: None,
        format,
        kind,
        low_first,
        shares_memory,
        extension: None,
    }
}

const fn high_first(upload: Upload) -> Upload {
    Upload {
        low_first: false,
        ..upload
    }
}

/// Drivers may store these in another layout than the one they are uploaded in.
const fn upload_only(upload: Upload) -> Upload {
    Upload {
        shares_memory: false,
        ..upload
    }
}

const fn norm16(upload: Upload) -> Upload {
    Upload {
        extension: Some("GL_EXT_texture_norm16"),
        ..upload
    }
}

const NO_GL: Option<Upload> = None;
const R8: Option<Upload> = Some(upload(gl::R8, gl::RED, gl::UNSIGNED_BYTE));
const RG8: Option<Upload> = Some(upload(gl::RG8, gl::RG, gl::UNSIGNED_BYTE));
const RGB8: Option<Upload> = Some(Upload {
    internal_format_srgb: Some(gl::SRGB8),
    ..upload_only(upload(gl::RGB8, gl::RGB, gl::UNSIGNED_BYTE))
});
const RGBA8: Option<Upload> = Some(Upload {
    internal_format_srgb: Some(gl::SRGB8_ALPHA8),
    ..upload(gl::RGBA8, gl::RGBA, gl::UNSIGNED_BYTE)
});
const RGB565: Option<Upload> = Some(high_first(upload(
    gl::RGB565,
    gl::RGB,
    gl::UNSIGNED_SHORT_5_6_5,
)));
const RGBA4: Option<Upload> = Some(upload_only(high_first(upload(
    gl::RGBA4,
    gl::RGBA,
    gl::UNSIGNED_SHORT_4_4_4_4,
))));
const RGB5_A1: Option<Upload> = Some(upload_only(high_first(upload(
    gl::RGB5_A1,
    gl::RGBA,
    gl::UNSIGNED_SHORT_5_5_5_1,
))));
const RGB10_A2: Option<Upload> = Some(upload(
    gl::RGB10_A2,
    gl::RGBA,
    gl::UNSIGNED_INT_2_10_10_10_REV,
));
const R16: Option<Upload> = Some(norm16(upload(gl::R16, gl::RED, gl::UNSIGNED_SHORT)));
const RG16: Option<Upload> = Some(norm16(upload(gl::RG16, gl::RG, gl::UNSIGNED_SHORT)));
const RGBA16: Option<Upload> = Some(norm16(upload(gl::RGBA16, gl::RGBA, gl::UNSIGNED_SHORT)));
const RGBA16F: Option<Upload> = Some(upload(gl::RGBA16F, gl::RGBA, gl::HALF_FLOAT));

/// Finds where each colour lands when the channels are uploaded this way. A colour that the format lacks
/// keeps its own place, where OpenGL reads 0; a missing alpha is 1.
const fn swizzle(channels: &[Channel], low_first: bool) -> [u32; 4] {
    let places = [gl::RED, gl::GREEN, gl::BLUE, gl::ALPHA];
    let mut swizzle = [gl::RED, gl::GREEN, gl::BLUE, gl::ONE];
    let mut index = 0;
    while index < channels.len() {
        let place = places[if low_first {
            channels.len() - 1 - index
        } else {
            index
        }];
        match channels[index].component {
            Component::Red => swizzle[0] = place,
            Component::Green => swizzle[1] = place,
            Component::Blue => swizzle[2] = place,
            Component::Alpha => swizzle[3] = place,
            _ => {}
        }
        index += 1;
    }
    swizzle
}

const fn gl_format(upload: Option<Upload>, channels: &[Channel], vk: Vk) -> Option<GlFormat> {
    let Some(upload) = upload else { return None };
    let swizzle = swizzle(channels, upload.low_first);
    // OpenGL never decodes the fourth component, so a colour there would stay encoded.
    let colours_first =
        swizzle[0] != gl::ALPHA && swizzle[1] != gl::ALPHA && swizzle[2] != gl::ALPHA;
    Some(GlFormat {
        internal_format: upload.internal_format,
        internal_format_srgb: if colours_first {
            upload.internal_format_srgb
        } else {
            None
        },
        format: upload.format,
        kind: upload.kind,
        swizzle,
        shares_memory: upload.shares_memory && vk.0.is_some(),
        extension: upload.extension,
    })
}

macro_rules! rgb {
    ($($name:ident $code:literal [$($component:ident $bits:literal),+] $numeric:ident, $vk:expr, $upload:expr;)+) => {
        impl Format {
            $(
                #[doc = concat!("`", $code, "`: `", stringify!($($component:$bits)+), "`, one plane.")]
                pub const $name: Self = code($code);
            )+
        }

        const RGB: &[FormatInfo] = &[$({
            const CHANNELS: &[Channel] = &packed([$(($component, $bits)),+]);
            const VK: Vk = $vk;
            FormatInfo {
                format: Format::$name,
                name: stringify!($name),
                planes: &[FormatPlane {
                    block_bytes: bytes(CHANNELS),
                    block_width: 1,
                    block_height: 1,
                    horizontal_subsampling: 1,
                    vertical_subsampling: 1,
                    channels: CHANNELS,
                    single: Some(Format::$name),
                }],
                color: ColorKind::Rgb,
                numeric: Numeric::$numeric,
                alpha: has_alpha(CHANNELS),
                vk: VK.0,
                vk_srgb: VK.1,
                gl: gl_format($upload, CHANNELS, VK),
            }
        }),+];
    };
}

rgb! {
    R8 "R8  " [R 8] Unorm, vk::R8, R8;
    R10 "R10 " [X 6, R 10] Unorm, vk::NONE, NO_GL;
    R12 "R12 " [X 4, R 12] Unorm, vk::NONE, NO_GL;
    R16 "R16 " [R 16] Unorm, vk::R16, R16;
    GR88 "GR88" [G 8, R 8] Unorm, vk::R8G8, RG8;
    RG88 "RG88" [R 8, G 8] Unorm, vk::NONE, RG8;
    GR1616 "GR32" [G 16, R 16] Unorm, vk::R16G16, RG16;
    RG1616 "RG32" [R 16, G 16] Unorm, vk::NONE, RG16;

    XRGB4444 "XR12" [X 4, R 4, G 4, B 4] Unorm, vk::A4R4G4B4_PACK16, RGBA4;
    XBGR4444 "XB12" [X 4, B 4, G 4, R 4] Unorm, vk::A4B4G4R4_PACK16, RGBA4;
    RGBX4444 "RX12" [R 4, G 4, B 4, X 4] Unorm, vk::R4G4B4A4_PACK16, RGBA4;
    BGRX4444 "BX12" [B 4, G 4, R 4, X 4] Unorm, vk::B4G4R4A4_PACK16, RGBA4;
    ARGB4444 "AR12" [A 4, R 4, G 4, B 4] Unorm, vk::A4R4G4B4_PACK16, RGBA4;
    ABGR4444 "AB12" [A 4, B 4, G 4, R 4] Unorm, vk::A4B4G4R4_PACK16, RGBA4;
    RGBA4444 "RA12" [R 4, G 4, B 4, A 4] Unorm, vk::R4G4B4A4_PACK16, RGBA4;
    BGRA4444 "BA12" [B 4, G 4, R 4, A 4] Unorm, vk::B4G4R4A4_PACK16, RGBA4;

    XRGB1555 "XR15" [X 1, R 5, G 5, B 5] Unorm, vk::A1R5G5B5_PACK16, NO_GL;
    XBGR1555 "XB15" [X 1, B 5, G 5, R 5] Unorm, vk::A1B5G5R5_PACK16, NO_GL;
    RGBX5551 "RX15" [R 5, G 5, B 5, X 1] Unorm, vk::R5G5B5A1_PACK16, RGB5_A1;
    BGRX5551 "BX15" [B 5, G 5, R 5, X 1] Unorm, vk::B5G5R5A1_PACK16, RGB5_A1;
    ARGB1555 "AR15" [A 1, R 5, G 5, B 5] Unorm, vk::A1R5G5B5_PACK16, NO_GL;
    ABGR1555 "AB15" [A 1, B 5, G 5, R 5] Unorm, vk::A1B5G5R5_PACK16, NO_GL;
    RGBA5551 "RA15" [R 5, G 5, B 5, A 1] Unorm, vk::R5G5B5A1_PACK16, RGB5_A1;
    BGRA5551 "BA15" [B 5, G 5, R 5, A 1] Unorm, vk::B5G5R5A1_PACK16, RGB5_A1;

    RGB565 "RG16" [R 5, G 6, B 5] Unorm, vk::R5G6B5_PACK16, RGB565;
    BGR565 "BG16" [B 5, G 6, R 5] Unorm, vk::B5G6R5_PACK16, RGB565;
    RGB888 "RG24" [R 8, G 8, B 8] Unorm, vk::B8G8R8, RGB8;
    BGR888 "BG24" [B 8, G 8, R 8] Unorm, vk::R8G8B8, RGB8;

    XRGB8888 "XR24" [X 8, R 8, G 8, B 8] Unorm, vk::B8G8R8A8, RGBA8;
    XBGR8888 "XB24" [X 8, B 8, G 8, R 8] Unorm, vk::R8G8B8A8, RGBA8;
    RGBX8888 "RX24" [R 8, G 8, B 8, X 8] Unorm, vk::NONE, RGBA8;
    BGRX8888 "BX24" [B 8, G 8, R 8, X 8] Unorm, vk::NONE, RGBA8;
    ARGB8888 "AR24" [A 8, R 8, G 8, B 8] Unorm, vk::B8G8R8A8, RGBA8;
    ABGR8888 "AB24" [A 8, B 8, G 8, R 8] Unorm, vk::R8G8B8A8, RGBA8;
    RGBA8888 "RA24" [R 8, G 8, B 8, A 8] Unorm, vk::NONE, RGBA8;
    BGRA8888 "BA24" [B 8, G 8, R 8, A 8] Unorm, vk::NONE, RGBA8;

    XRGB2101010 "XR30" [X 2, R 10, G 10, B 10] Unorm, vk::A2R10G10B10_PACK32, RGB10_A2;
    XBGR2101010 "XB30" [X 2, B 10, G 10, R 10] Unorm, vk::A2B10G10R10_PACK32, RGB10_A2;
    RGBX1010102 "RX30" [R 10, G 10, B 10, X 2] Unorm, vk::NONE, NO_GL;
    BGRX1010102 "BX30" [B 10, G 10, R 10, X 2] Unorm, vk::NONE, NO_GL;
    ARGB2101010 "AR30" [A 2, R 10, G 10, B 10] Unorm, vk::A2R10G10B10_PACK32, RGB10_A2;
    ABGR2101010 "AB30" [A 2, B 10, G 10, R 10] Unorm, vk::A2B10G10R10_PACK32, RGB10_A2;
    RGBA1010102 "RA30" [R 10, G 10, B 10, A 2] Unorm, vk::NONE, NO_GL;
    BGRA1010102 "BA30" [B 10, G 10, R 10, A 2] Unorm, vk::NONE, NO_GL;

    XRGB16161616 "XR48" [X 16, R 16, G 16, B 16] Unorm, vk::NONE, RGBA16;
    XBGR16161616 "XB48" [X 16, B 16, G 16, R 16] Unorm, vk::R16G16B16A16, RGBA16;
    ARGB16161616 "AR48" [A 16, R 16, G 16, B 16] Unorm, vk::NONE, RGBA16;
    ABGR16161616 "AB48" [A 16, B 16, G 16, R 16] Unorm, vk::R16G16B16A16, RGBA16;
    XRGB16161616F "XR4H" [X 16, R 16, G 16, B 16] Float, vk::NONE, RGBA16F;
    XBGR16161616F "XB4H" [X 16, B 16, G 16, R 16] Float, vk::R16G16B16A16_SFLOAT, RGBA16F;
    ARGB16161616F "AR4H" [A 16, R 16, G 16, B 16] Float, vk::NONE, RGBA16F;
    ABGR16161616F "AB4H" [A 16, B 16, G 16, R 16] Float, vk::R16G16B16A16_SFLOAT, RGBA16F;
    AXBXGXRX106106106106 "AB10" [A 10, X 6, B 10, X 6, G 10, X 6, R 10, X 6] Unorm,
        vk::R10X6G10X6B10X6A10X6_4PACK16, NO_GL;
}

const COUNT: usize = RGB.len() + yuv::ROWS.len();

/// Every row: first the RGB ones, then the `Y'CbCr` ones.
pub(super) const ALL: &[FormatInfo] = &{
    let mut all = [RGB[0]; COUNT];
    let mut index = 0;
    while index < COUNT {
        all[index] = if index < RGB.len() {
            RGB[index]
        } else {
            yuv::ROWS[index - RGB.len()]
        };
        index += 1;
    }
    all
};
