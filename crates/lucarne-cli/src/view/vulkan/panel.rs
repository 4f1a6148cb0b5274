//! A panel's pixels as an image.
#![allow(
    unsafe_code,
    reason = "Vulkan's functions are unsafe without exception"
)]

use std::cell::Cell;
use std::rc::Rc;

use ash::vk;

use super::device::{Device, View, refused};
use crate::Failure;
use crate::view::overlay::Panel;

/// Four bytes a pixel, as a panel has them.
const FORMAT: vk::Format = vk::Format::R8G8B8A8_UNORM;

/// An image with a panel's pixels, once they are [uploaded](Self::upload).
pub(super) struct PanelImage {
    view: Option<View>,
    image: vk::Image,
    buffer: vk::Buffer,
    memory: Vec<vk::DeviceMemory>,
    extent: vk::Extent3D,
    is_uploaded: Cell<bool>,
    device: Rc<Device>,
}

impl PanelImage {
    pub(super) fn new(device: &Rc<Device>, panel: &Panel) -> Result<Self, Failure> {
        let mut image = Self {
            view: None,
            image: vk::Image::null(),
            buffer: vk::Buffer::null(),
            memory: Vec::new(),
            extent: vk::Extent3D {
                width: panel.extent.width,
                height: panel.extent.height,
                depth: 1,
            },
            is_uploaded: Cell::new(false),
            device: Rc::clone(device),
        };
        image.create_buffer(&panel.pixels)?;
        image.create_image()?;
        let info = vk::ImageViewCreateInfo::default()
            .image(image.image)
            .view_type(vk::ImageViewType::TYPE_2D)
            .format(FORMAT)
            .subresource_range(whole());
        image.view = Some(View::new(device, &info)?);
        Ok(image)
    }

    /// A buffer that holds the pixels.
    fn create_buffer(&mut self, pixels: &[u8]) -> Result<(), Failure> {
        let info = vk::BufferCreateInfo::default()
            .size(pixels.len() as u64)
            .usage(vk::BufferUsageFlags::TRANSFER_SRC);
        let raw = self.device.raw();
        // SAFETY: vkCreateBuffer: a size above zero, as a panel has a pixel.
        let buffer = unsafe { raw.create_buffer(&info, None) };
        self.buffer = buffer.map_err(refused("vkCreateBuffer"))?;
        // SAFETY: vkGetBufferMemoryRequirements: the buffer is alive.
        let needs = unsafe { raw.get_buffer_memory_requirements(self.buffer) };
        let kind = vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
        let memory = self.allocate(needs, kind)?;
        let raw = self.device.raw();
        // SAFETY: vkBindBufferMemory: memory of its own, of the size and a type that it needs.
        let bound = unsafe { raw.bind_buffer_memory(self.buffer, memory, 0) };
        bound.map_err(refused("vkBindBufferMemory"))?;
        let (size, flags) = (vk::WHOLE_SIZE, vk::MemoryMapFlags::empty());
        // SAFETY: vkMapMemory: memory that the host can see, mapped once.
        let mapped = unsafe { raw.map_memory(memory, 0, size, flags) };
        let to = mapped.map_err(refused("vkMapMemory"))?.cast::<u8>();
        // SAFETY: ptr::copy_nonoverlapping: the mapping is as long as the buffer at least, which is as long as the pixels.
        unsafe { to.copy_from_nonoverlapping(pixels.as_ptr(), pixels.len()) };
        // SAFETY: vkUnmapMemory: mapped above, and coherent, so that nothing needs flushing.
        unsafe { raw.unmap_memory(memory) };
        Ok(())
    }

    fn create_image(&mut self) -> Result<(), Failure> {
        let info = vk::ImageCreateInfo::default()
            .image_type(vk::ImageType::TYPE_2D)
            .format(FORMAT)
            .extent(self.extent)
            .mip_levels(1)
            .array_layers(1)
            .samples(vk::SampleCountFlags::TYPE_1)
            .tiling(vk::ImageTiling::OPTIMAL)
            .usage(vk::ImageUsageFlags::TRANSFER_DST | vk::ImageUsageFlags::SAMPLED);
        let raw = self.device.raw();
        // SAFETY: vkCreateImage: every driver samples this format (the specification's required formats), in the sizes of
        // windows.
        let image = unsafe { raw.create_image(&info, None) };
        self.image = image.map_err(refused("vkCreateImage"))?;
        // SAFETY: vkGetImageMemoryRequirements: the image is alive.
        let needs = unsafe { raw.get_image_memory_requirements(self.image) };
        let memory = self.allocate(needs, vk::MemoryPropertyFlags::empty())?;
        // SAFETY: vkBindImageMemory: memory of its own, of the size and a type that it needs.
        let bound = unsafe { self.device.raw().bind_image_memory(self.image, memory, 0) };
        Ok(bound.map_err(refused("vkBindImageMemory"))?)
    }

    fn allocate(
        &mut self,
        needs: vk::MemoryRequirements,
        kind: vk::MemoryPropertyFlags,
    ) -> Result<vk::DeviceMemory, Failure> {
        let number = self.device.memory_type(needs.memory_type_bits, kind)?;
        let info = vk::MemoryAllocateInfo::default()
            .allocation_size(needs.size)
            .memory_type_index(number);
        // SAFETY: vkAllocateMemory: a type of this device.
        let memory = unsafe { self.device.raw().allocate_memory(&info, None) };
        let memory = memory.map_err(refused("vkAllocateMemory"))?;
        self.memory.push(memory);
        Ok(memory)
    }

    pub(super) fn view(&self) -> vk::ImageView {
        self.view.as_ref().map_or(vk::ImageView::null(), View::raw)
    }

    /// Records the upload, once. The commands must be submitted.
    pub(super) fn upload(&self, commands: vk::CommandBuffer) {
        if self.is_uploaded.replace(true) {
            return;
        }
        let (from, to) = (
            vk::ImageLayout::UNDEFINED,
            vk::ImageLayout::TRANSFER_DST_OPTIMAL,
        );
        self.barrier(commands, [from, to]);
        let region = vk::BufferImageCopy::default()
            .image_subresource(
                vk::ImageSubresourceLayers::default()
                    .aspect_mask(vk::ImageAspectFlags::COLOR)
                    .layer_count(1),
            )
            .image_extent(self.extent);
        let raw = self.device.raw();
        let (buffer, image) = (self.buffer, self.image);
        // SAFETY: vkCmdCopyBufferToImage: recording outside a render pass; the buffer holds the region's bytes, and the image
        // is in this layout.
        unsafe { raw.cmd_copy_buffer_to_image(commands, buffer, image, to, &[region]) };
        self.barrier(commands, [to, vk::ImageLayout::SHADER_READ_ONLY_OPTIMAL]);
    }

    /// From one layout to the next, before and after the copy.
    fn barrier(&self, commands: vk::CommandBuffer, [from, to]: [vk::ImageLayout; 2]) {
        use vk::{AccessFlags, PipelineStageFlags};
        let is_before = from == vk::ImageLayout::UNDEFINED;
        let (stages, access) = if is_before {
            (
                [
                    PipelineStageFlags::TOP_OF_PIPE,
                    PipelineStageFlags::TRANSFER,
                ],
                [AccessFlags::empty(), AccessFlags::TRANSFER_WRITE],
            )
        } else {
            (
                [
                    PipelineStageFlags::TRANSFER,
                    PipelineStageFlags::FRAGMENT_SHADER,
                ],
                [AccessFlags::TRANSFER_WRITE, AccessFlags::SHADER_READ],
            )
        };
        let barrier = vk::ImageMemoryBarrier::default()
            .image(self.image)
            .old_layout(from)
            .new_layout(to)
            .src_access_mask(access[0])
            .dst_access_mask(access[1])
            .src_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
            .dst_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
            .subresource_range(whole());
        let (raw, flags) = (self.device.raw(), vk::DependencyFlags::empty());
        let [before, after] = stages;
        // SAFETY: vkCmdPipelineBarrier: recording outside a render pass; the image is alive until its commands have finished
        // (`Drop`).
        unsafe {
            raw.cmd_pipeline_barrier(commands, before, after, flags, &[], &[], &[barrier]);
        }
    }
}

fn whole() -> vk::ImageSubresourceRange {
    vk::ImageSubresourceRange::default()
        .aspect_mask(vk::ImageAspectFlags::COLOR)
        .level_count(1)
        .layer_count(1)
}

impl Drop for PanelImage {
    fn drop(&mut self) {
        self.device.wait_idle();
        // Before its image.
        self.view = None;
        let raw = self.device.raw();
        // SAFETY: vkDestroyImage: nothing is under way that uses it. Null is allowed.
        unsafe { raw.destroy_image(self.image, None) };
        // SAFETY: vkDestroyBuffer: as above.
        unsafe { raw.destroy_buffer(self.buffer, None) };
        for memory in self.memory.drain(..) {
            // SAFETY: vkFreeMemory: what lay in it is destroyed.
            unsafe { raw.free_memory(memory, None) };
        }
    }
}
