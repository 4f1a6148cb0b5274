//! An image whose memory is a frame's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ash::vk;

use super::access::Access;
use super::conv;
use super::exclusive::{Exclusive, Held};
use super::failed;
use super::inner::DeviceInner;
use super::object::Owned;
use super::owner::{Owner, family_of_others};
use super::staging::Staging;
use super::submission::{Commands, Finish, InUse};
use crate::error::{Error, Result};
use crate::format::FormatInfo;
use crate::frame::Frame;
use crate::kernel::Mapping;
use crate::negotiate::Usage;

/// A `VkImage` in a [`Frame`]'s memory, made by [`Device::export`](super::Device::export) or over somebody else's by
/// [`Device::import`](super::Device::import).
///
/// Keeps its device alive. Dropping it waits for the work that [`Device::write`](super::Device::write) and similar calls
/// submitted. It does not wait for submissions of your own. The frame's memory stays as long as anybody holds the frame.
///
/// ```no_run
/// # use std::time::Duration;
/// # use lucarne::ash::vk;
/// # use lucarne::{Agreement, Fence, Frame, Result, vulkan::{Access, Device, Image}};
/// /// Makes an image as agreed, and clears it: the frame and the fence that others need.
/// fn clear(device: &Device, agreement: &Agreement) -> Result<(Image, Frame, Fence)> {
///     let image = device.export(agreement)?;
///     let black = vk::ClearColorValue::default();
///     let all = vk::ImageSubresourceRange::default()
///         .aspect_mask(vk::ImageAspectFlags::COLOR)
///         .level_count(1)
///         .layer_count(1);
///     let access = Access::TransferDestination;
///     let fence = device.write(&image, &Fence::Signaled, Duration::from_secs(1), access, |commands| {
///         let layout = vk::ImageLayout::TRANSFER_DST_OPTIMAL;
///         // SAFETY: vkCmdClearColorImage: recording outside a render pass, and the image is in this layout.
///         unsafe { device.raw().cmd_clear_color_image(commands, image.raw(), layout, &black, &[all]) };
///     })?;
///     let frame = image.frame().clone();
///     Ok((image, frame, fence))
/// }
/// ```
pub struct Image {
    objects: InUse<Objects>,
    frame: Frame,
    format: vk::Format,
    /// Of views that are sampled.
    components: vk::ComponentMapping,
    usage: Usage,
    /// The queue family that stands for whoever else uses the memory.
    others: u32,
    device: Arc<DeviceInner>,
}

struct Objects {
    // Dropped in this order: what refers to something goes before it.
    commands: Exclusive<Commands>,
    bound: Bound,
}

/// An image and what it lies in, dropped in this order.
pub(super) struct Bound {
    pub(super) image: Owned<vk::Image>,
    pub(super) staging: Option<Staging>,
    /// One; of a disjoint image, one for each buffer.
    pub(super) _memory: Vec<Owned<vk::DeviceMemory>>,
    /// The frame's host memory, where the image lies in it.
    pub(super) in_place: Option<Mapping>,
}

impl Image {
    /// `owner` has it at first.
    pub(super) fn new(
        device: &Arc<DeviceInner>,
        owner: Owner,
        bound: Bound,
        frame: Frame,
        info: &FormatInfo,
        usage: Usage,
    ) -> Result<Self> {
        let commands = Exclusive::new(Commands::new(device, owner)?);
        Ok(Self {
            objects: InUse::new(Objects { commands, bound }),
            others: family_of_others(device, frame.memory().path()),
            frame,
            format: conv::vk_format(info),
            components: conv::sampled_components(info),
            usage,
            device: Arc::clone(device),
        })
    }

    /// The image. It stays Lucarne's: do not destroy it.
    pub fn raw(&self) -> vk::Image {
        self.objects.bound.image.raw()
    }

    /// The image's format, for pipelines and render passes. It does not say all that the frame's format means: Vulkan has
    /// no formats with padding for alpha. Create views with [`Image::view_info`].
    pub fn vk_format(&self) -> vk::Format {
        self.format
    }

    /// What to create a view with that shaders or render passes use as `access` says.
    ///
    /// A view to sample with reads alpha 1 where the frame's format has padding (`XRGB8888` and its kin), as OpenGL does.
    /// Views to draw or store with map nothing, as Vulkan demands of them: they show the padding as alpha, and so do
    /// copies and blits.
    ///
    /// ```no_run
    /// # use ash::{prelude::VkResult, vk};
    /// # use lucarne::vulkan::{Access, Device, Image};
    /// /// A view for a descriptor that is sampled. Destroy it before the image.
    /// fn sampled(device: &Device, image: &Image) -> VkResult<vk::ImageView> {
    ///     let info = image.view_info(Access::Sampled);
    ///     // SAFETY: vkCreateImageView: the image is alive, and was made with Usage::SAMPLE.
    ///     unsafe { device.raw().create_image_view(&info, None) }
    /// }
    /// ```
    ///
    /// # References
    ///
    /// [`VkImageViewCreateInfo`](https://docs.vulkan.org/refpages/latest/refpages/source/VkImageViewCreateInfo.html),
    /// [`VkComponentMapping`](https://docs.vulkan.org/refpages/latest/refpages/source/VkComponentMapping.html)
    #[doc(alias = "VkComponentMapping")]
    #[doc(alias = "VkImageViewCreateInfo")]
    pub fn view_info(&self, access: Access) -> vk::ImageViewCreateInfo<'static> {
        let components = match access {
            Access::Sampled => self.components,
            _ => vk::ComponentMapping::default(),
        };
        vk::ImageViewCreateInfo::default()
            .image(self.raw())
            .view_type(vk::ImageViewType::TYPE_2D)
            .format(self.format)
            .components(components)
            .subresource_range(conv::whole_image())
    }

    /// The frame to pass on.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// How often this side copies each frame. 0: the image lies in the shared memory itself, which may be host memory too.
    /// 1: the device copies to or from the memfd. 2: the CPU copies once more.
    pub fn copies_per_frame(&self) -> u32 {
        self.staging().map_or(0, Staging::copies_per_frame)
    }

    /// What the image was made for, and may be used for.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    pub(super) fn device(&self) -> &Arc<DeviceInner> {
        &self.device
    }

    /// Refuses an image of another device.
    pub(super) fn check_device(&self, device: &Arc<DeviceInner>) -> Result<()> {
        if Arc::ptr_eq(device, &self.device) {
            return Ok(());
        }
        let limit = "one that this device exported or imported";
        Err(Error::invalid("image", "of another device", limit))
    }

    /// The queue family that stands for whoever else uses the image's memory.
    pub(super) fn others(&self) -> u32 {
        self.others
    }

    /// Whether the image lies in host memory.
    pub(super) fn in_host_memory(&self) -> bool {
        self.objects.bound.in_place.is_some()
    }

    /// A view for an access that the image was made for.
    pub(super) fn view(&self, access: Access) -> Result<Owned<vk::ImageView>> {
        let create = self.view_info(access);
        // SAFETY: vkCreateImageView: the image's own format, and it has the usage, for which callers answer.
        let view = unsafe { self.device.device.create_image_view(&create, None) }
            .map_err(failed("vkCreateImageView"))?;
        Ok(Owned::new(&self.device, view))
    }

    pub(super) fn staging(&self) -> Option<&Staging> {
        self.objects.bound.staging.as_ref()
    }

    /// Waits for another thread's turn; refuses inside the image's own.
    pub(super) fn commands(&self, timeout: Duration) -> Result<Held<'_, Commands>> {
        self.objects.commands.hold(timeout)
    }

    /// Refuses while any turn is being recorded.
    pub(super) fn idle_commands(&self) -> Result<Held<'_, Commands>> {
        self.objects.commands.try_hold()
    }

    /// Waits until the image's last turn has finished.
    pub(super) fn finish(&self, timeout: Duration) -> Result<()> {
        self.commands(timeout)?.finish(timeout)
    }
}

impl Finish for Objects {
    fn finish(&mut self, timeout: Duration) -> Result<()> {
        self.commands.get_mut().finish(timeout)
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
