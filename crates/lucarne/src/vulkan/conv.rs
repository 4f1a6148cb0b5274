//! What Lucarne's words are called in Vulkan.

use ash::vk;

use super::access::Access;
use crate::format::FormatInfo;
use crate::layout::Extent;
use crate::negotiate::Usage;

pub(super) fn vk_format(info: &FormatInfo) -> vk::Format {
    info.vk.map_or(vk::Format::UNDEFINED, vk::Format::from_raw)
}

/// The image usage that does what `usage` says.
pub(super) fn image_usage(usage: Usage) -> vk::ImageUsageFlags {
    let pairs = [
        (Usage::RENDER, vk::ImageUsageFlags::COLOR_ATTACHMENT),
        (Usage::SAMPLE, vk::ImageUsageFlags::SAMPLED),
        (Usage::TRANSFER_SOURCE, vk::ImageUsageFlags::TRANSFER_SRC),
        (
            Usage::TRANSFER_DESTINATION,
            vk::ImageUsageFlags::TRANSFER_DST,
        ),
        (Usage::STORAGE, vk::ImageUsageFlags::STORAGE),
    ];
    pairs
        .into_iter()
        .filter(|(flag, _)| usage.contains(*flag))
        .fold(vk::ImageUsageFlags::empty(), |all, (_, flag)| all | flag)
}

pub(super) fn usage_of(features: vk::FormatFeatureFlags) -> Usage {
    let pairs = [
        (vk::FormatFeatureFlags::COLOR_ATTACHMENT, Usage::RENDER),
        (vk::FormatFeatureFlags::SAMPLED_IMAGE, Usage::SAMPLE),
        (vk::FormatFeatureFlags::TRANSFER_SRC, Usage::TRANSFER_SOURCE),
        (
            vk::FormatFeatureFlags::TRANSFER_DST,
            Usage::TRANSFER_DESTINATION,
        ),
        (vk::FormatFeatureFlags::STORAGE_IMAGE, Usage::STORAGE),
    ];
    pairs
        .into_iter()
        .filter(|(feature, _)| features.contains(*feature))
        .fold(Usage::empty(), |all, (_, usage)| all | usage)
}

pub(super) fn extent_3d(extent: Extent) -> vk::Extent3D {
    vk::Extent3D {
        width: extent.width,
        height: extent.height,
        depth: 1,
    }
}

/// Where a shader that samples finds each channel. The `VkFormat` of a format without alpha may read its padding as alpha.
pub(super) fn sampled_components(info: &FormatInfo) -> vk::ComponentMapping {
    let mut components = vk::ComponentMapping::default();
    if !info.alpha {
        components.a = vk::ComponentSwizzle::ONE;
    }
    components
}

/// All of a shared image: one level, one layer, colour.
pub(super) fn whole_image() -> vk::ImageSubresourceRange {
    vk::ImageSubresourceRange::default()
        .aspect_mask(vk::ImageAspectFlags::COLOR)
        .level_count(1)
        .layer_count(1)
}

/// The same, as copies name it.
pub(super) fn whole_layer() -> vk::ImageSubresourceLayers {
    vk::ImageSubresourceLayers::default()
        .aspect_mask(vk::ImageAspectFlags::COLOR)
        .layer_count(1)
}

impl Access {
    /// The usage that the image must have been made with.
    pub(super) fn usage(self) -> Usage {
        match self {
            Self::ColorAttachment => Usage::RENDER,
            Self::TransferDestination => Usage::TRANSFER_DESTINATION,
            Self::TransferSource => Usage::TRANSFER_SOURCE,
            Self::Sampled => Usage::SAMPLE,
            Self::Storage => Usage::STORAGE,
        }
    }

    pub(super) fn layout(self) -> vk::ImageLayout {
        match self {
            Self::ColorAttachment => vk::ImageLayout::COLOR_ATTACHMENT_OPTIMAL,
            Self::TransferDestination => vk::ImageLayout::TRANSFER_DST_OPTIMAL,
            Self::TransferSource => vk::ImageLayout::TRANSFER_SRC_OPTIMAL,
            Self::Sampled => vk::ImageLayout::SHADER_READ_ONLY_OPTIMAL,
            Self::Storage => vk::ImageLayout::GENERAL,
        }
    }

    pub(super) fn stage(self) -> vk::PipelineStageFlags {
        match self {
            Self::ColorAttachment => vk::PipelineStageFlags::COLOR_ATTACHMENT_OUTPUT,
            Self::TransferDestination | Self::TransferSource => vk::PipelineStageFlags::TRANSFER,
            // Vertex shaders may sample too; the caller does not say.
            Self::Sampled => vk::PipelineStageFlags::ALL_COMMANDS,
            Self::Storage => vk::PipelineStageFlags::COMPUTE_SHADER,
        }
    }

    pub(super) fn mask(self) -> vk::AccessFlags {
        match self {
            Self::ColorAttachment => {
                vk::AccessFlags::COLOR_ATTACHMENT_READ | vk::AccessFlags::COLOR_ATTACHMENT_WRITE
            }
            Self::TransferDestination => vk::AccessFlags::TRANSFER_WRITE,
            Self::TransferSource => vk::AccessFlags::TRANSFER_READ,
            Self::Sampled => vk::AccessFlags::SHADER_READ,
            Self::Storage => vk::AccessFlags::SHADER_READ | vk::AccessFlags::SHADER_WRITE,
        }
    }
}
