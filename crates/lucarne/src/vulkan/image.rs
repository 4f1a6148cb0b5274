//! An image whose memory is a frame's.

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ash::vk;

use super::command::Commands;
use super::device::DeviceInner;
use super::object::Owned;
use super::staging::Staging;
use crate::frame::Frame;
use crate::kernel::Mapping;
use crate::negotiate::Usage;

/// How long dropping an image waits for work that still uses it.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);

/// A `VkImage` in a [`Frame`]'s memory, made by [`Device::export`](super::Device::export) or over somebody else's by
/// [`Device::import`](super::Device::import).
///
/// Keeps its device alive. Dropping it waits for submitted work; the frame's memory lives on while anybody holds it.
pub struct Image {
    objects: ManuallyDrop<Objects>,
    frame: Frame,
    format: vk::Format,
    usage: Usage,
    device: Arc<DeviceInner>,
}

/// Dropped in this order: what refers to something goes before it.
pub(super) struct Objects {
    pub(super) commands: Mutex<Commands>,
    pub(super) image: Owned<vk::Image>,
    pub(super) staging: Option<Staging>,
    /// One; of a disjoint image, one for each buffer.
    pub(super) _memory: Vec<Owned<vk::DeviceMemory>>,
    /// The frame's host memory, where the image lies in it.
    pub(super) in_place: Option<Mapping>,
}

impl Image {
    pub(super) fn new(
        device: &Arc<DeviceInner>,
        objects: Objects,
        frame: Frame,
        format: vk::Format,
        usage: Usage,
    ) -> Self {
        Self {
            objects: ManuallyDrop::new(objects),
            frame,
            format,
            usage,
            device: Arc::clone(device),
        }
    }

    /// The image. It stays Lucarne's: do not destroy it.
    pub fn raw(&self) -> vk::Image {
        self.objects.image.raw()
    }

    /// The format to create views with.
    pub fn vk_format(&self) -> vk::Format {
        self.format
    }

    /// The frame to pass on.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// How often this side copies each frame: 0 where the image lies in the shared memory itself, which may be host memory
    /// too; else 1 where the device copies to or from the memfd, 2 where the CPU must copy once more.
    pub fn copies_per_frame(&self) -> u32 {
        self.objects
            .staging
            .as_ref()
            .map_or(0, Staging::copies_per_frame)
    }

    /// What the image was made for, and may be used for.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    pub(super) fn device(&self) -> &Arc<DeviceInner> {
        &self.device
    }

    /// Whether the image lies in host memory.
    pub(super) fn in_host_memory(&self) -> bool {
        self.objects.in_place.is_some()
    }

    pub(super) fn staging(&self) -> Option<&Staging> {
        self.objects.staging.as_ref()
    }

    pub(super) fn commands(&self) -> MutexGuard<'_, Commands> {
        // `Commands` is consistent between its own calls, whatever panics in a caller's closure.
        self.objects
            .commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let finished = self.commands().finish(DROP_TIMEOUT);
        if finished.is_err() {
            // A device that does not finish may still use the objects; leaking them is the lesser evil.
            #[cfg(feature = "tracing")]
            tracing::error!(
                ?finished,
                "an image's work did not finish; leaking the image"
            );
            return;
        }
        // SAFETY: ManuallyDrop::drop once, and `objects` is not used afterwards: this is the end of Drop.
        unsafe { ManuallyDrop::drop(&mut self.objects) };
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("raw", &self.raw())
            .field("format", &self.format)
            .field("frame", &self.frame)
            .finish_non_exhaustive()
    }
}
