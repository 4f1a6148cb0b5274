//! Images and their dedicated memory.

use std::sync::Arc;

use ash::vk;

use super::inner::DeviceInner;
use super::object::Owned;
use super::{conv, failed};
use crate::error::{Error, Result};
use crate::format::FormatInfo;
use crate::kernel::Mapping;
use crate::layout::Extent;
use crate::negotiate::Usage;

/// Memory of the host, as pointers to it.
pub(super) const HOST_POINTER: vk::ExternalMemoryHandleTypeFlags =
    vk::ExternalMemoryHandleTypeFlags::HOST_ALLOCATION_EXT;

/// A plain two-dimensional colour image.
pub(super) fn image_info(
    extent: Extent,
    info: &FormatInfo,
    usage: Usage,
) -> vk::ImageCreateInfo<'static> {
    vk::ImageCreateInfo::default()
        .image_type(vk::ImageType::TYPE_2D)
        .format(conv::vk_format(info))
        .extent(conv::extent_3d(extent))
        .mip_levels(1)
        .array_layers(1)
        .samples(vk::SampleCountFlags::TYPE_1)
        .usage(conv::image_usage(usage))
        .sharing_mode(vk::SharingMode::EXCLUSIVE)
        .initial_layout(vk::ImageLayout::UNDEFINED)
}

pub(super) fn create_image(
    device: &Arc<DeviceInner>,
    create: &vk::ImageCreateInfo<'_>,
) -> Result<Owned<vk::Image>> {
    // SAFETY: vkCreateImage (VUID-VkImageCreateInfo-imageCreateMaxMipLevels-02251): callers have found format,
    // tiling, usage and extent in the driver's own answers; all pointers are locals of the callers.
    let image =
        unsafe { device.device.create_image(create, None) }.map_err(failed("vkCreateImage"))?;
    Ok(Owned::new(device, image))
}

/// Memory for this image alone, exportable as exactly `handle`: some drivers export the wrong type when asked for two.
pub(super) fn allocate(
    device: &Arc<DeviceInner>,
    image: &Owned<vk::Image>,
    handle: Option<vk::ExternalMemoryHandleTypeFlags>,
    preferred: vk::MemoryPropertyFlags,
) -> Result<(Owned<vk::DeviceMemory>, u64)> {
    // SAFETY: vkGetImageMemoryRequirements with an image of this device that is not disjoint.
    let needs = unsafe { device.device.get_image_memory_requirements(image.raw()) };
    let none = vk::MemoryPropertyFlags::empty();
    let index = device
        .memory_type(needs.memory_type_bits, none, preferred)
        .ok_or_else(|| Error::driver("vkGetImageMemoryRequirements", "no memory type"))?;
    let mut dedicated = vk::MemoryDedicatedAllocateInfo::default().image(image.raw());
    let mut export = vk::ExportMemoryAllocateInfo::default();
    let mut allocate = vk::MemoryAllocateInfo::default()
        .allocation_size(needs.size)
        .memory_type_index(index)
        .push_next(&mut dedicated);
    if let Some(handle) = handle {
        export = export.handle_types(handle);
        allocate = allocate.push_next(&mut export);
    }
    // SAFETY: vkAllocateMemory: size and type are the driver's own; VUID-VkMemoryDedicatedAllocateInfo-image-02964:
    // the size is exactly the image's; VUID-VkExportMemoryAllocateInfo-handleTypes-00656: the driver offers `handle`.
    let memory = unsafe { device.device.allocate_memory(&allocate, None) }.map_err(|result| {
        Error::Driver {
            call: "vkAllocateMemory",
            code: super::code(result),
            help: format!(
                "{} bytes; a software driver makes dma-bufs through /dev/udmabuf, whose limit is in \
                 /sys/module/udmabuf/parameters/size_limit_mb",
                needs.size
            ),
        }
    })?;
    let memory = Owned::new(device, memory);
    bind(device, image, &memory)?;
    Ok((memory, needs.size))
}

/// Binds dedicated memory to its image.
pub(super) fn bind(
    device: &DeviceInner,
    image: &Owned<vk::Image>,
    memory: &Owned<vk::DeviceMemory>,
) -> Result<()> {
    // SAFETY: vkBindImageMemory: not bound before; dedicated memory binds at offset 0
    // (VUID-vkBindImageMemory-memory-02628).
    unsafe {
        device
            .device
            .bind_image_memory(image.raw(), memory.raw(), 0)
    }
    .map_err(failed("vkBindImageMemory"))
}

/// The type for imported memory of one of the types `allowed`.
pub(super) fn memory_type(device: &DeviceInner, allowed: u32) -> Result<u32> {
    let none = vk::MemoryPropertyFlags::empty();
    let local = vk::MemoryPropertyFlags::DEVICE_LOCAL;
    device
        .memory_type(allowed, none, local)
        .ok_or_else(|| Error::Driver {
            call: "vkGetMemoryFdPropertiesKHR",
            code: "no memory type in common with the image".to_owned(),
            help: "the driver cannot use this buffer's memory for such an image".to_owned(),
        })
}

/// A mapping's pages as device memory, coherent with the host, or `None` where the device cannot.
pub(super) fn host_memory(
    device: &Arc<DeviceInner>,
    mapping: &Mapping,
    allowed: u32,
) -> Result<Option<Owned<vk::DeviceMemory>>> {
    let Some(functions) = &device.memory_host else {
        return Ok(None);
    };
    let alignment = device.adapter.inner().host_pointer_alignment;
    let size = mapping.len() as u64;
    let address = mapping.address().as_ptr();
    if alignment == 0
        || !size.is_multiple_of(alignment)
        || !(address.addr() as u64).is_multiple_of(alignment)
    {
        return Ok(None);
    }
    let mut properties = vk::MemoryHostPointerPropertiesEXT::default();
    let query = functions.fp().get_memory_host_pointer_properties_ext;
    // SAFETY: vkGetMemoryHostPointerPropertiesEXT: the pointer is aligned as the device asks (checked above) and of a
    // live mapping; the extension is enabled.
    let result = unsafe {
        query(
            device.device.handle(),
            HOST_POINTER,
            address.cast(),
            &raw mut properties,
        )
    };
    if result != vk::Result::SUCCESS {
        return Ok(None);
    }
    let coherent = vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
    let allowed = allowed & properties.memory_type_bits;
    let none = vk::MemoryPropertyFlags::empty();
    let Some(index) = device.memory_type(allowed, coherent, none) else {
        return Ok(None);
    };
    let mut import = vk::ImportMemoryHostPointerInfoEXT::default()
        .handle_type(HOST_POINTER)
        .host_pointer(address.cast());
    let allocate = vk::MemoryAllocateInfo::default()
        .allocation_size(size)
        .memory_type_index(index)
        .push_next(&mut import);
    // SAFETY: vkAllocateMemory importing host memory: aligned, of a size that is a multiple of the alignment, of a type
    // the pointer allows; callers keep the mapping beside this memory and drop it after it.
    match unsafe { device.device.allocate_memory(&allocate, None) } {
        Ok(memory) => Ok(Some(Owned::new(device, memory))),
        Err(lost @ vk::Result::ERROR_DEVICE_LOST) => Err(failed("vkAllocateMemory")(lost)),
        // Pages that cannot be imported, limits on locked memory: there are other ways.
        Err(_) => Ok(None),
    }
}
