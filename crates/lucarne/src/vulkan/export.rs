//! Making images whose memory others can use.

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ash::vk;

use super::device::Device;
use super::image::{Bound, Image};
use super::inner::DeviceInner;
use super::memory::{allocate, create_image, image_info};
use super::object::Owned;
use super::owner::Owner;
use super::staging::{Direction, Staging};
use super::{failed, handoff, host, offer, planes};
use crate::device_id::Comparison;
use crate::error::{Error, Result};
use crate::format::FormatInfo;
use crate::frame::{Frame, Memory, OpaqueFd};
use crate::kernel::{DmaBuf, Memfd};
use crate::layout::{FrameLayout, Plane, Tiling};
use crate::modifier::Modifier;
use crate::negotiate::{Agreement, MemoryPath, Usage};

impl Device {
    /// Makes an image as agreed, in memory of its own, and exports that memory.
    ///
    /// On the dma-buf path the driver chooses among the agreed modifiers
    /// (`VkImageDrmFormatModifierListCreateInfoEXT`); the frame's layout says which, and where each memory plane lies.
    /// The frame owns the exported descriptor.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] when the path's extensions are not enabled; [`Error::Invalid`] when this device does not
    /// offer what was agreed; [`Error::Driver`] when the driver refuses; [`Error::Os`] without memory or descriptors.
    ///
    /// # References
    ///
    /// [External memory handle types](https://docs.vulkan.org/spec/latest/chapters/capabilities.html#external-memory-handle-types-compatibility),
    /// [`vkGetMemoryFdKHR`](https://docs.vulkan.org/refpages/latest/refpages/source/vkGetMemoryFdKHR.html)
    #[doc(alias = "vkGetMemoryFdKHR")]
    pub fn export(&self, agreement: &Agreement) -> Result<Image> {
        let path = agreement.path();
        self.path(path)
            .require(&format!("exporting frames as {path}"))?;
        agreement.extent.check()?;
        let info = agreement
            .format
            .info()
            .ok_or_else(|| Error::unknown_format(agreement.format))?;
        self.check_offered(agreement, info)?;
        match path {
            MemoryPath::DmaBuf => export_dma_buf(self.inner(), agreement, info),
            MemoryPath::OpaqueFd => export_opaque(self.inner(), agreement, info),
            MemoryPath::HostMemory => export_host(self.inner(), agreement, info),
        }
    }

    /// An agreement is plain data, perhaps of another device: creating an image the driver does not offer is
    /// undefined behaviour, so it is looked up once more.
    fn check_offered(&self, agreement: &Agreement, info: &FormatInfo) -> Result<()> {
        let inner = self.inner();
        let enabled = |name: &CStr| inner.enabled(name);
        let entries = if offer::can_ask_about(info) {
            offer::format_entries(inner.adapter.inner(), &enabled, info, agreement.producer)?
        } else {
            Vec::new()
        };
        let usable = |tiling: Option<Modifier>| {
            entries.iter().any(|entry| {
                entry.path == agreement.path()
                    && entry.format == agreement.format
                    && entry.exportable
                    && entry.usage.contains(agreement.producer)
                    && agreement.extent.fits(entry.max_extent)
                    && (entry.tiling.modifier() == tiling || tiling.is_none())
            })
        };
        let refuse = |what: String| {
            Err(Error::invalid(
                "agreement",
                what,
                format!("something that Vulkan on {} offers", inner.adapter.name()),
            ))
        };
        if agreement.path() == MemoryPath::DmaBuf && agreement.modifiers.is_empty() {
            return refuse("a dma-buf without any modifier".to_owned());
        }
        let what = format!(
            "{} {} for {} as {}",
            agreement.extent,
            agreement.format,
            agreement.producer,
            agreement.path()
        );
        if !usable(None) {
            return refuse(what);
        }
        if let Some(modifier) = agreement.modifiers.iter().find(|one| !usable(Some(**one))) {
            return refuse(format!("{what} with {modifier}"));
        }
        Ok(())
    }
}

/// Fast memory for one device; memory that others can reach for two.
fn preferred_memory(agreement: &Agreement) -> vk::MemoryPropertyFlags {
    match agreement.devices {
        Comparison::Same => vk::MemoryPropertyFlags::DEVICE_LOCAL,
        Comparison::Different | Comparison::Unknown => vk::MemoryPropertyFlags::HOST_VISIBLE,
    }
}

/// Nobody has had it.
fn finish(
    device: &Arc<DeviceInner>,
    bound: (Owned<vk::Image>, Owned<vk::DeviceMemory>),
    staging: Option<Staging>,
    frame: Frame,
    info: &FormatInfo,
    usage: Usage,
) -> Result<Image> {
    let bound = Bound {
        image: bound.0,
        staging,
        _memory: vec![bound.1],
        in_place: None,
    };
    Image::new(device, Owner::Nobody, bound, frame, info, usage)
}

fn export_dma_buf(
    device: &Arc<DeviceInner>,
    agreement: &Agreement,
    info: &FormatInfo,
) -> Result<Image> {
    let handle = vk::ExternalMemoryHandleTypeFlags::DMA_BUF_EXT;
    let codes: Vec<u64> = agreement.modifiers.iter().map(|one| one.code()).collect();
    let mut list =
        vk::ImageDrmFormatModifierListCreateInfoEXT::default().drm_format_modifiers(&codes);
    let mut external = vk::ExternalMemoryImageCreateInfo::default().handle_types(handle);
    let create = image_info(agreement.extent, info, agreement.producer)
        .tiling(vk::ImageTiling::DRM_FORMAT_MODIFIER_EXT)
        .push_next(&mut list)
        .push_next(&mut external);
    let image = create_image(device, &create)?;
    let (memory, _) = allocate(device, &image, Some(handle), preferred_memory(agreement))?;
    let fd = handoff::memory_fd(device, memory.raw(), handle)?;
    let layout_of = |size: u64| read_layout(device, &image, agreement, info, size);
    let frame = dma_buf_frame(device, fd, layout_of)?;
    finish(
        device,
        (image, memory),
        None,
        frame,
        info,
        agreement.producer,
    )
}

fn dma_buf_frame(
    device: &DeviceInner,
    fd: OwnedFd,
    layout: impl FnOnce(u64) -> Result<FrameLayout>,
) -> Result<Frame> {
    let buffer = DmaBuf::new(fd)?;
    let layout = layout(buffer.size())?;
    let memory = Memory::DmaBuf(vec![buffer]);
    Frame::new(layout, memory, device.adapter.id().clone())
}

/// Asks the driver which modifier it chose and where it put each memory plane.
fn read_layout(
    device: &DeviceInner,
    image: &Owned<vk::Image>,
    agreement: &Agreement,
    info: &FormatInfo,
    size: u64,
) -> Result<FrameLayout> {
    const CALL: &str = "vkGetImageDrmFormatModifierPropertiesEXT";
    let Some(functions) = &device.modifier else {
        return Err(Error::driver(CALL, "not loaded"));
    };
    let mut chosen = vk::ImageDrmFormatModifierPropertiesEXT::default();
    // SAFETY: VUID-vkGetImageDrmFormatModifierPropertiesEXT-image-02272: created with that tiling.
    unsafe { functions.get_image_drm_format_modifier_properties(image.raw(), &mut chosen) }
        .map_err(failed(CALL))?;
    let modifier = Modifier::new(chosen.drm_format_modifier)
        .filter(|modifier| agreement.modifiers.contains(modifier))
        .ok_or_else(|| {
            let code = chosen.drm_format_modifier;
            Error::driver(
                CALL,
                format!("success, but {code:#018x}, which was not asked for"),
            )
        })?;
    let listed = offer::modifiers(device.adapter.inner(), info);
    let count = listed
        .iter()
        .find(|one| one.modifier == modifier)
        .map_or(0, |one| one.planes);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let planes: Vec<Plane> = planes::ASPECTS
        .into_iter()
        .take(count)
        .map(|aspect| {
            let subresource = vk::ImageSubresource::default().aspect_mask(aspect);
            // SAFETY: VUID-vkGetImageSubresourceLayout-tiling-09433: the aspect is a memory plane that this modifier
            // has.
            let layout = unsafe {
                device
                    .device
                    .get_image_subresource_layout(image.raw(), subresource)
            };
            Plane {
                object: 0,
                offset: layout.offset,
                pitch: layout.row_pitch,
            }
        })
        .collect();
    let tiling = Tiling::Explicit(modifier);
    FrameLayout::new(agreement.extent, agreement.format, tiling, &planes, &[size])
}

fn export_opaque(
    device: &Arc<DeviceInner>,
    agreement: &Agreement,
    info: &FormatInfo,
) -> Result<Image> {
    let handle = vk::ExternalMemoryHandleTypeFlags::OPAQUE_FD;
    let mut external = vk::ExternalMemoryImageCreateInfo::default().handle_types(handle);
    // Memory objects do not say what the image may be used for: both sides create it for both.
    let usage = agreement.producer | agreement.consumer;
    let create = image_info(agreement.extent, info, usage)
        .tiling(vk::ImageTiling::OPTIMAL)
        .push_next(&mut external);
    let image = create_image(device, &create)?;
    let local = vk::MemoryPropertyFlags::DEVICE_LOCAL;
    let (memory, size) = allocate(device, &image, Some(handle), local)?;
    let fd = handoff::memory_fd(device, memory.raw(), handle)?;
    let frame = Frame::new(
        FrameLayout::opaque(agreement.extent, agreement.format)?,
        Memory::OpaqueFd(OpaqueFd::new(fd, size)?),
        device.adapter.id().clone(),
    )?;
    finish(device, (image, memory), None, frame, info, usage)
}

fn export_host(
    device: &Arc<DeviceInner>,
    agreement: &Agreement,
    info: &FormatInfo,
) -> Result<Image> {
    let wanted = agreement.producer;
    if let Some((made, frame)) = host::export(device, agreement.extent, info, wanted)? {
        return Image::new(device, Owner::Nobody, made, frame, info, wanted);
    }
    let usage = wanted | Usage::TRANSFER_SOURCE;
    let create = image_info(agreement.extent, info, usage).tiling(vk::ImageTiling::OPTIMAL);
    let image = create_image(device, &create)?;
    let local = vk::MemoryPropertyFlags::DEVICE_LOCAL;
    let (memory, _) = allocate(device, &image, None, local)?;
    let (layout, size) = FrameLayout::linear(agreement.extent, agreement.format)?;
    let memfd = Memfd::create("lucarne-frame", size)?;
    let frame = Frame::new(
        layout,
        Memory::HostMemory(memfd),
        device.adapter.id().clone(),
    )?;
    let staging = Staging::new(device, &frame, Direction::Export)?;
    finish(device, (image, memory), Some(staging), frame, info, wanted)
}
