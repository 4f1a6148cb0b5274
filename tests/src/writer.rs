//! Copies bytes into a shared image, as a producer would render.

use ash::vk;
use lucarne::vulkan::{Access, Device, Image};
use lucarne::{Fence, Result};

use crate::TIMEOUT;

/// A host-visible buffer, and the copy out of it.
#[expect(
    missing_debug_implementations,
    reason = "a test fixture; nothing prints it"
)]
pub struct Writer {
    device: Device,
    buffer: vk::Buffer,
    memory: vk::DeviceMemory,
    bytes: usize,
}

impl Writer {
    /// A writer for images of at most `bytes` bytes, rows without padding.
    ///
    /// # Panics
    ///
    /// When the device has no host-visible memory.
    pub fn new(device: &Device, bytes: usize) -> Self {
        let raw = device.raw();
        let create = vk::BufferCreateInfo::default()
            .size(bytes as u64)
            .usage(vk::BufferUsageFlags::TRANSFER_SRC);
        // SAFETY: vkCreateBuffer with a size above zero.
        let buffer = unsafe { raw.create_buffer(&create, None) }.expect("a buffer");
        // SAFETY: vkGetBufferMemoryRequirements with a buffer of this device.
        let needs = unsafe { raw.get_buffer_memory_requirements(buffer) };
        let allocate = vk::MemoryAllocateInfo::default()
            .allocation_size(needs.size)
            .memory_type_index(host_visible(device, needs.memory_type_bits));
        // SAFETY: vkAllocateMemory with the size and a type that the buffer asks for.
        let memory = unsafe { raw.allocate_memory(&allocate, None) }.expect("memory");
        // SAFETY: vkBindBufferMemory, once, at offset 0.
        unsafe { raw.bind_buffer_memory(buffer, memory, 0) }.expect("bound memory");
        Self {
            device: device.clone(),
            buffer,
            memory,
            bytes,
        }
    }

    /// Writes `bytes`, rows without padding, into `image`; returns the acquire fence.
    ///
    /// # Errors
    ///
    /// Those of [`Device::write`].
    ///
    /// # Panics
    ///
    /// When there are more bytes than the writer was made for.
    pub fn write(&self, image: &Image, gate: &Fence, bytes: &[u8]) -> Result<Fence> {
        assert!(bytes.len() <= self.bytes, "the writer is too small");
        self.fill(bytes);
        let extent = image.frame().layout().extent();
        let region = vk::BufferImageCopy::default()
            .image_subresource(
                vk::ImageSubresourceLayers::default()
                    .aspect_mask(vk::ImageAspectFlags::COLOR)
                    .layer_count(1),
            )
            .image_extent(vk::Extent3D {
                width: extent.width,
                height: extent.height,
                depth: 1,
            });
        let access = Access::TransferDestination;
        let written = self.device.write(image, gate, TIMEOUT, access, |commands| {
            // SAFETY: vkCmdCopyBufferToImage: the image is in this layout (`Device::write`), the buffer holds every row.
            unsafe {
                self.device.raw().cmd_copy_buffer_to_image(
                    commands,
                    self.buffer,
                    image.raw(),
                    vk::ImageLayout::TRANSFER_DST_OPTIMAL,
                    &[region],
                );
            }
        });
        // The buffer is filled again for the next frame.
        self.wait_idle();
        written
    }

    fn fill(&self, bytes: &[u8]) {
        let raw = self.device.raw();
        let flags = vk::MemoryMapFlags::empty();
        // SAFETY: vkMapMemory: host-visible and not mapped.
        let address =
            unsafe { raw.map_memory(self.memory, 0, vk::WHOLE_SIZE, flags) }.expect("a map");
        // SAFETY: the mapping is as large as the buffer, which is at least as large as `bytes`.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address.cast(), bytes.len()) };
        // SAFETY: vkUnmapMemory of what was mapped above.
        unsafe { raw.unmap_memory(self.memory) };
    }

    fn wait_idle(&self) {
        // SAFETY: vkDeviceWaitIdle: tests use a device from one thread.
        unsafe { self.device.raw().device_wait_idle() }.expect("an idle device");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.wait_idle();
        // SAFETY: vkDestroyBuffer, once, idle.
        unsafe { self.device.raw().destroy_buffer(self.buffer, None) };
        // SAFETY: vkFreeMemory, once, idle.
        unsafe { self.device.raw().free_memory(self.memory, None) };
    }
}

pub(crate) fn host_visible(device: &Device, allowed: u32) -> u32 {
    let wanted = vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
    let properties = device.adapter().memory_properties();
    (0_u32..)
        .zip(properties.memory_types_as_slice())
        .find(|(index, kind)| allowed & (1 << index) != 0 && kind.property_flags.contains(wanted))
        .map(|(index, _)| index)
        .expect("every Vulkan device has host-visible memory")
}
