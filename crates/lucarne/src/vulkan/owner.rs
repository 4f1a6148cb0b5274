//! Who has an image, and the queue family that stands for the others.

use ash::vk;

use super::inner::DeviceInner;
use crate::error::{Error, Result};
use crate::negotiate::MemoryPath;

/// Who has the image, which decides how it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody: its contents are undefined.
    Nobody,
    /// The other side, in `VK_IMAGE_LAYOUT_GENERAL`; or, on the host memory path, this side.
    Others,
    /// The caller's own commands, on a queue of this family.
    Caller { family: u32 },
}

impl Owner {
    /// Refuses an image that the caller's commands have.
    pub(super) fn check_free(self) -> Result<()> {
        let Self::Caller { .. } = self else {
            return Ok(());
        };
        let limit = "one that `release_barrier` has given back";
        Err(Error::invalid("image", "taken by `acquire_barrier`", limit))
    }
}

/// The queue family that stands for whoever else uses memory of `path`.
pub(super) fn family_of_others(device: &DeviceInner, path: MemoryPath) -> u32 {
    if path == MemoryPath::DmaBuf && device.enabled(ash::ext::queue_family_foreign::NAME) {
        vk::QUEUE_FAMILY_FOREIGN_EXT
    } else {
        vk::QUEUE_FAMILY_EXTERNAL
    }
}
