//! Copies a shared image's bytes out, as a consumer in Vulkan would.

use ash::vk;
use lucarne::vulkan::{Access, Device, Image};
use lucarne::{Fence, Result};

use crate::TIMEOUT;
use crate::writer::host_visible;

/// A host-visible buffer, and the copy into it.
#[expect(
    missing_debug_implementations,
    reason = "a test fixture; nothing prints it"
)]
pub struct Download {
    device: Device,
    buffer: vk::Buffer,
    memory: vk::DeviceMemory,
    bytes: usize,
}

impl Download {
    /// For images of exactly `bytes` bytes, rows without padding.
    ///
    /// # Panics
    ///
    /// When the device has no host-visible memory.
    pub fn new(device: &Device, bytes: usize) -> Self {
        let raw = device.raw();
        let create = vk::BufferCreateInfo::default()
            .size(bytes as u64)
            .usage(vk::BufferUsageFlags::TRANSFER_DST);
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

    /// Reads `image`, rows without padding; returns the bytes and the release fence.
    ///
    /// # Errors
    ///
    /// Those of [`Device::read`].
    ///
    /// # Panics
    ///
    /// When the device does not become idle.
    pub fn read(&self, image: &Image, acquire: &Fence) -> Result<(Vec<u8>, Fence)> {
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
        let access = Access::TransferSource;
        let release = self
            .device
            .read(image, acquire, TIMEOUT, access, |commands| {
                // SAFETY: vkCmdCopyImageToBuffer: the image is in this layout (`Device::read`), the buffer holds every
                // row. Waiting for the device to be idle makes coherent memory visible to the host.
                unsafe {
                    self.device.raw().cmd_copy_image_to_buffer(
                        commands,
                        image.raw(),
                        vk::ImageLayout::TRANSFER_SRC_OPTIMAL,
                        self.buffer,
                        &[region],
                    );
                }
            })?;
        self.wait_idle();
        Ok((self.bytes(), release))
    }

    fn bytes(&self) -> Vec<u8> {
        let raw = self.device.raw();
        let flags = vk::MemoryMapFlags::empty();
        let mut bytes = vec![0_u8; self.bytes];
        // SAFETY: vkMapMemory: host-visible and not mapped.
        let address =
            unsafe { raw.map_memory(self.memory, 0, vk::WHOLE_SIZE, flags) }.expect("a map");
        // SAFETY: the mapping is as large as the buffer, which is as large as `bytes`.
        unsafe {
            std::ptr::copy_nonoverlapping(address.cast(), bytes.as_mut_ptr(), self.bytes);
        }
        // SAFETY: vkUnmapMemory of what was mapped above.
        unsafe { raw.unmap_memory(self.memory) };
        bytes
    }

    fn wait_idle(&self) {
        // SAFETY: vkDeviceWaitIdle: tests use a device from one thread.
        unsafe { self.device.raw().device_wait_idle() }.expect("an idle device");
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.wait_idle();
        // SAFETY: vkDestroyBuffer, once, idle.
        unsafe { self.device.raw().destroy_buffer(self.buffer, None) };
        // SAFETY: vkFreeMemory, once, idle.
        unsafe { self.device.raw().free_memory(self.memory, None) };
    }
}
