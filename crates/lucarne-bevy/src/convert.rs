//! Bevy's words for Lucarne's, and back.

use bevy_math::UVec2;
use bevy_render::render_resource::{TextureDescriptor, TextureFormat};
use lucarne_wgpu::convert::texture_format;
use lucarne_wgpu::lucarne::color::Transfer;
use lucarne_wgpu::lucarne::{Extent, Format, FrameLayout, MemoryPath, Offer, Requirement, Support};
use wgpu::{TextureDimension, TextureUsages};

/// The formats that a camera renders into, best first: Bevy's shaders write light, and the texture encodes it.
pub(crate) const DRAWN: [Format; 4] = [
    Format::ABGR8888,
    Format::ARGB8888,
    Format::XBGR8888,
    Format::XRGB8888,
];

/// How a sampler has to read a frame so that Bevy's shaders get light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoding {
    /// The numbers are light.
    None,
    /// The texture decodes sRGB.
    Srgb,
}

/// How a frame has to be read, or `None` where its numbers would not become light: other curves than sRGB's, and sRGB's in formats
/// that have no such texture.
pub fn decoding(layout: &FrameLayout) -> Option<Decoding> {
    let texture = texture_format(layout.format())?;
    match layout.color().transfer {
        Transfer::Linear => Some(Decoding::None),
        Transfer::Srgb => texture
            .add_srgb_suffix()
            .is_srgb()
            .then_some(Decoding::Srgb),
        _ => None,
    }
}

/// A size in pixels.
pub fn size(extent: Extent) -> UVec2 {
    UVec2::new(extent.width, extent.height)
}

/// The same, for a stream.
pub fn extent(size: UVec2) -> Extent {
    Extent::new(size.x, size.y)
}

/// What of wgpu's offer Bevy can use: textures that Bevy's shaders read and write as light, which opaque memory cannot be.
pub(crate) fn offer(mut offer: Offer) -> Offer {
    offer.name = offer.name.replacen("wgpu", "Bevy", 1);
    offer.entries.retain(|entry| {
        let texture = texture_format(entry.format);
        let encodes = texture.is_some_and(|one| one.add_srgb_suffix().is_srgb());
        encodes && entry.path != MemoryPath::OpaqueFd
    });
    for (path, support) in &mut offer.paths {
        if *path == MemoryPath::OpaqueFd && support.is_yes() {
            let reason = "Bevy draws and samples sRGB, for which opaque memory is not laid out";
            *support = Support::no(Requirement::other(reason));
        }
    }
    offer
}

/// The same without formats that have padding where a sprite would see alpha.
pub(crate) fn with_alpha(mut offer: Offer) -> Offer {
    offer
        .entries
        .retain(|entry| entry.format.info().is_some_and(|info| info.alpha));
    offer
}

/// How Bevy describes the texture of a frame.
pub(crate) fn texture_descriptor(size: UVec2, format: TextureFormat) -> TextureDescriptor<'static> {
    TextureDescriptor {
        label: Some("lucarne frame"),
        size: wgpu::Extent3d {
            width: size.x,
            height: size.y,
            depth_or_array_layers: 1,
        },
        mip_level_count: 1,
        sample_count: 1,
        dimension: TextureDimension::D2,
        format,
        usage: TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lucarne_wgpu::lucarne::color::ColorDescription;

    fn layout(format: Format, transfer: Transfer) -> FrameLayout {
        let (layout, _) = FrameLayout::linear(Extent::new(4, 4), format).expect("a layout");
        let color = ColorDescription {
            transfer,
            ..layout.color()
        };
        layout.with_color(color).expect("a description")
    }

    #[test]
    fn numbers_become_light() {
        let srgb = |format| decoding(&layout(format, Transfer::Srgb));
        assert_eq!(srgb(Format::ABGR8888), Some(Decoding::Srgb));
        assert_eq!(srgb(Format::XRGB8888), Some(Decoding::Srgb));
        assert_eq!(srgb(Format::ABGR2101010), None, "no such texture");
        assert_eq!(srgb(Format::RGB565), None, "no texture at all");
        let linear = |format| decoding(&layout(format, Transfer::Linear));
        assert_eq!(linear(Format::ABGR8888), Some(Decoding::None));
        assert_eq!(linear(Format::ABGR16161616F), Some(Decoding::None));
        assert_eq!(decoding(&layout(Format::ABGR8888, Transfer::Pq)), None);
    }

    #[test]
    fn sizes_convert_there_and_back() {
        let wide = UVec2::new(640, 36);
        assert_eq!(extent(wide), Extent::new(640, 36));
        assert_eq!(size(extent(wide)), wide);
    }

    /// What a camera is given and what a material is shown are of the same size and format.
    #[test]
    fn textures_are_described_as_they_are() {
        let described = texture_descriptor(UVec2::new(5, 7), TextureFormat::Rgba8UnormSrgb);
        let size = described.size;
        assert_eq!(
            (size.width, size.height, size.depth_or_array_layers),
            (5, 7, 1)
        );
        assert_eq!(described.format, TextureFormat::Rgba8UnormSrgb);
        for format in DRAWN {
            let texture = texture_format(format).expect("wgpu has it");
            assert!(
                texture.add_srgb_suffix().is_srgb(),
                "{format} encodes light"
            );
        }
    }
}
