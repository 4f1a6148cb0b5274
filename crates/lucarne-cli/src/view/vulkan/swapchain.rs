//! The images that the window shows.
#![allow(
    unsafe_code,
    reason = "Vulkan's functions are unsafe without exception"
)]

use std::rc::Rc;

use ash::vk;
use lucarne::Extent;

use super::device::{Device, View, refused};
use super::work;
use crate::Failure;

/// How long a display may keep all images. One that shows nothing keeps them for ever.
const MOMENT_NS: u64 = 50_000_000;

/// A window's images of one size.
pub(super) struct Swapchain {
    images: Vec<Shown>,
    acquired: vk::Fence,
    raw: vk::SwapchainKHR,
    extent: vk::Extent2D,
    /// The window's size that it was made for. The surface's limits may make it another one.
    window: Extent,
    /// It does not fit its window any more.
    is_old: bool,
    device: Rc<Device>,
}

/// What its images are drawn by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    pub(super) raw: vk::RenderPass,
    pub(super) format: vk::SurfaceFormatKHR,
}

/// One of them.
struct Shown {
    framebuffer: vk::Framebuffer,
    _view: View,
    /// Signals when it is drawn.
    ready: vk::Semaphore,
}

/// An image to draw into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    index: u32,
    pub(super) framebuffer: vk::Framebuffer,
    pub(super) extent: vk::Extent2D,
    pub(super) ready: vk::Semaphore,
}

/// A format that shows numbers as they are: 8 bits, and no curve in between.
pub(super) fn format(device: &Device) -> Result<vk::SurfaceFormatKHR, Failure> {
    let formats = device.surface_formats()?;
    let plain = [vk::Format::B8G8R8A8_UNORM, vk::Format::R8G8B8A8_UNORM];
    let best = formats.iter().find(|one| plain.contains(&one.format));
    let best = best.or(formats.first()).copied();
    Ok(best.ok_or("Vulkan lists no format for the window")?)
}

impl Swapchain {
    /// `None` while the window has no pixels. What `old` showed stays until something new is drawn.
    pub(super) fn new(
        device: &Rc<Device>,
        pass: Pass,
        window: Extent,
        old: Option<Self>,
    ) -> Result<Option<Self>, Failure> {
        let can = device.surface_capabilities()?;
        let side = |wanted: u32, least: u32, most: u32| wanted.clamp(least, most.max(least));
        let (least, most) = (can.min_image_extent, can.max_image_extent);
        let extent = if can.current_extent.width == u32::MAX {
            vk::Extent2D {
                width: side(window.width, least.width, most.width),
                height: side(window.height, least.height, most.height),
            }
        } else {
            can.current_extent
        };
        if extent.width == 0 || extent.height == 0 || window.width == 0 || window.height == 0 {
            return Ok(None);
        }
        device.wait_idle();
        let mut chain = Self {
            images: Vec::new(),
            acquired: vk::Fence::null(),
            raw: create(device, &can, extent, pass.format, old.as_ref())?,
            extent,
            window,
            is_old: false,
            device: Rc::clone(device),
        };
        drop(old);
        // SAFETY: vkCreateFence.
        let fence = unsafe {
            device
                .raw()
                .create_fence(&vk::FenceCreateInfo::default(), None)
        };
        chain.acquired = fence.map_err(refused("vkCreateFence"))?;
        chain.add_images(pass)?;
        Ok(Some(chain))
    }

    fn add_images(&mut self, pass: Pass) -> Result<(), Failure> {
        // SAFETY: vkGetSwapchainImagesKHR: the swapchain is alive.
        let images = unsafe { self.device.swapchains.get_swapchain_images(self.raw) };
        for image in images.map_err(refused("vkGetSwapchainImagesKHR"))? {
            let whole = vk::ImageSubresourceRange::default()
                .aspect_mask(vk::ImageAspectFlags::COLOR)
                .level_count(1)
                .layer_count(1);
            let info = vk::ImageViewCreateInfo::default()
                .image(image)
                .view_type(vk::ImageViewType::TYPE_2D)
                .format(pass.format.format)
                .subresource_range(whole);
            let view = View::new(&self.device, &info)?;
            let attachments = [view.raw()];
            let info = vk::FramebufferCreateInfo::default()
                .render_pass(pass.raw)
                .attachments(&attachments)
                .width(self.extent.width)
                .height(self.extent.height)
                .layers(1);
            let raw = self.device.raw();
            // SAFETY: vkCreateFramebuffer: the pass has one attachment of this format, and the view is alive.
            let framebuffer = unsafe { raw.create_framebuffer(&info, None) };
            let mut shown = Shown {
                framebuffer: framebuffer.map_err(refused("vkCreateFramebuffer"))?,
                _view: view,
                ready: vk::Semaphore::null(),
            };
            // SAFETY: vkCreateSemaphore.
            let ready = unsafe { raw.create_semaphore(&vk::SemaphoreCreateInfo::default(), None) };
            let made = ready.map(|ready| shown.ready = ready);
            self.images.push(shown);
            made.map_err(refused("vkCreateSemaphore"))?;
        }
        Ok(())
    }

    /// Whether it was made for this size of the window, and is not known to be out of date.
    pub(super) fn fits(&self, window: Extent) -> bool {
        !self.is_old && self.window == window
    }

    /// The next image to draw into. `None` where the display keeps all for now, or this does not fit any more.
    pub(super) fn next(&mut self) -> Result<Option<Target>, Failure> {
        let null = vk::Semaphore::null();
        let (swapchains, raw) = (&self.device.swapchains, self.raw);
        // SAFETY: vkAcquireNextImageKHR: the swapchain is alive, and the fence is not in use: it was waited for below.
        let acquired =
            unsafe { swapchains.acquire_next_image(raw, MOMENT_NS, null, self.acquired) };
        let index = match acquired {
            Ok((index, is_suboptimal)) => {
                self.is_old |= is_suboptimal;
                index
            }
            Err(vk::Result::ERROR_OUT_OF_DATE_KHR) => {
                self.is_old = true;
                return Ok(None);
            }
            Err(vk::Result::TIMEOUT | vk::Result::NOT_READY) => return Ok(None),
            Err(code) => return Err(refused("vkAcquireNextImageKHR")(code).into()),
        };
        work::wait(self.device.raw(), self.acquired)?;
        let shown = &self.images[index as usize];
        Ok(Some(Target {
            index,
            framebuffer: shown.framebuffer,
            extent: self.extent,
            ready: shown.ready,
        }))
    }

    /// Shows an image, once it is ready.
    pub(super) fn present(&mut self, target: &Target) -> Result<(), Failure> {
        let (ready, chains, indices) = ([target.ready], [self.raw], [target.index]);
        let present = vk::PresentInfoKHR::default()
            .wait_semaphores(&ready)
            .swapchains(&chains)
            .image_indices(&indices);
        let (swapchains, queue) = (&self.device.swapchains, self.device.lucarne().queue());
        // SAFETY: vkQueuePresentKHR: the image was acquired and is in PRESENT_SRC_KHR; what signals the semaphore was
        // submitted, and this thread alone uses the queue.
        match unsafe { swapchains.queue_present(queue, &present) } {
            Ok(is_suboptimal) => {
                self.is_old |= is_suboptimal;
                Ok(())
            }
            Err(vk::Result::ERROR_OUT_OF_DATE_KHR) => {
                self.is_old = true;
                Ok(())
            }
            Err(code) => Err(refused("vkQueuePresentKHR")(code).into()),
        }
    }
}

fn create(
    device: &Device,
    can: &vk::SurfaceCapabilitiesKHR,
    extent: vk::Extent2D,
    format: vk::SurfaceFormatKHR,
    old: Option<&Swapchain>,
) -> Result<vk::SwapchainKHR, Failure> {
    let modes = device.present_modes()?;
    // The stream gives the pace; every driver has FIFO.
    let wanted = [vk::PresentModeKHR::MAILBOX, vk::PresentModeKHR::IMMEDIATE];
    let mode = wanted.into_iter().find(|mode| modes.contains(mode));
    let most = if can.max_image_count == 0 {
        u32::MAX
    } else {
        can.max_image_count
    };
    // The lowest bit that the surface lists: it has one at least, and OPAQUE is the lowest of all.
    let bits = can.supported_composite_alpha.as_raw();
    let alpha = vk::CompositeAlphaFlagsKHR::from_raw(bits & bits.wrapping_neg());
    let info = vk::SwapchainCreateInfoKHR::default()
        .surface(device.surface())
        .min_image_count((can.min_image_count + 1).min(most))
        .image_format(format.format)
        .image_color_space(format.color_space)
        .image_extent(extent)
        .image_array_layers(1)
        .image_usage(vk::ImageUsageFlags::COLOR_ATTACHMENT)
        .pre_transform(can.current_transform)
        .composite_alpha(alpha)
        .present_mode(mode.unwrap_or(vk::PresentModeKHR::FIFO))
        .clipped(true)
        .old_swapchain(old.map_or(vk::SwapchainKHR::null(), |old| old.raw));
    // SAFETY: vkCreateSwapchainKHR: values that the surface lists; an old one is of the same surface, and nothing of it is
    // acquired.
    let made = unsafe { device.swapchains.create_swapchain(&info, None) };
    Ok(made.map_err(refused("vkCreateSwapchainKHR"))?)
}

impl Drop for Swapchain {
    fn drop(&mut self) {
        self.device.wait_idle();
        let raw = self.device.raw();
        for shown in self.images.drain(..) {
            // SAFETY: vkDestroyFramebuffer: nothing is under way that uses it.
            unsafe { raw.destroy_framebuffer(shown.framebuffer, None) };
            // SAFETY: vkDestroySemaphore: as above; presentations that wait for it were submitted before the device was idle.
            // Null is allowed.
            unsafe { raw.destroy_semaphore(shown.ready, None) };
        }
        // SAFETY: vkDestroyFence: as above. Null is allowed.
        unsafe { raw.destroy_fence(self.acquired, None) };
        // SAFETY: vkDestroySwapchainKHR: its views went before, and its images are used by nothing.
        unsafe { self.device.swapchains.destroy_swapchain(self.raw, None) };
    }
}
