//! Vulkan objects that end themselves, and memory for them.

use ash::vk;
use std::rc::Rc;

/// A device, and what memory it has.
pub(crate) struct Gpu {
    pub(crate) device: ash::Device,
    pub(crate) memory: vk::PhysicalDeviceMemoryProperties,
}

/// A Vulkan object with one function that destroys it.
pub(crate) trait Object: Copy {
    /// # Safety
    ///
    /// `self` is a live object of `device` that nothing uses any more.
    unsafe fn destroy(self, device: &ash::Device);
}

macro_rules! objects {
    ($($object:ident: $destroy:ident),* $(,)?) => {$(
        impl Object for vk::$object {
            unsafe fn destroy(self, device: &ash::Device) {
                // SAFETY: the caller of `Object::destroy` owes what every vkDestroy and vkFree asks:
                // a live object of this device, not in use; no allocator was given at creation.
                unsafe { device.$destroy(self, None) }
            }
        }
    )*};
}

objects! {
    Buffer: destroy_buffer,
    DeviceMemory: free_memory,
    Framebuffer: destroy_framebuffer,
    Image: destroy_image,
    ImageView: destroy_image_view,
    Pipeline: destroy_pipeline,
    PipelineLayout: destroy_pipeline_layout,
    RenderPass: destroy_render_pass,
    ShaderModule: destroy_shader_module,
}

/// Destroys its object when dropped. The owner sees to it that the device is idle then.
pub(crate) struct Owned<T: Object> {
    gpu: Rc<Gpu>,
    object: T,
}

impl<T: Object> Owned<T> {
    /// Takes an object that was just created on this device.
    pub(crate) fn new(gpu: &Rc<Gpu>, object: T) -> Self {
        Self {
            gpu: Rc::clone(gpu),
            object,
        }
    }

    pub(crate) fn raw(&self) -> T {
        self.object
    }
}

impl<T: Object> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: created on this device (`new`), destroyed once (here), and idle: `Scene` waits for
        // the device before it drops its objects, and a failed construction has submitted nothing.
        unsafe { self.object.destroy(&self.gpu.device) }
    }
}

impl Gpu {
    fn allocate(
        self: &Rc<Self>,
        needs: vk::MemoryRequirements,
        wanted: vk::MemoryPropertyFlags,
    ) -> Result<Owned<vk::DeviceMemory>, vk::Result> {
        let index = (0..self.memory.memory_type_count)
            .zip(&self.memory.memory_types)
            .find(|(i, kind)| {
                needs.memory_type_bits >> i & 1 == 1 && kind.property_flags.contains(wanted)
            })
            .ok_or(vk::Result::ERROR_OUT_OF_DEVICE_MEMORY)?
            .0;
        let info = vk::MemoryAllocateInfo::default()
            .allocation_size(needs.size)
            .memory_type_index(index);
        // SAFETY: VUID-vkAllocateMemory-pAllocateInfo-01714: the index is below memoryTypeCount.
        let memory = unsafe { self.device.allocate_memory(&info, None) }?;
        Ok(Owned::new(self, memory))
    }
}

/// A buffer with its memory, filled once.
pub(crate) struct Buffer {
    pub(crate) raw: Owned<vk::Buffer>,
    _memory: Owned<vk::DeviceMemory>,
}

impl Buffer {
    pub(crate) fn new(
        gpu: &Rc<Gpu>,
        usage: vk::BufferUsageFlags,
        bytes: &[u8],
    ) -> Result<Self, vk::Result> {
        let size = bytes.len() as vk::DeviceSize;
        let info = vk::BufferCreateInfo::default().size(size).usage(usage);
        // SAFETY: VUID-VkBufferCreateInfo-size-00912: the meshes are not empty; exclusive sharing.
        let raw = unsafe { gpu.device.create_buffer(&info, None) }?;
        let raw = Owned::new(gpu, raw);
        // SAFETY: a live buffer of this device.
        let needs = unsafe { gpu.device.get_buffer_memory_requirements(raw.raw()) };
        let visible =
            vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
        let memory = gpu.allocate(needs, visible)?;
        // SAFETY: VUID-vkBindBufferMemory-*: fresh buffer, memory of its own requirements, offset 0.
        unsafe { gpu.device.bind_buffer_memory(raw.raw(), memory.raw(), 0) }?;
        let flags = vk::MemoryMapFlags::empty();
        // SAFETY: VUID-vkMapMemory-memory-00682: host-visible, not mapped yet; size fits its needs.
        let to = unsafe { gpu.device.map_memory(memory.raw(), 0, size, flags) }?;
        // SAFETY: `to` points at `bytes.len()` mapped bytes that nobody else knows of yet.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.cast(), bytes.len()) };
        // SAFETY: VUID-vkUnmapMemory-memory-00689: it is mapped; coherent, so nothing to flush.
        unsafe { gpu.device.unmap_memory(memory.raw()) };
        Ok(Self {
            raw,
            _memory: memory,
        })
    }
}

/// A depth image that only render passes touch, with its memory and a view of it.
pub(crate) struct DepthImage {
    pub(crate) view: Owned<vk::ImageView>,
    _raw: Owned<vk::Image>,
    _memory: Owned<vk::DeviceMemory>,
}

impl DepthImage {
    pub(crate) fn new(
        gpu: &Rc<Gpu>,
        format: vk::Format,
        extent: vk::Extent2D,
    ) -> Result<Self, vk::Result> {
        let info = vk::ImageCreateInfo::default()
            .image_type(vk::ImageType::TYPE_2D)
            .format(format)
            .extent(vk::Extent3D {
                width: extent.width,
                height: extent.height,
                depth: 1,
            })
            .mip_levels(1)
            .array_layers(1)
            .samples(vk::SampleCountFlags::TYPE_1)
            .usage(vk::ImageUsageFlags::DEPTH_STENCIL_ATTACHMENT);
        // SAFETY: VUID-VkImageCreateInfo-*: one mip, one layer, one sample, optimal tiling, a format
        // that every implementation has for depth, the extent of the shared images.
        let raw = unsafe { gpu.device.create_image(&info, None) }?;
        let raw = Owned::new(gpu, raw);
        // SAFETY: a live image of this device.
        let needs = unsafe { gpu.device.get_image_memory_requirements(raw.raw()) };
        let memory = gpu.allocate(needs, vk::MemoryPropertyFlags::DEVICE_LOCAL)?;
        // SAFETY: VUID-vkBindImageMemory-*: fresh image, memory of its own requirements, offset 0.
        unsafe { gpu.device.bind_image_memory(raw.raw(), memory.raw(), 0) }?;
        let range = vk::ImageSubresourceRange::default()
            .aspect_mask(vk::ImageAspectFlags::DEPTH)
            .level_count(1)
            .layer_count(1);
        let info = vk::ImageViewCreateInfo::default()
            .image(raw.raw())
            .view_type(vk::ImageViewType::TYPE_2D)
            .format(format)
            .subresource_range(range);
        let view = view(gpu, &info)?;
        Ok(Self {
            view,
            _raw: raw,
            _memory: memory,
        })
    }
}

/// A view of an image of this device.
pub(crate) fn view(
    gpu: &Rc<Gpu>,
    info: &vk::ImageViewCreateInfo<'_>,
) -> Result<Owned<vk::ImageView>, vk::Result> {
    // SAFETY: VUID-VkImageViewCreateInfo-*: a bound image of this device (`DepthImage::new`, or by the contract of
    // `Scene::add_target`), viewed as what it is.
    let view = unsafe { gpu.device.create_image_view(info, None) }?;
    Ok(Owned::new(gpu, view))
}
