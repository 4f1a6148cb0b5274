//! What the commands between acquire and release do with the image.

use ash::vk;

use crate::error::{Error, Result};
use crate::negotiate::Usage;

/// How commands use the image during a turn, and the layout they find and must leave it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Access {
    /// Drawing, in `VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL`.
    ColorAttachment,
    /// Copies and clears into it, in `VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL`.
    TransferDestination,
    /// Copies out of it, in `VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL`. Does not write.
    TransferSource,
    /// Sampling in any shader, in `VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL`. Does not write.
    Sampled,
    /// Reads and writes in compute shaders, in `VK_IMAGE_LAYOUT_GENERAL`.
    Storage,
}

impl Access {
    pub(super) fn writes(self) -> bool {
        !matches!(self, Self::TransferSource | Self::Sampled)
    }

    pub(super) fn check_write(self) -> Result<()> {
        let limit = "ColorAttachment, TransferDestination or Storage: `read` does the others";
        self.writes()
            .then_some(())
            .ok_or_else(|| self.refused(limit))
    }

    pub(super) fn check_read(self) -> Result<()> {
        let limit = "Sampled or TransferSource: `write` does the others";
        (!self.writes())
            .then_some(())
            .ok_or_else(|| self.refused(limit))
    }

    fn refused(self, limit: &'static str) -> Error {
        Error::invalid("access", format!("{self:?}"), limit)
    }

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
