//! `Y'CbCr` frames in Vulkan: planes as images of their own, and what a sampler conversion needs to know.

mod buffer;
mod rgb_to_ycbcr;

pub use buffer::YcbcrBuffer;
pub use rgb_to_ycbcr::RgbToYcbcr;

use ash::vk;

use super::device::Device;
use super::image::Image;
use super::inner::{Adapter, AdapterInner};
use crate::color::{ChromaLocation, ColorDescription, Matrix, Range};
use crate::error::{Error, Requirement, Result, Support};
use crate::format::{ColorKind, Component, Format, FormatInfo};
use crate::frame::Frame;
use crate::negotiate::Usage;

/// The formats of `VK_KHR_sampler_ycbcr_conversion`, in Vulkan 1.1: those that any device may be asked about.
const CORE_FORMATS: std::ops::Range<i32> = 1_000_156_000..1_000_157_000;

impl Device {
    /// Makes an image over each plane of a `Y'CbCr` frame, in the order of
    /// [`Components::frames`](crate::Components::frames): `R8`, `GR88`, `R16` or `GR1616`. A shader makes colours of what it
    /// reads by [`YcbcrConversion::rgb_matrix`](crate::color::YcbcrConversion::rgb_matrix).
    ///
    /// Each image takes its own turn ([`Device::read`]) with the frame's acquire fence; the next writer waits for all of their
    /// release fences ([`Fence::merge`](crate::Fence::merge)).
    ///
    /// # Errors
    ///
    /// Those of [`Frame::components`] and of [`Device::import`] for each plane.
    pub fn import_ycbcr(&self, frame: &Frame, usage: Usage) -> Result<Vec<Image>> {
        let components = frame.components()?;
        let views = components.frames().iter();
        views.map(|view| self.import(view, usage)).collect()
    }
}

impl Adapter {
    /// Whether samplers can convert `Y'CbCr` (`samplerYcbcrConversion`). Devices that [`Adapter::open`] creates have the feature
    /// enabled then; whoever creates a device enables it with `VkPhysicalDeviceSamplerYcbcrConversionFeatures`.
    pub fn ycbcr_conversion(&self) -> Support {
        if self.inner().has_ycbcr_conversion() {
            return Support::Yes(());
        }
        Support::no(Requirement::capability(
            "samplerYcbcrConversion",
            "needs the Vulkan feature samplerYcbcrConversion, which the driver lacks",
        ))
    }

    /// What `vkCreateSamplerYcbcrConversion` must be told about whole images of this format and these colours: the
    /// `VkFormat` (for `NV21`, `YVU420` and similar: that of the same planes in the other order, with a swizzle), model,
    /// range, siting, and `filter` for chroma.
    ///
    /// No driver is known to share such images as dma-bufs between unlike devices, and Mesa's software driver shares none
    /// ("planar drm formats are not supported"): this is for images of your own. Frames from others are
    /// imported plane by plane, [`Device::import_ycbcr`].
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] when the device cannot convert, cannot sample the format, or not with such siting or filter;
    /// [`Error::Invalid`] for colours that contradict the format, and matrices that Vulkan does not have.
    #[doc(alias = "VkSamplerYcbcrConversionCreateInfo")]
    pub fn ycbcr_conversion_info(
        &self,
        format: Format,
        color: &ColorDescription,
        filter: vk::Filter,
    ) -> Result<vk::SamplerYcbcrConversionCreateInfo<'static>> {
        color.check(format)?;
        let what = format!("sampling {format} on {}", self.name());
        self.ycbcr_conversion().require(&what)?;
        let info = format.info().ok_or_else(|| Error::unknown_format(format))?;
        let missing = |sentence: String| {
            Err(Error::unsupported(
                what.clone(),
                vec![Requirement::other(sentence)],
            ))
        };
        let Some((vk_format, swapped)) = vk_ycbcr_format(info) else {
            return missing(format!("Vulkan 1.1 has no format for {format}"));
        };
        let model = match color.matrix {
            Matrix::Bt601 => vk::SamplerYcbcrModelConversion::YCBCR_601,
            Matrix::Bt709 => vk::SamplerYcbcrModelConversion::YCBCR_709,
            Matrix::Bt2020 => vk::SamplerYcbcrModelConversion::YCBCR_2020,
            other => {
                let limit = "BT.601, BT.709 or BT.2020, which Vulkan knows";
                return Err(Error::invalid("color.matrix", other, limit));
            }
        };
        let range = match color.range {
            Range::Full => vk::SamplerYcbcrRange::ITU_FULL,
            Range::Limited => vk::SamplerYcbcrRange::ITU_NARROW,
        };
        let features = optimal_features(self.inner(), vk_format);
        let needed = needed_features(color, filter);
        if !features.contains(needed) {
            let lacking = needed & !features;
            return missing(format!("the driver's {vk_format:?} lacks {lacking:?}"));
        }
        let mut components = vk::ComponentMapping::default();
        if swapped {
            components.r = vk::ComponentSwizzle::B;
            components.b = vk::ComponentSwizzle::R;
        }
        Ok(vk::SamplerYcbcrConversionCreateInfo::default()
            .format(vk_format)
            .ycbcr_model(model)
            .ycbcr_range(range)
            .components(components)
            .x_chroma_offset(location(color.siting.horizontal))
            .y_chroma_offset(location(color.siting.vertical))
            .chroma_filter(filter))
    }
}

fn location(location: ChromaLocation) -> vk::ChromaLocation {
    match location {
        ChromaLocation::CositedEven => vk::ChromaLocation::COSITED_EVEN,
        ChromaLocation::Midpoint => vk::ChromaLocation::MIDPOINT,
    }
}

/// What the valid usage of `VkSamplerYcbcrConversionCreateInfo` asks of the format's features (VUID 01651, 01652, 01657).
fn needed_features(color: &ColorDescription, filter: vk::Filter) -> vk::FormatFeatureFlags {
    let mut needed = vk::FormatFeatureFlags::SAMPLED_IMAGE;
    for location in [color.siting.horizontal, color.siting.vertical] {
        needed |= match location {
            ChromaLocation::CositedEven => vk::FormatFeatureFlags::COSITED_CHROMA_SAMPLES,
            ChromaLocation::Midpoint => vk::FormatFeatureFlags::MIDPOINT_CHROMA_SAMPLES,
        };
    }
    if filter == vk::Filter::LINEAR {
        needed |= vk::FormatFeatureFlags::SAMPLED_IMAGE_YCBCR_CONVERSION_LINEAR_FILTER;
    }
    needed
}

/// The `VkFormat` of a `Y'CbCr` format, and whether Cb and Cr have to change places.
fn vk_ycbcr_format(info: &FormatInfo) -> Option<(vk::Format, bool)> {
    let code = |info: &FormatInfo| {
        let code = info.vk.filter(|code| CORE_FORMATS.contains(code))?;
        (info.color == ColorKind::Yuv).then_some(vk::Format::from_raw(code))
    };
    if let Some(format) = code(info) {
        return Some((format, false));
    }
    let twin = Format::ALL.iter().find(|other| is_twin(info, other))?;
    Some((code(twin)?, true))
}

/// Whether two formats differ by the places of Cb and Cr alone.
fn is_twin(one: &FormatInfo, other: &FormatInfo) -> bool {
    let swap = |component| match component {
        Component::Cb => Component::Cr,
        Component::Cr => Component::Cb,
        same => same,
    };
    one.color == ColorKind::Yuv
        && one.planes.len() == other.planes.len()
        && one.planes.iter().zip(other.planes).all(|(one, other)| {
            let channels = one.channels.iter().zip(other.channels);
            let geometry = |plane: &crate::format::FormatPlane| {
                (
                    plane.block_bytes,
                    plane.block_width,
                    plane.horizontal_subsampling,
                    plane.vertical_subsampling,
                    plane.channels.len(),
                )
            };
            let mut same = channels.map(|(one, other)| {
                one.shift == other.shift
                    && one.bits == other.bits
                    && swap(one.component) == other.component
            });
            geometry(one) == geometry(other) && same.all(|same| same)
        })
}

fn optimal_features(adapter: &AdapterInner, format: vk::Format) -> vk::FormatFeatureFlags {
    let mut properties = vk::FormatProperties2::default();
    // SAFETY: vkGetPhysicalDeviceFormatProperties2 (Vulkan 1.1) with a structure of our own and a format of Vulkan 1.1.
    unsafe {
        adapter.instance.get_physical_device_format_properties2(
            adapter.physical,
            format,
            &mut properties,
        );
    }
    properties.format_properties.optimal_tiling_features
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(format: Format) -> Option<(vk::Format, bool)> {
        vk_ycbcr_format(format.info().expect("known"))
    }

    #[test]
    fn formats_in_the_other_order_are_swizzled() {
        let two = vk::Format::G8_B8R8_2PLANE_420_UNORM;
        assert_eq!(of(Format::NV12), Some((two, false)));
        assert_eq!(of(Format::NV21), Some((two, true)));
        let three = vk::Format::G8_B8_R8_3PLANE_420_UNORM;
        assert_eq!(of(Format::YUV420), Some((three, false)));
        assert_eq!(of(Format::YVU420), Some((three, true)));
        let packed = vk::Format::G8B8G8R8_422_UNORM;
        assert_eq!(of(Format::YUYV), Some((packed, false)));
        assert_eq!(of(Format::YVYU), Some((packed, true)));
        let deep = vk::Format::G10X6_B10X6R10X6_2PLANE_420_UNORM_3PACK16;
        assert_eq!(of(Format::P010), Some((deep, false)));
        // Formats of extensions, RGB, and what Vulkan does not have.
        for format in [Format::NV24, Format::NV42, Format::XRGB8888, Format::AYUV] {
            assert_eq!(of(format), None, "{format}");
        }
    }
}
