//! Images and their dedicated memory.

use std::sync::Arc;

use ash::vk;

use super::device::DeviceInner;
use super::object::Owned;
use super::{conv, failed};
use crate::error::{Error, Result};
use crate::format::FormatInfo;
use crate::layout::Extent;
use crate::negotiate::Usage;

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
