//! Images that lie in a frame's memfd itself (`VK_EXT_external_memory_host`): host memory without a copy.

use std::sync::Arc;

use ash::vk;

use super::device::Device;
use super::image::Bound;
use super::inner::DeviceInner;
use super::memory::{HOST_POINTER, bind, create_image, host_memory, image_info};
use super::object::Owned;
use super::{offer, support};
use crate::error::{Error, Requirement, Result, Support};
use crate::format::FormatInfo;
use crate::frame::{Frame, Memory};
use crate::kernel::{Mapping, Memfd};
use crate::layout::{
    Extent, FrameLayout, LINEAR_HEIGHT_ALIGNMENT, LINEAR_TAIL_BYTES, PAGE_BYTES, Plane, Tiling,
};
use crate::modifier::Modifier;
use crate::negotiate::Usage;

/// Makes a frame in host memory and an image in it, or `None` where this device had better copy.
pub(super) fn export(
    device: &Arc<DeviceInner>,
    extent: Extent,
    info: &FormatInfo,
    usage: Usage,
) -> Result<Option<(Bound, Frame)>> {
    if !places(device).is_yes() {
        return Ok(None);
    }
    let Some((image, place)) = linear_image(device, extent, info, usage)? else {
        return Ok(None);
    };
    // SAFETY: vkGetImageMemoryRequirements with an image of this device that is not disjoint.
    let needs = unsafe { device.device.get_image_memory_requirements(image.raw()) };
    let rows = u64::from(extent.height.next_multiple_of(LINEAR_HEIGHT_ALIGNMENT));
    let padded = place
        .pitch
        .checked_mul(rows)
        .and_then(|bytes| bytes.checked_add(place.offset))
        .and_then(|bytes| bytes.checked_add(LINEAR_TAIL_BYTES))
        .ok_or_else(|| Error::driver("vkGetImageSubresourceLayout", "a pitch beyond 64 bits"))?;
    let granule = device
        .adapter
        .inner()
        .host_pointer_alignment
        .max(PAGE_BYTES);
    let size = needs.size.max(padded).next_multiple_of(granule);
    let tiling = Tiling::Explicit(Modifier::LINEAR);
    let layout = FrameLayout::new(extent, info.format, tiling, &[place], &[size])?;
    let memfd = Memfd::create("lucarne-frame", size)?;
    let mapping = Mapping::new(&memfd)?;
    let Some(memory) = import(device, &image, &mapping)? else {
        return Ok(None);
    };
    let id = device.adapter.inner().id().clone();
    let frame = Frame::new(layout, Memory::HostMemory(memfd), id)?;
    Ok(Some((in_place(image, memory, mapping), frame)))
}

/// Makes an image in a frame's own host memory, or `None` where this driver would place the rows differently.
pub(super) fn over(
    device: &Arc<DeviceInner>,
    frame: &Frame,
    info: &FormatInfo,
    usage: Usage,
) -> Result<Option<Bound>> {
    let (Memory::HostMemory(memfd), [plane]) = (frame.memory(), frame.layout().planes()) else {
        return Ok(None);
    };
    if !places(device).is_yes() {
        return Ok(None);
    }
    let extent = frame.layout().extent();
    let Some((image, place)) = linear_image(device, extent, info, usage)? else {
        return Ok(None);
    };
    if place != *plane {
        return Ok(None);
    }
    let mapping = Mapping::new(memfd)?;
    let memory = import(device, &image, &mapping)?;
    Ok(memory.map(|memory| in_place(image, memory, mapping)))
}

fn in_place(image: Owned<vk::Image>, memory: Owned<vk::DeviceMemory>, mapping: Mapping) -> Bound {
    Bound {
        image,
        staging: None,
        _memory: vec![memory],
        in_place: Some(mapping),
    }
}

impl Device {
    /// Whether images lie in host memory itself where the driver can place them there ([`Image::copies_per_frame`] is 0), or why
    /// this device copies every frame that goes through host memory.
    ///
    /// [`Image::copies_per_frame`]: super::Image::copies_per_frame
    pub fn host_memory_in_place(&self) -> Support {
        places(self.inner())
    }
}

/// Whether drawing into memory of the host costs no more than copying into it: on graphics cards of their own each
/// access would cross the bus.
fn places(device: &DeviceInner) -> Support {
    let adapter = device.adapter.inner();
    // SAFETY: vkGetPhysicalDeviceProperties with a physical device of this instance.
    let properties = unsafe {
        adapter
            .instance
            .get_physical_device_properties(adapter.physical)
    };
    if properties.device_type == vk::PhysicalDeviceType::DISCRETE_GPU {
        let reason = "a device that draws into host memory itself: a graphics card would copy";
        return Support::no(Requirement::other(reason));
    }
    if device.memory_host.is_none() {
        let name = ash::ext::external_memory_host::NAME;
        return Support::no(support::extension(adapter, name));
    }
    Support::Yes(())
}

/// A LINEAR image and where the driver puts its rows, or `None` where the driver cannot make one for `usage`.
fn linear_image(
    device: &Arc<DeviceInner>,
    extent: Extent,
    info: &FormatInfo,
    usage: Usage,
) -> Result<Option<(Owned<vk::Image>, Plane)>> {
    if !offer::takes_host_pointers(device.adapter.inner(), info, usage, extent)? {
        return Ok(None);
    }
    let mut external = vk::ExternalMemoryImageCreateInfo::default().handle_types(HOST_POINTER);
    let create = image_info(extent, info, usage)
        .tiling(vk::ImageTiling::LINEAR)
        .push_next(&mut external);
    let image = create_image(device, &create)?;
    let color = vk::ImageSubresource::default().aspect_mask(vk::ImageAspectFlags::COLOR);
    // SAFETY: vkGetImageSubresourceLayout: a linear colour image with one level and one layer.
    let layout = unsafe {
        device
            .device
            .get_image_subresource_layout(image.raw(), color)
    };
    let place = Plane {
        object: 0,
        offset: layout.offset,
        pitch: layout.row_pitch,
    };
    Ok(Some((image, place)))
}

/// The mapping as memory of the device, bound to the image, or `None` where they do not go together.
fn import(
    device: &Arc<DeviceInner>,
    image: &Owned<vk::Image>,
    mapping: &Mapping,
) -> Result<Option<Owned<vk::DeviceMemory>>> {
    // SAFETY: vkGetImageMemoryRequirements with an image of this device that is not disjoint.
    let needs = unsafe { device.device.get_image_memory_requirements(image.raw()) };
    if needs.size > mapping.len() as u64 {
        return Ok(None);
    }
    let Some(memory) = host_memory(device, mapping, needs.memory_type_bits)? else {
        return Ok(None);
    };
    bind(device, image, &memory)?;
    Ok(Some(memory))
}
