//! wgpu's words for Lucarne's, and back.

use lucarne::vulkan::Access;
use lucarne::{Extent, Format, Requirement, Result, Usage};
use wgpu::{Features, TextureFormat, TextureUsages, TextureUses};

use crate::error::unsupported;

/// DRM's formats beside wgpu's. Of two for one format of wgpu's the first has alpha, the second padding in its place.
const FORMATS: [(Format, TextureFormat); 14] = [
    (Format::R8, TextureFormat::R8Unorm),
    (Format::GR88, TextureFormat::Rg8Unorm),
    (Format::R16, TextureFormat::R16Unorm),
    (Format::GR1616, TextureFormat::Rg16Unorm),
    (Format::ABGR8888, TextureFormat::Rgba8Unorm),
    (Format::XBGR8888, TextureFormat::Rgba8Unorm),
    (Format::ARGB8888, TextureFormat::Bgra8Unorm),
    (Format::XRGB8888, TextureFormat::Bgra8Unorm),
    (Format::ABGR2101010, TextureFormat::Rgb10a2Unorm),
    (Format::XBGR2101010, TextureFormat::Rgb10a2Unorm),
    (Format::ABGR16161616, TextureFormat::Rgba16Unorm),
    (Format::XBGR16161616, TextureFormat::Rgba16Unorm),
    (Format::ABGR16161616F, TextureFormat::Rgba16Float),
    (Format::XBGR16161616F, TextureFormat::Rgba16Float),
];

/// Usages, and the state in which a texture of wgpu's changes hands: the first that a texture has decides.
const USAGES: [(Usage, TextureUsages, TextureUses, Access); 5] = [
    (
        Usage::RENDER,
        TextureUsages::RENDER_ATTACHMENT,
        TextureUses::COLOR_TARGET,
        Access::ColorAttachment,
    ),
    (
        Usage::SAMPLE,
        TextureUsages::TEXTURE_BINDING,
        TextureUses::RESOURCE,
        Access::Sampled,
    ),
    (
        Usage::TRANSFER_SOURCE,
        TextureUsages::COPY_SRC,
        TextureUses::COPY_SRC,
        Access::TransferSource,
    ),
    (
        Usage::TRANSFER_DESTINATION,
        TextureUsages::COPY_DST,
        TextureUses::COPY_DST,
        Access::TransferDestination,
    ),
    (
        Usage::STORAGE,
        TextureUsages::STORAGE_BINDING,
        TextureUses::STORAGE_READ_WRITE,
        Access::Storage,
    ),
];

/// The format of a texture in which a frame's numbers are read as they are, or `None` where wgpu has none: 4, 5 and 6 bit
/// colours, red above blue in 10 bits, and `Y'CbCr` as a whole.
///
/// ```
/// use lucarne_wgpu::convert::texture_format;
/// use lucarne_wgpu::{lucarne::Format, wgpu::TextureFormat};
///
/// assert_eq!(texture_format(Format::XRGB8888), Some(TextureFormat::Bgra8Unorm));
/// assert_eq!(texture_format(Format::NV12), None);
/// ```
pub fn texture_format(format: Format) -> Option<TextureFormat> {
    let row = FORMATS.iter().find(|(known, _)| *known == format);
    row.map(|(_, texture)| *texture)
}

/// The format of a frame that a texture of wgpu's has, with alpha where it has four channels. sRGB formats are stored as their
/// linear siblings are: a frame's [colour](lucarne::color) says how its numbers are meant.
pub fn format(texture: TextureFormat) -> Option<Format> {
    let stored = texture.remove_srgb_suffix();
    let row = FORMATS.iter().find(|(_, known)| *known == stored);
    row.map(|(format, _)| *format)
}

/// What a texture must be created for to be used as `usage` says.
pub fn texture_usages(usage: Usage) -> TextureUsages {
    let wanted = USAGES.iter().filter(|row| usage.contains(row.0));
    wanted.fold(TextureUsages::empty(), |all, row| all | row.1)
}

/// What is done with a texture of these usages. wgpu's usages for memory that never leaves the device have no word here.
pub fn usage(usages: TextureUsages) -> Usage {
    let named = USAGES.iter().filter(|row| usages.contains(row.1));
    named.fold(Usage::empty(), |all, row| all | row.0)
}

/// The state in which a texture that is made for `usage` changes hands, in both sides' words: their layouts are the same.
pub(crate) fn state(usage: Usage) -> Option<(TextureUses, Access)> {
    let row = USAGES.iter().find(|row| usage.contains(row.0));
    row.map(|row| (row.2, row.3))
}

/// All that wgpu tracks of a texture made for `usage`.
pub(crate) fn texture_uses(usage: Usage) -> TextureUses {
    let wanted = USAGES.iter().filter(|row| usage.contains(row.0));
    wanted.fold(TextureUses::empty(), |all, row| all | row.2)
}

/// What a device with these features lets textures of this format be used for, or `None` where it has no such textures.
pub(crate) fn allowed(texture: TextureFormat, features: Features) -> Option<Usage> {
    if !features.contains(texture.required_features()) {
        return None;
    }
    if features.contains(Features::TEXTURE_ADAPTER_SPECIFIC_FORMAT_FEATURES) {
        // The driver's own answer is in the offer.
        return Some(Usage::all());
    }
    let guaranteed = texture.guaranteed_format_features(features);
    Some(usage(guaranteed.allowed_usages))
}

/// The texture format for a frame's format and `usages`, or what the device lacks for it.
pub(crate) fn require(
    format: Format,
    texture: Option<TextureFormat>,
    usages: Usage,
    features: Features,
) -> Result<TextureFormat> {
    let what = || format!("a wgpu::Texture of {format} for {usages}");
    let Some(texture) = texture else {
        let known: Vec<String> = FORMATS.iter().map(|row| row.0.to_string()).collect();
        let known = known.join(", ");
        let reason = format!(
            "needs one of the formats that wgpu has: {known}; planes of Y'CbCr: Device::import_planes"
        );
        return Err(unsupported(what(), Requirement::other(reason)));
    };
    let Some(allowed) = allowed(texture, features) else {
        let needed = texture.required_features() - features;
        let reason =
            format!("needs the wgpu::Device to have {needed:?} among its required_features");
        return Err(unsupported(what(), Requirement::other(reason)));
    };
    if !allowed.contains(usages) {
        let reason = format!(
            "needs a use that wgpu has for {texture:?} on this device: {allowed}; \
             TEXTURE_ADAPTER_SPECIFIC_FORMAT_FEATURES among its required_features leaves it to the driver"
        );
        return Err(unsupported(what(), Requirement::other(reason)));
    }
    Ok(texture)
}

pub(crate) fn extent_3d(extent: Extent) -> wgpu::Extent3d {
    wgpu::Extent3d {
        width: extent.width,
        height: extent.height,
        depth_or_array_layers: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_convert_there_and_back() {
        for (format, texture) in FORMATS {
            assert_eq!(texture_format(format), Some(texture));
            let back = super::format(texture).expect("listed");
            let twin = format.alpha_twin().unwrap_or(format);
            assert_eq!(back, twin, "{format} comes back with alpha");
            let encoded = texture.add_srgb_suffix();
            assert_eq!(super::format(encoded), Some(back), "{encoded:?}");
        }
    }

    /// A pixel is as large in both.
    #[test]
    fn formats_are_of_one_size() {
        for (format, texture) in FORMATS {
            let info = format.info().expect("known");
            let bytes = info.planes[0].block_bytes;
            assert_eq!(
                texture.block_copy_size(None),
                Some(u32::from(bytes)),
                "{format}"
            );
            assert!(!texture.is_srgb(), "{format}: codes are read as they are");
        }
    }

    #[test]
    fn formats_that_wgpu_lacks_have_no_textures() {
        for format in [
            Format::NV12,
            Format::RGB565,
            Format::XRGB2101010,
            Format::YUYV,
        ] {
            assert_eq!(texture_format(format), None, "{format}");
            let refused = require(format, None, Usage::SAMPLE, Features::all());
            let text = refused.expect_err("none").to_string();
            assert!(
                text.contains("import_planes") && text.contains("AB24"),
                "{text}"
            );
        }
    }

    #[test]
    fn usages_convert_there_and_back() {
        for one in Usage::all().iter() {
            assert_eq!(usage(texture_usages(one)), one);
            let (uses, access) = state(one).expect("each has a state");
            assert_eq!(texture_uses(one), uses, "{access:?}");
        }
        assert_eq!(usage(texture_usages(Usage::all())), Usage::all());
        assert_eq!(usage(TextureUsages::STORAGE_ATOMIC), Usage::empty());
        assert_eq!(state(Usage::empty()), None);
    }

    #[test]
    fn what_a_device_lacks_is_named() {
        let require = |usage, features| {
            let format = Format::ABGR16161616;
            require(format, texture_format(format), usage, features)
        };
        let text = require(Usage::SAMPLE, Features::empty()).expect_err("a feature");
        assert!(
            text.to_string().contains("TEXTURE_FORMAT_16BIT_NORM"),
            "{text}"
        );
        let norm = Features::TEXTURE_FORMAT_16BIT_NORM;
        assert!(require(Usage::SAMPLE, norm).is_ok());
        let storage = super::require(
            Format::ARGB8888,
            texture_format(Format::ARGB8888),
            Usage::STORAGE,
            Features::empty(),
        );
        let text = storage.expect_err("another feature").to_string();
        assert!(text.contains("ADAPTER_SPECIFIC"), "{text}");
    }
}
