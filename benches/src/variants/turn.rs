//! What a program that draws by hand writes once: images in dma-bufs, commands for them, barriers, submissions.

#![expect(unsafe_code, reason = "calls Vulkan")]

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::rc::Rc;

use ash::vk;
use lucarne::{
    Extent, MemoryPath,
    kernel::{DmaBuf, DmaBufKind},
};
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::Result;
use crate::gl::Plane;
use crate::stamp::Stamp;
use crate::vk::{Marks, TIMEOUT, Vulkan, layers, whole};

const SYNC: vk::ExternalSemaphoreHandleTypeFlags = vk::ExternalSemaphoreHandleTypeFlags::SYNC_FD;
const HANDLE: vk::ExternalMemoryHandleTypeFlags = vk::ExternalMemoryHandleTypeFlags::DMA_BUF_EXT;

/// How a producer knows that a frame is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// It waits for the submission's `VkFence`.
    Cpu,
    /// It exports a semaphore as a sync_file, and looks whether that has signalled: a software driver's always has.
    SyncFile,
}

/// An image, and everything to draw into it and to wait for that.
pub(super) struct Target {
    marks: Marks,
    image: vk::Image,
    memory: vk::DeviceMemory,
    pool: vk::CommandPool,
    commands: vk::CommandBuffer,
    done: vk::Fence,
    signal: Option<Signal>,
    submitted: bool,
    /// Where others find the pixels.
    shared: Option<(DmaBuf, Plane)>,
    drawn: bool,
    extent: Extent,
    vulkan: Rc<Vulkan>,
}

impl Target {
    /// An image that is exported as a linear dma-buf, or one of the program's own.
    pub(super) fn new(
        vulkan: &Rc<Vulkan>,
        extent: Extent,
        export: bool,
        wait: Wait,
    ) -> Result<Self> {
        if export {
            let path = vulkan.device.path(MemoryPath::DmaBuf);
            path.require("exporting dma-bufs by hand")?;
        }
        let device = vulkan.raw();
        let image = image(vulkan, extent, export)?;
        let memory = memory(vulkan, image, export)?;
        // SAFETY: vkBindImageMemory: a fresh image, memory of its own requirements, offset 0.
        unsafe { device.bind_image_memory(image, memory, 0) }?;
        let shared = export
            .then(|| {
                Ok::<_, Box<dyn std::error::Error>>((fd(vulkan, memory)?, plane(vulkan, image)))
            })
            .transpose()?;
        let info = vk::CommandPoolCreateInfo::default()
            .flags(vk::CommandPoolCreateFlags::RESET_COMMAND_BUFFER)
            .queue_family_index(vulkan.device.queue_family());
        // SAFETY: vkCreateCommandPool with a family that the device was created with.
        let pool = unsafe { device.create_command_pool(&info, None) }?;
        let info = vk::CommandBufferAllocateInfo::default()
            .command_pool(pool)
            .command_buffer_count(1);
        // SAFETY: vkAllocateCommandBuffers from that pool.
        let commands = unsafe { device.allocate_command_buffers(&info) }?[0];
        // SAFETY: vkCreateFence has no preconditions beyond valid create info.
        let done = unsafe { device.create_fence(&vk::FenceCreateInfo::default(), None) }?;
        Ok(Self {
            marks: Marks::new(vulkan, extent)?,
            image,
            memory,
            pool,
            commands,
            done,
            signal: match wait {
                Wait::Cpu => None,
                Wait::SyncFile => Some(Signal::new(vulkan)?),
            },
            submitted: false,
            shared,
            drawn: false,
            extent,
            vulkan: Rc::clone(vulkan),
        })
    }

    /// The exported memory.
    pub(super) fn fd(&self) -> Result<BorrowedFd<'_>> {
        let (buffer, _) = self.shared.as_ref().ok_or("it is not shared")?;
        Ok(buffer.as_fd())
    }

    /// Where its pixels lie in there.
    pub(super) fn plane(&self) -> Result<Plane> {
        let (_, plane) = self.shared.as_ref().ok_or("it is not shared")?;
        Ok(*plane)
    }

    pub(super) fn is_emulated(&self) -> bool {
        let buffer = self.shared.as_ref().map(|(buffer, _)| buffer);
        buffer.is_some_and(|buffer| buffer.kind() == DmaBufKind::Emulated)
    }

    /// Draws a frame, copies it to `copy` where that is given, and waits until it is done.
    pub(super) fn draw(&mut self, stamp: Stamp, copy: Option<vk::Buffer>) -> Result<()> {
        let vulkan = Rc::clone(&self.vulkan);
        let device = vulkan.raw();
        let commands = self.commands;
        self.finish()?;
        let info = vk::CommandBufferBeginInfo::default()
            .flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
        // SAFETY: vkBeginCommandBuffer: its last submission was waited for; the pool allows resets.
        unsafe { device.begin_command_buffer(commands, &info) }?;
        self.take();
        self.marks.record(device, commands, self.image, stamp);
        match copy {
            Some(buffer) => self.copy(buffer),
            None => self.give(),
        }
        // SAFETY: vkEndCommandBuffer: recording, outside a render pass.
        unsafe { device.end_command_buffer(commands) }?;
        let buffers = [commands];
        let signals = self
            .signal
            .as_ref()
            .map_or(vk::Semaphore::null(), |signal| signal.semaphore);
        let submit = vk::SubmitInfo::default()
            .command_buffers(&buffers)
            .signal_semaphores(if self.signal.is_some() {
                std::slice::from_ref(&signals)
            } else {
                &[]
            });
        // SAFETY: vkQueueSubmit: the queue belongs to this thread; buffer and fence are in no other submission.
        unsafe { device.queue_submit(vulkan.device.queue(), &[submit], self.done) }?;
        self.submitted = true;
        self.drawn = true;
        match &self.signal {
            None => self.finish(),
            Some(signal) => signal.wait(),
        }
    }

    /// Waits until the last submission is over.
    fn finish(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.submitted) {
            return Ok(());
        }
        let device = self.vulkan.raw();
        let limit = u64::try_from(TIMEOUT.as_nanos())?;
        // SAFETY: vkWaitForFences of a fence of this device.
        unsafe { device.wait_for_fences(&[self.done], true, limit) }?;
        // SAFETY: vkResetFences: its submission is over.
        unsafe { device.reset_fences(&[self.done]) }?;
        Ok(())
    }

    /// Takes the image from its reader, for copies into it.
    fn take(&self) {
        let to = self
            .barrier()
            .new_layout(vk::ImageLayout::TRANSFER_DST_OPTIMAL)
            .dst_access_mask(vk::AccessFlags::TRANSFER_WRITE);
        let to = match (self.drawn, &self.shared) {
            (false, _) => to.old_layout(vk::ImageLayout::UNDEFINED),
            (true, None) => to.old_layout(vk::ImageLayout::TRANSFER_SRC_OPTIMAL),
            (true, Some(_)) => to
                .old_layout(vk::ImageLayout::GENERAL)
                .src_queue_family_index(vk::QUEUE_FAMILY_FOREIGN_EXT)
                .dst_queue_family_index(self.vulkan.device.queue_family()),
        };
        let from = vk::PipelineStageFlags::TOP_OF_PIPE;
        self.pipeline(from, vk::PipelineStageFlags::TRANSFER, to);
    }

    /// Gives it to the next reader.
    fn give(&self) {
        let to = self
            .barrier()
            .old_layout(vk::ImageLayout::TRANSFER_DST_OPTIMAL)
            .new_layout(vk::ImageLayout::GENERAL)
            .src_access_mask(vk::AccessFlags::TRANSFER_WRITE)
            .src_queue_family_index(self.vulkan.device.queue_family())
            .dst_queue_family_index(vk::QUEUE_FAMILY_FOREIGN_EXT);
        let end = vk::PipelineStageFlags::BOTTOM_OF_PIPE;
        self.pipeline(vk::PipelineStageFlags::TRANSFER, end, to);
    }

    /// Copies all of it into a buffer, for the CPU.
    fn copy(&self, buffer: vk::Buffer) {
        let device = self.vulkan.raw();
        let layout = vk::ImageLayout::TRANSFER_SRC_OPTIMAL;
        let to = self
            .barrier()
            .old_layout(vk::ImageLayout::TRANSFER_DST_OPTIMAL)
            .new_layout(layout)
            .src_access_mask(vk::AccessFlags::TRANSFER_WRITE)
            .dst_access_mask(vk::AccessFlags::TRANSFER_READ);
        let transfer = vk::PipelineStageFlags::TRANSFER;
        self.pipeline(transfer, transfer, to);
        let region = vk::BufferImageCopy::default()
            .image_subresource(layers())
            .image_extent(vk::Extent3D {
                width: self.extent.width,
                height: self.extent.height,
                depth: 1,
            });
        let (commands, image) = (self.commands, self.image);
        // SAFETY: vkCmdCopyImageToBuffer: the image is in this layout, and the buffer was made for all of its pixels.
        unsafe { device.cmd_copy_image_to_buffer(commands, image, layout, buffer, &[region]) };
        let barrier = vk::MemoryBarrier::default()
            .src_access_mask(vk::AccessFlags::TRANSFER_WRITE)
            .dst_access_mask(vk::AccessFlags::HOST_READ);
        let (host, flags) = (vk::PipelineStageFlags::HOST, vk::DependencyFlags::empty());
        // SAFETY: vkCmdPipelineBarrier: recording outside a render pass; the accesses belong to their stages.
        unsafe {
            device.cmd_pipeline_barrier(commands, transfer, host, flags, &[barrier], &[], &[])
        };
    }

    fn barrier(&self) -> vk::ImageMemoryBarrier<'static> {
        vk::ImageMemoryBarrier::default()
            .image(self.image)
            .subresource_range(whole())
            .src_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
            .dst_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
    }

    fn pipeline(
        &self,
        from: vk::PipelineStageFlags,
        to: vk::PipelineStageFlags,
        barrier: vk::ImageMemoryBarrier<'_>,
    ) {
        let (device, flags) = (self.vulkan.raw(), vk::DependencyFlags::empty());
        // SAFETY: vkCmdPipelineBarrier: recording outside a render pass; VK_EXT_queue_family_foreign is enabled wherever
        // dma-bufs can be exported (`Device::offer`).
        unsafe {
            device.cmd_pipeline_barrier(self.commands, from, to, flags, &[], &[], &[barrier]);
        }
    }
}

fn image(vulkan: &Vulkan, extent: Extent, export: bool) -> Result<vk::Image> {
    let linear = [0];
    let mut list =
        vk::ImageDrmFormatModifierListCreateInfoEXT::default().drm_format_modifiers(&linear);
    let mut external = vk::ExternalMemoryImageCreateInfo::default().handle_types(HANDLE);
    let mut info = vk::ImageCreateInfo::default()
        .image_type(vk::ImageType::TYPE_2D)
        .format(vk::Format::R8G8B8A8_UNORM)
        .extent(vk::Extent3D {
            width: extent.width,
            height: extent.height,
            depth: 1,
        })
        .mip_levels(1)
        .array_layers(1)
        .samples(vk::SampleCountFlags::TYPE_1)
        .usage(vk::ImageUsageFlags::TRANSFER_DST | vk::ImageUsageFlags::TRANSFER_SRC);
    if export {
        info = info
            .tiling(vk::ImageTiling::DRM_FORMAT_MODIFIER_EXT)
            .push_next(&mut list)
            .push_next(&mut external);
    }
    // SAFETY: vkCreateImage: a format that every device has for copies, one mip, one layer, one sample; linear dma-bufs of it are
    // what this variant is about, and a driver without them refuses.
    Ok(unsafe { vulkan.raw().create_image(&info, None) }?)
}

fn memory(vulkan: &Vulkan, image: vk::Image, export: bool) -> Result<vk::DeviceMemory> {
    let device = vulkan.raw();
    // SAFETY: vkGetImageMemoryRequirements: a live image of this device.
    let needs = unsafe { device.get_image_memory_requirements(image) };
    let mut exported = vk::ExportMemoryAllocateInfo::default().handle_types(HANDLE);
    let mut dedicated = vk::MemoryDedicatedAllocateInfo::default().image(image);
    let local = vk::MemoryPropertyFlags::DEVICE_LOCAL;
    let mut info = vk::MemoryAllocateInfo::default()
        .allocation_size(needs.size)
        .memory_type_index(vulkan.memory_type(needs.memory_type_bits, local)?)
        .push_next(&mut dedicated);
    if export {
        info = info.push_next(&mut exported);
    }
    // SAFETY: vkAllocateMemory: the size and a type of the image's own requirements.
    Ok(unsafe { device.allocate_memory(&info, None) }?)
}

fn fd(vulkan: &Vulkan, memory: vk::DeviceMemory) -> Result<DmaBuf> {
    let functions = ash::khr::external_memory_fd::Device::new(vulkan.instance(), vulkan.raw());
    let info = vk::MemoryGetFdInfoKHR::default()
        .memory(memory)
        .handle_type(HANDLE);
    // SAFETY: VUID-VkMemoryGetFdInfoKHR-handleType-00671: allocated for export as exactly this type.
    let fd = unsafe { functions.get_memory_fd(&info) }?;
    if fd < 0 {
        return Err("vkGetMemoryFdKHR gave no descriptor".into());
    }
    // SAFETY: OwnedFd::from_raw_fd: the caller owns what that call returns, and it is not negative.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok(DmaBuf::new(fd)?)
}

fn plane(vulkan: &Vulkan, image: vk::Image) -> Plane {
    let aspect = vk::ImageAspectFlags::MEMORY_PLANE_0_EXT;
    let subresource = vk::ImageSubresource::default().aspect_mask(aspect);
    // SAFETY: VUID-vkGetImageSubresourceLayout-tiling-09433: the first memory plane, which every modifier has.
    let layout = unsafe {
        vulkan
            .raw()
            .get_image_subresource_layout(image, subresource)
    };
    Plane {
        offset: layout.offset,
        pitch: layout.row_pitch,
        modifier: 0,
    }
}

/// A semaphore whose signal is asked for as a sync_file.
struct Signal {
    semaphore: vk::Semaphore,
    functions: ash::khr::external_semaphore_fd::Device,
    vulkan: Rc<Vulkan>,
}

impl Signal {
    fn new(vulkan: &Rc<Vulkan>) -> Result<Self> {
        let mut export = vk::ExportSemaphoreCreateInfo::default().handle_types(SYNC);
        let info = vk::SemaphoreCreateInfo::default().push_next(&mut export);
        // SAFETY: vkCreateSemaphore: a driver without sync_files refuses to export them.
        let semaphore = unsafe { vulkan.raw().create_semaphore(&info, None) }?;
        let (instance, device) = (vulkan.instance(), vulkan.raw());
        Ok(Self {
            semaphore,
            functions: ash::khr::external_semaphore_fd::Device::new(instance, device),
            vulkan: Rc::clone(vulkan),
        })
    }

    /// Exports what was submitted, and waits for it.
    fn wait(&self) -> Result<()> {
        let info = vk::SemaphoreGetFdInfoKHR::default()
            .semaphore(self.semaphore)
            .handle_type(SYNC);
        // SAFETY: VUID-VkSemaphoreGetFdInfoKHR-handleType-03253: its signal was submitted, and nobody waits for it.
        let fd = unsafe { self.functions.get_semaphore_fd(&info) }?;
        if fd < 0 {
            // It has signalled.
            return Ok(());
        }
        // SAFETY: OwnedFd::from_raw_fd: the caller owns what that call returns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        if rustix::event::poll(&mut fds, Some(&Timespec::try_from(TIMEOUT)?))? == 0 {
            return Err("a frame was not drawn in time".into());
        }
        Ok(())
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        // SAFETY: vkDestroySemaphore: whoever has it has waited for every submission.
        unsafe { self.vulkan.raw().destroy_semaphore(self.semaphore, None) };
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // A device that is lost ends its work too.
        let _ = self.finish();
        let device = self.vulkan.raw();
        // SAFETY: vkDestroyFence: every submission is over; the same holds for what follows.
        unsafe { device.destroy_fence(self.done, None) };
        // SAFETY: vkDestroyCommandPool, which frees its buffer.
        unsafe { device.destroy_command_pool(self.pool, None) };
        // SAFETY: vkDestroyImage.
        unsafe { device.destroy_image(self.image, None) };
        // SAFETY: vkFreeMemory: nothing is bound to it any more.
        unsafe { device.free_memory(self.memory, None) };
    }
}
