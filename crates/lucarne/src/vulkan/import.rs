//! Images in memory that others made.

use std::os::fd::AsFd;
use std::sync::Arc;

use ash::vk;

use super::device::Device;
use super::image::{Bound, Image};
use super::inner::DeviceInner;
use super::memory::{allocate, bind, create_image, image_info, memory_type};
use super::object::Owned;
use super::owner::Owner;
use super::planes::{self, Binding};
use super::staging::{Direction, Staging, check_room};
use super::{handoff, host, offer};
use crate::device_id::Comparison;
use crate::error::{Error, Result};
use crate::format::FormatInfo;
use crate::frame::{Frame, Memory, OpaqueFd};
use crate::kernel::DmaBuf;
use crate::layout::FrameLayout;
use crate::negotiate::{MemoryPath, Usage, find_import};
use crate::quirks;

impl Device {
    /// Makes an image over a frame's memory, to be used as `usage` says.
    ///
    /// The frame's descriptors are lent; the image keeps the frame's memory alive. For
    /// [`MemoryPath::OpaqueFd`] `usage` must be what both sides do together
    /// (`agreement.producer | agreement.consumer`), as the driver lays the memory out by it. On the host memory path the
    /// image lies in the frame's memory where this driver would place the rows in the same way
    /// ([`Image::copies_per_frame`] is 0 then). Otherwise the image has memory of its own, and [`Device::read`] copies the
    /// frame into it.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] when the path's extensions are not enabled, or this device cannot import the format and
    /// modifier for `usage` (the error lists what it can); [`Error::ForeignDevice`] when this device cannot read the
    /// memory, as another device made it; [`Error::Invalid`] for another number of memory
    /// planes than the driver has for the modifier, when the buffer is smaller than this driver needs, or when host
    /// memory is far larger than the layout needs; [`Error::Driver`].
    ///
    /// # References
    ///
    /// [External memory handle types](https://docs.vulkan.org/spec/latest/chapters/capabilities.html#external-memory-handle-types-compatibility),
    /// [`VkImportMemoryFdInfoKHR`](https://docs.vulkan.org/refpages/latest/refpages/source/VkImportMemoryFdInfoKHR.html)
    #[doc(alias = "VkImportMemoryFdInfoKHR")]
    pub fn import(&self, frame: &Frame, usage: Usage) -> Result<Image> {
        self.import_as(frame, frame.layout().format_info(), usage)
    }

    /// Makes the image of `info`'s `VkFormat`.
    pub(super) fn import_as(
        &self,
        frame: &Frame,
        info: &FormatInfo,
        usage: Usage,
    ) -> Result<Image> {
        let path = frame.memory().path();
        self.path(path)
            .require(&format!("importing {path} frames into Vulkan"))?;
        self.check_importable(frame, info, usage)?;
        let made = match frame.memory() {
            Memory::DmaBuf(buffers) => import_dma_buf(self.inner(), frame, info, usage, buffers),
            Memory::OpaqueFd(memory) => import_opaque(self.inner(), frame, info, usage, memory),
            Memory::HostMemory(_) => import_host(self.inner(), frame, info, usage),
        };
        made.map_err(|error| frame.explain_refusal(error))
    }

    fn check_importable(&self, frame: &Frame, info: &FormatInfo, usage: Usage) -> Result<()> {
        let inner = self.inner();
        check_device(inner, frame)?;
        let layout = frame.layout();
        let path = frame.memory().path();
        let entries = if offer::can_ask_about(info) {
            let adapter = inner.adapter.inner();
            offer::format_entries(adapter, &|name| inner.enabled(name), info, usage)?
        } else {
            Vec::new()
        };
        let entry = find_import(&entries, inner.adapter.name(), layout, path, usage)?;
        if !layout.extent().fits(entry.max_extent) {
            return Err(Error::invalid(
                "extent",
                layout.extent(),
                format!("at most {}", entry.max_extent),
            ));
        }
        Ok(())
    }
}

/// Tiled memory, memory objects and emulated buffers mean something to their own device only.
fn check_device(device: &DeviceInner, frame: &Frame) -> Result<()> {
    let id = device.adapter.inner().id();
    let linear = frame
        .layout()
        .tiling()
        .modifier()
        .is_some_and(|modifier| modifier.is_linear());
    let foreign = match frame.memory().path() {
        MemoryPath::DmaBuf if frame.is_emulated() => !id.software,
        MemoryPath::DmaBuf => !linear && frame.device().compare(id) == Comparison::Different,
        MemoryPath::OpaqueFd => frame.device().compare_driver(id) != Comparison::Same,
        MemoryPath::HostMemory => false,
    };
    if foreign {
        return Err(Error::ForeignDevice {
            memory: frame.memory().path().name(),
            frame: Box::new(frame.device().clone()),
            device: Box::new(id.clone()),
        });
    }
    Ok(())
}

/// Others have had it.
fn finish(
    device: &Arc<DeviceInner>,
    bound: (Owned<vk::Image>, Vec<Owned<vk::DeviceMemory>>),
    staging: Option<Staging>,
    frame: &Frame,
    info: &FormatInfo,
    usage: Usage,
) -> Result<Image> {
    let bound = Bound {
        image: bound.0,
        staging,
        _memory: bound.1,
        in_place: None,
    };
    Image::new(device, Owner::Others, bound, frame.clone(), info, usage)
}

fn import_dma_buf(
    device: &Arc<DeviceInner>,
    frame: &Frame,
    info: &FormatInfo,
    usage: Usage,
    buffers: &[DmaBuf],
) -> Result<Image> {
    let layout = frame.layout();
    let Some(modifier) = layout.tiling().modifier() else {
        return Err(Error::invalid(
            "tiling",
            layout.tiling(),
            "an explicit modifier",
        ));
    };
    device.adapter.inner().quirks.check_linear(layout)?;
    let handle = vk::ExternalMemoryHandleTypeFlags::DMA_BUF_EXT;
    let listed = offer::modifiers(device.adapter.inner(), info);
    let listed = listed.iter().find(|one| one.modifier == modifier);
    let features = listed.map_or(vk::FormatFeatureFlags::empty(), |one| one.features);
    let binding = Binding::plan(layout, features)?;
    if binding != Binding::Whole {
        offer::require_disjoint(device.adapter.inner(), info, modifier, usage)?;
    }
    let planes = planes::explicit_layouts(layout);
    let mut explicit = vk::ImageDrmFormatModifierExplicitCreateInfoEXT::default()
        .drm_format_modifier(modifier.code())
        .plane_layouts(&planes);
    let mut external = vk::ExternalMemoryImageCreateInfo::default().handle_types(handle);
    let create = image_info(layout.extent(), info, usage)
        .flags(binding.flags())
        .tiling(vk::ImageTiling::DRM_FORMAT_MODIFIER_EXT)
        .push_next(&mut explicit)
        .push_next(&mut external);
    let image = create_image(device, &create)?;
    let memory = match (&binding, buffers) {
        (Binding::Disjoint(planes), _) => {
            planes::bind_disjoint(device, &image, layout, buffers, planes)?
        }
        (Binding::Whole, [buffer, ..]) => vec![bind_whole(device, &image, layout, buffer)?],
        (Binding::Whole, []) => return Err(Error::invalid("buffers", 0, "at least one")),
    };
    finish(device, (image, memory), None, frame, info, usage)
}

/// One dedicated allocation over one buffer.
fn bind_whole(
    device: &Arc<DeviceInner>,
    image: &Owned<vk::Image>,
    layout: &FrameLayout,
    buffer: &DmaBuf,
) -> Result<Owned<vk::DeviceMemory>> {
    let handle = vk::ExternalMemoryHandleTypeFlags::DMA_BUF_EXT;
    // SAFETY: vkGetImageMemoryRequirements with an image of this device that is not disjoint.
    let needs = unsafe { device.device.get_image_memory_requirements(image.raw()) };
    let needed = planes::needed_bytes(layout, 0, needs.size)?;
    if needed > buffer.size() {
        // Mesa's software driver would close a descriptor that is not its own here; others read past the end.
        return Err(Error::invalid(
            "buffer size",
            buffer.size(),
            format!(
                "at least {needed} bytes, which {} needs for {layout}",
                device.adapter.name()
            ),
        ));
    }
    let allowed = needs.memory_type_bits & handoff::memory_types(device, handle, buffer.as_fd())?;
    let index = memory_type(device, allowed)?;
    let fd = buffer.duplicate()?;
    let dedicated = Some(image.raw());
    let memory = handoff::import_memory(device, dedicated, handle, fd, needs.size, index)?;
    let memory = Owned::new(device, memory);
    bind(device, image, &memory)?;
    Ok(memory)
}

fn import_opaque(
    device: &Arc<DeviceInner>,
    frame: &Frame,
    info: &FormatInfo,
    usage: Usage,
    memory: &OpaqueFd,
) -> Result<Image> {
    let known = &device.adapter.inner().quirks;
    if known.has(&quirks::OPAQUE_HEADER_BELIEVED) {
        memory.check_header(known.has(&quirks::OPAQUE_FD_IS_A_DMA_BUF))?;
    }
    let handle = vk::ExternalMemoryHandleTypeFlags::OPAQUE_FD;
    let mut external = vk::ExternalMemoryImageCreateInfo::default().handle_types(handle);
    let create = image_info(frame.layout().extent(), info, usage)
        .tiling(vk::ImageTiling::OPTIMAL)
        .push_next(&mut external);
    let image = create_image(device, &create)?;
    // SAFETY: vkGetImageMemoryRequirements with an image of this device that is not disjoint.
    let needs = unsafe { device.device.get_image_memory_requirements(image.raw()) };
    let size = memory.allocation_bytes();
    if needs.size != size {
        return Err(Error::invalid(
            "allocation size",
            size,
            format!(
                "{}, what {} needs here: was it created for the same usage, {usage}?",
                needs.size,
                frame.layout()
            ),
        ));
    }
    // vkGetMemoryFdPropertiesKHR must not be asked about opaque descriptors (VUID-vkGetMemoryFdPropertiesKHR-handleType-00674).
    let index = memory_type(device, needs.memory_type_bits)?;
    let fd = memory.duplicate()?;
    let dedicated = Some(image.raw());
    let memory = handoff::import_memory(device, dedicated, handle, fd, size, index)?;
    let memory = Owned::new(device, memory);
    bind(device, &image, &memory)?;
    finish(device, (image, vec![memory]), None, frame, info, usage)
}

fn import_host(
    device: &Arc<DeviceInner>,
    frame: &Frame,
    info: &FormatInfo,
    usage: Usage,
) -> Result<Image> {
    check_room(frame)?;
    if let Some(made) = host::over(device, frame, info, usage)? {
        return Image::new(device, Owner::Others, made, frame.clone(), info, usage);
    }
    let usage = usage | Usage::TRANSFER_DESTINATION;
    let create = image_info(frame.layout().extent(), info, usage).tiling(vk::ImageTiling::OPTIMAL);
    let image = create_image(device, &create)?;
    let local = vk::MemoryPropertyFlags::DEVICE_LOCAL;
    let (memory, _) = allocate(device, &image, None, local)?;
    let staging = Staging::new(device, frame, Direction::Import)?;
    let bound = (image, vec![memory]);
    finish(device, bound, Some(staging), frame, info, usage)
}
