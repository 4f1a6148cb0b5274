//! What the commands between acquire and release do with the image.

use crate::error::{Error, Result};

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
}
