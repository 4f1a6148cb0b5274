//! Versions, and the numbers that mean something.

use std::ffi::c_char;

use lucarne::{Format, Tiling};

use super::guard;

/// The version of this header: `LUCARNE_VERSION_MAJOR`.`LUCARNE_VERSION_MINOR`.`LUCARNE_VERSION_PATCH`.
pub const LUCARNE_VERSION_MAJOR: u32 = 0;
/// Before 1.0 each minor version has an ABI of its own, and a SONAME of its own.
pub const LUCARNE_VERSION_MINOR: u32 = 1;
/// Patches change no ABI.
pub const LUCARNE_VERSION_PATCH: u32 = 0;

/// A dma-buf.
pub const LUCARNE_PATH_DMA_BUF: u32 = 1;
/// Memory that only the driver which exported it understands.
pub const LUCARNE_PATH_OPAQUE_FD: u32 = 2;
/// A sealed memfd.
pub const LUCARNE_PATH_HOST_MEMORY: u32 = 3;

/// Draws into it.
pub const LUCARNE_USAGE_RENDER: u32 = 1;
/// Samples it in a shader.
pub const LUCARNE_USAGE_SAMPLE: u32 = 2;
/// Copies out of it; in OpenGL, reads it through a framebuffer.
pub const LUCARNE_USAGE_TRANSFER_SOURCE: u32 = 4;
/// Copies or clears into it.
pub const LUCARNE_USAGE_TRANSFER_DESTINATION: u32 = 8;
/// Reads and writes single pixels in a shader.
pub const LUCARNE_USAGE_STORAGE: u32 = 16;

/// A fence passes as a sync_file: the other device waits.
pub const LUCARNE_FENCE_PATH_SYNC_FILE: u32 = 1;
/// A fence cannot pass: the CPU waits.
pub const LUCARNE_FENCE_PATH_CPU_WAIT: u32 = 2;

/// Gates the reader: signals when the writers' work is done.
pub const LUCARNE_FENCE_ROLE_ACQUIRE: u32 = 1;
/// Gates the writer: signals when the readers' work is done.
pub const LUCARNE_FENCE_ROLE_RELEASE: u32 = 2;

/// Drawing, in `VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL`.
pub const LUCARNE_ACCESS_COLOR_ATTACHMENT: u32 = 1;
/// Copies and clears into it, in `VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL`.
pub const LUCARNE_ACCESS_TRANSFER_DESTINATION: u32 = 2;
/// Copies out of it, in `VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL`. Does not write.
pub const LUCARNE_ACCESS_TRANSFER_SOURCE: u32 = 3;
/// Sampling in any shader, in `VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL`. Does not write.
pub const LUCARNE_ACCESS_SAMPLED: u32 = 4;
/// Reads and writes in compute shaders, in `VK_IMAGE_LAYOUT_GENERAL`.
pub const LUCARNE_ACCESS_STORAGE: u32 = 5;

/// The newest frame: what a display wants. Frames that were not taken in time are dropped.
pub const LUCARNE_DELIVERY_LATEST: u32 = 1;
/// Each frame, in order: what a recorder wants.
pub const LUCARNE_DELIVERY_EVERY: u32 = 2;

/// `DRM_FORMAT_XRGB8888`. Every format is DRM's code, as in `drm_fourcc.h`; these are the usual ones.
pub const LUCARNE_FORMAT_XRGB8888: u32 = 0x3432_5258;
/// `DRM_FORMAT_XBGR8888`.
pub const LUCARNE_FORMAT_XBGR8888: u32 = 0x3432_4258;
/// `DRM_FORMAT_ARGB8888`.
pub const LUCARNE_FORMAT_ARGB8888: u32 = 0x3432_5241;
/// `DRM_FORMAT_ABGR8888`.
pub const LUCARNE_FORMAT_ABGR8888: u32 = 0x3432_4241;
/// `DRM_FORMAT_NV12`.
pub const LUCARNE_FORMAT_NV12: u32 = 0x3231_564e;

/// `DRM_FORMAT_MOD_LINEAR`. Every modifier is DRM's code.
pub const LUCARNE_MODIFIER_LINEAR: u64 = 0;
/// `DRM_FORMAT_MOD_INVALID`: a layout that only the driver knows, which allocated the memory.
pub const LUCARNE_MODIFIER_INVALID: u64 = 0x00ff_ffff_ffff_ffff;

/// The most memory planes that a frame has.
pub const LUCARNE_MAX_PLANES: u32 = 4;
/// The most damage rectangles of a frame.
pub const LUCARNE_MAX_DAMAGE: u32 = 4;

/// The version of the library that runs: major in bits 16 and up, minor in bits 8 to 15, patch in bits 0 to 7. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_version() -> u32 {
    (LUCARNE_VERSION_MAJOR << 16) | (LUCARNE_VERSION_MINOR << 8) | LUCARNE_VERSION_PATCH
}

/// The time on `CLOCK_MONOTONIC` in nanoseconds, which timestamps are on. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn lucarne_now() -> u64 {
    guard::plain(0, || crate::convert::nanoseconds(lucarne_stream::now()))
}

/// Writes a format's name, as much of it as fits into `size` bytes with a NUL behind it. Returns how many bytes the whole name has
/// without the NUL, as `snprintf` does. Any thread.
///
/// # Safety
///
/// `text` is `NULL`, or has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_format_name(format: u32, text: *mut c_char, size: usize) -> usize {
    guard::plain(0, || {
        let name = Format::from_fourcc(format).to_string();
        // SAFETY: this function's contract.
        unsafe { guard::write_text(&name, text, size) }
    })
}

/// Writes a modifier's name, which says what its bits mean. Otherwise as `lucarne_format_name`. Any thread.
///
/// # Safety
///
/// `text` is `NULL`, or has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lucarne_modifier_name(
    modifier: u64,
    text: *mut c_char,
    size: usize,
) -> usize {
    guard::plain(0, || {
        let name = Tiling::from_code(modifier).to_string();
        // SAFETY: this function's contract.
        unsafe { guard::write_text(&name, text, size) }
    })
}

#[cfg(test)]
mod tests {
    use lucarne::{MAX_PLANES, Modifier};

    use super::*;

    #[test]
    fn numbers_are_the_cores() {
        let formats = [
            (LUCARNE_FORMAT_XRGB8888, Format::XRGB8888),
            (LUCARNE_FORMAT_XBGR8888, Format::XBGR8888),
            (LUCARNE_FORMAT_ARGB8888, Format::ARGB8888),
            (LUCARNE_FORMAT_ABGR8888, Format::ABGR8888),
            (LUCARNE_FORMAT_NV12, Format::NV12),
        ];
        for (code, format) in formats {
            assert_eq!(code, format.fourcc(), "{format}");
        }
        assert_eq!(LUCARNE_MODIFIER_LINEAR, Modifier::LINEAR.code());
        assert_eq!(LUCARNE_MODIFIER_INVALID, Tiling::Implicit.code());
        assert_eq!(LUCARNE_MAX_PLANES as usize, MAX_PLANES);
        assert_eq!(LUCARNE_MAX_DAMAGE as usize, lucarne_stream::MAX_DAMAGE);
    }

    #[test]
    fn the_version_is_the_packages() {
        let version =
            format!("{LUCARNE_VERSION_MAJOR}.{LUCARNE_VERSION_MINOR}.{LUCARNE_VERSION_PATCH}");
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
    }
}
