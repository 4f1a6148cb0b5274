//! Images that decode sRGB when they are sampled, and encode it when they are drawn to.

use super::device::Device;
use super::image::Image;
use crate::color::Transfer;
use crate::error::{Error, Requirement, Result};
use crate::format::FormatInfo;
use crate::frame::{Frame, Memory};
use crate::negotiate::Usage;

impl Device {
    /// Makes an image of the format's `_SRGB` sibling over a frame's memory: samplers and blending work with light, and the
    /// memory keeps its encoded bytes. Alpha is never encoded. Otherwise as [`Device::import`].
    ///
    /// Import a frame that this device itself exported to draw to it so. Not for opaque memory, whose layout may
    /// depend on the format that it was made for.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a frame whose colour description is not sRGB's; [`Error::Unsupported`] for opaque memory, for
    /// formats without such a sibling, and where the driver cannot share it for `usage`; otherwise as for [`Device::import`].
    pub fn import_srgb(&self, frame: &Frame, usage: Usage) -> Result<Image> {
        let layout = frame.layout();
        let transfer = layout.color().transfer;
        if transfer != Transfer::Srgb {
            return Err(Error::invalid("color.transfer", transfer, "sRGB"));
        }
        let info = layout.format_info();
        let missing = |reason: &str| {
            let what = format!("decoding {layout} when sampling");
            Err(Error::unsupported(what, vec![Requirement::other(reason)]))
        };
        if matches!(frame.memory(), Memory::OpaqueFd(_)) {
            return missing(
                "needs dma-buf or host-memory: opaque memory is laid out for its own format",
            );
        }
        let Some(sibling) = info.vk_srgb else {
            return missing("Vulkan has no sRGB sibling of the format");
        };
        let encoded = FormatInfo {
            vk: Some(sibling),
            ..*info
        };
        self.import_as(frame, &encoded, usage)
    }
}
