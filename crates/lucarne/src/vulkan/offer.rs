//! What a Vulkan device can share: `vkGetPhysicalDeviceImageFormatProperties2` for every format and modifier.

use std::ffi::CStr;

use ash::vk;

use super::device::Device;
use super::inner::{Adapter, AdapterInner};
use super::support::{self, Enabled};
use super::{conv, failed};
use crate::error::{Error, Requirement, Result, Support};
use crate::format::{ColorKind, Format, FormatInfo};
use crate::layout::{Extent, Tiling};
use crate::modifier::Modifier;
use crate::negotiate::{FenceSupport, MemoryPath, Offer, OfferEntry, Usage};
use crate::quirks;

/// Numbers from here on belong to extensions (Vulkan style guide, "Assigning extension token values").
const FIRST_EXTENSION_FORMAT: i32 = 1_000_000_000;

/// A modifier of a format, as `VkDrmFormatModifierPropertiesEXT` lists it.
pub(super) struct ListedModifier {
    pub(super) modifier: Modifier,
    pub(super) planes: u32,
    pub(super) features: vk::FormatFeatureFlags,
}

impl Adapter {
    /// What a device opened with [`Adapter::device_extensions`] can share, for images used as `usage` says.
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] when the driver does not answer.
    pub fn offer(&self, usage: Usage) -> Result<Offer> {
        let extensions = self.device_extensions();
        let enabled = |name: &CStr| extensions.contains(&name);
        let fences = support::fences_of_turns(self.inner(), &enabled);
        offer(self.inner(), &enabled, fences, usage)
    }
}

impl Device {
    /// What this device, with the extensions it has enabled, can share, for images used as `usage` says.
    ///
    /// ```no_run
    /// # use lucarne::{Extent, MemoryPath, Refusal, Request, Usage, negotiate, vulkan};
    /// # fn f(device: &vulkan::Device, other: &vulkan::Device) -> Result<(), Box<dyn std::error::Error>> {
    /// let offer = device.offer(Usage::RENDER)?;
    /// println!("dma-bufs: {:?}", offer.path(MemoryPath::DmaBuf));
    /// let accept = other.offer(Usage::SAMPLE)?;
    /// let agreement = negotiate(&offer, &accept, &Request::new(Extent::new(1280, 720)))?;
    /// let image = device.export(&agreement)?;
    /// let same = other.import(image.frame(), Usage::SAMPLE)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Driver`] when the driver does not answer.
    pub fn offer(&self, usage: Usage) -> Result<Offer> {
        let inner = self.inner();
        let enabled = |name: &CStr| inner.enabled(name);
        let fences = inner.fences.clone();
        offer(inner.adapter.inner(), &enabled, fences, usage)
    }

    /// Whether this device, with the extensions it has enabled, has `path` at all.
    pub fn path(&self, path: MemoryPath) -> Support {
        let inner = self.inner();
        support::path(inner.adapter.inner(), &|name| inner.enabled(name), path)
    }
}

fn offer(
    adapter: &AdapterInner,
    enabled: Enabled<'_>,
    fences: FenceSupport,
    usage: Usage,
) -> Result<Offer> {
    let paths: Vec<(MemoryPath, Support)> = MemoryPath::ALL
        .into_iter()
        .map(|path| (path, support::path(adapter, enabled, path)))
        .collect();
    let mut entries = Vec::new();
    for info in formats() {
        entries.extend(format_entries(adapter, enabled, info, usage)?);
    }
    Ok(Offer {
        name: format!("Vulkan on {}", adapter.name()),
        device: adapter.id().clone(),
        paths,
        entries,
        withdrawn: Vec::new(),
        fences,
    })
}

/// What the device can share of one format.
pub(super) fn format_entries(
    adapter: &AdapterInner,
    enabled: Enabled<'_>,
    info: &FormatInfo,
    usage: Usage,
) -> Result<Vec<OfferEntry>> {
    let mut entries = Vec::new();
    if support::path(adapter, enabled, MemoryPath::DmaBuf).is_yes() {
        for listed in modifiers(adapter, info) {
            entries.extend(dma_buf_entry(adapter, info, &listed, usage)?);
        }
    }
    if support::path(adapter, enabled, MemoryPath::OpaqueFd).is_yes() {
        entries.extend(opaque_entry(adapter, info, usage)?);
    }
    entries.extend(host_entry(adapter, info, usage)?);
    Ok(entries)
}

/// RGB formats that every Vulkan 1.1 device may be asked about. Formats with more than one format plane are shared
/// plane by plane. Formats that came with extensions or later versions (`A1B5G5R5`, `A4R4G4B4` and similar) may be named
/// only where those were enabled, and a wrapped device does not say whether they were.
fn formats() -> impl Iterator<Item = &'static FormatInfo> {
    Format::ALL.iter().filter(|info| can_ask_about(info))
}

/// Whether a driver may be asked about the format, see [`formats`].
pub(super) fn can_ask_about(info: &FormatInfo) -> bool {
    let rgb = info.color == ColorKind::Rgb && info.planes.len() == 1;
    rgb && info.vk.is_some_and(|code| code < FIRST_EXTENSION_FORMAT)
}

/// The legacy list on purpose: Mesa's software driver leaves `VkDrmFormatModifierPropertiesList2EXT` untouched.
pub(super) fn modifiers(adapter: &AdapterInner, info: &FormatInfo) -> Vec<ListedModifier> {
    let format = conv::vk_format(info);
    let mut list = vk::DrmFormatModifierPropertiesListEXT::default();
    format_properties(adapter, format, &mut list);
    let count = usize::try_from(list.drm_format_modifier_count).unwrap_or(0);
    let mut properties = vec![vk::DrmFormatModifierPropertiesEXT::default(); count];
    let mut list = vk::DrmFormatModifierPropertiesListEXT::default()
        .drm_format_modifier_properties(&mut properties);
    format_properties(adapter, format, &mut list);
    // A driver may report fewer the second time.
    let written = usize::try_from(list.drm_format_modifier_count).unwrap_or(0);
    properties.truncate(written);
    properties
        .iter()
        .filter_map(|one| {
            Some(ListedModifier {
                modifier: Modifier::new(one.drm_format_modifier)?,
                planes: one.drm_format_modifier_plane_count,
                features: one.drm_format_modifier_tiling_features,
            })
        })
        .collect()
}

fn format_properties(
    adapter: &AdapterInner,
    format: vk::Format,
    list: &mut vk::DrmFormatModifierPropertiesListEXT<'_>,
) {
    let mut properties = vk::FormatProperties2::default().push_next(list);
    // SAFETY: vkGetPhysicalDeviceFormatProperties2 (Vulkan 1.1) fills the chain; the list's pointer is null or an
    // array of the announced length.
    unsafe {
        adapter.instance.get_physical_device_format_properties2(
            adapter.physical,
            format,
            &mut properties,
        );
    }
}

fn dma_buf_entry(
    adapter: &AdapterInner,
    info: &FormatInfo,
    listed: &ListedModifier,
    wanted: Usage,
) -> Result<Option<OfferEntry>> {
    let mut usage = conv::usage_of(listed.features);
    if listed.modifier.is_linear() && adapter.quirks.has(&quirks::NVIDIA_LINEAR) {
        usage.remove(Usage::RENDER);
    }
    let mut modifier = vk::PhysicalDeviceImageDrmFormatModifierInfoEXT::default()
        .drm_format_modifier(listed.modifier.code())
        .sharing_mode(vk::SharingMode::EXCLUSIVE);
    let image = vk::PhysicalDeviceImageFormatInfo2::default()
        .format(conv::vk_format(info))
        .ty(vk::ImageType::TYPE_2D)
        .tiling(vk::ImageTiling::DRM_FORMAT_MODIFIER_EXT)
        .usage(conv::image_usage(wanted & usage))
        .push_next(&mut modifier);
    let Some(limits) = image_limits(
        adapter,
        image,
        Some(vk::ExternalMemoryHandleTypeFlags::DMA_BUF_EXT),
    )?
    else {
        return Ok(None);
    };
    Ok(Some(OfferEntry {
        path: MemoryPath::DmaBuf,
        format: info.format,
        tiling: Tiling::Explicit(listed.modifier),
        planes: u8::try_from(listed.planes).unwrap_or(u8::MAX),
        usage,
        max_extent: limits.max_extent,
        exportable: limits.has(vk::ExternalMemoryFeatureFlags::EXPORTABLE),
        importable: limits.has(vk::ExternalMemoryFeatureFlags::IMPORTABLE),
        dedicated_only: limits.has(vk::ExternalMemoryFeatureFlags::DEDICATED_ONLY),
        external_only: false,
    }))
}

fn optimal_image(
    info: &FormatInfo,
    usage: vk::ImageUsageFlags,
) -> vk::PhysicalDeviceImageFormatInfo2<'static> {
    vk::PhysicalDeviceImageFormatInfo2::default()
        .format(conv::vk_format(info))
        .ty(vk::ImageType::TYPE_2D)
        .tiling(vk::ImageTiling::OPTIMAL)
        .usage(usage)
}

fn optimal_usage(adapter: &AdapterInner, info: &FormatInfo) -> Usage {
    conv::usage_of(plain_properties(adapter, info).optimal_tiling_features)
}

fn plain_properties(adapter: &AdapterInner, info: &FormatInfo) -> vk::FormatProperties {
    let mut properties = vk::FormatProperties2::default();
    // SAFETY: vkGetPhysicalDeviceFormatProperties2 (Vulkan 1.1) with a structure of our own.
    unsafe {
        adapter.instance.get_physical_device_format_properties2(
            adapter.physical,
            conv::vk_format(info),
            &mut properties,
        );
    }
    properties.format_properties
}

fn opaque_entry(
    adapter: &AdapterInner,
    info: &FormatInfo,
    wanted: Usage,
) -> Result<Option<OfferEntry>> {
    let usage = optimal_usage(adapter, info);
    let image = optimal_image(info, conv::image_usage(wanted & usage));
    let Some(limits) = image_limits(
        adapter,
        image,
        Some(vk::ExternalMemoryHandleTypeFlags::OPAQUE_FD),
    )?
    else {
        return Ok(None);
    };
    Ok(Some(OfferEntry {
        path: MemoryPath::OpaqueFd,
        format: info.format,
        tiling: Tiling::Implicit,
        planes: 1,
        usage,
        max_extent: limits.max_extent,
        exportable: limits.has(vk::ExternalMemoryFeatureFlags::EXPORTABLE),
        importable: limits.has(vk::ExternalMemoryFeatureFlags::IMPORTABLE),
        dedicated_only: limits.has(vk::ExternalMemoryFeatureFlags::DEDICATED_ONLY),
        external_only: false,
    }))
}

/// Host memory takes any image that can be copied out of: the frame's memfd is beside it.
fn host_entry(
    adapter: &AdapterInner,
    info: &FormatInfo,
    wanted: Usage,
) -> Result<Option<OfferEntry>> {
    let usage = optimal_usage(adapter, info);
    // Copies count their pitch in pixels, which only divides it where a pixel is a power of two bytes.
    let whole = info.planes[0].block_bytes.is_power_of_two();
    if !usage.contains(Usage::TRANSFER_SOURCE) || !whole {
        return Ok(None);
    }
    let flags = conv::image_usage((wanted & usage) | Usage::TRANSFER_SOURCE);
    let Some(limits) = image_limits(adapter, optimal_image(info, flags), None)? else {
        return Ok(None);
    };
    Ok(Some(OfferEntry {
        path: MemoryPath::HostMemory,
        format: info.format,
        tiling: Tiling::Explicit(Modifier::LINEAR),
        planes: 1,
        usage,
        max_extent: limits.max_extent,
        exportable: true,
        importable: usage.contains(Usage::TRANSFER_DESTINATION),
        dedicated_only: false,
        external_only: false,
    }))
}

/// Refuses a disjoint image with this modifier where the driver would not make one, or only with memory of its own.
pub(super) fn require_disjoint(
    adapter: &AdapterInner,
    info: &FormatInfo,
    modifier: Modifier,
    usage: Usage,
) -> Result<()> {
    let mut tiling = vk::PhysicalDeviceImageDrmFormatModifierInfoEXT::default()
        .drm_format_modifier(modifier.code())
        .sharing_mode(vk::SharingMode::EXCLUSIVE);
    let image = vk::PhysicalDeviceImageFormatInfo2::default()
        .format(conv::vk_format(info))
        .ty(vk::ImageType::TYPE_2D)
        .tiling(vk::ImageTiling::DRM_FORMAT_MODIFIER_EXT)
        .flags(vk::ImageCreateFlags::DISJOINT)
        .usage(conv::image_usage(usage))
        .push_next(&mut tiling);
    let handle = vk::ExternalMemoryHandleTypeFlags::DMA_BUF_EXT;
    let limits = image_limits(adapter, image, Some(handle))?;
    let importable = limits.is_some_and(|limits| {
        limits.has(vk::ExternalMemoryFeatureFlags::IMPORTABLE)
            && !limits.has(vk::ExternalMemoryFeatureFlags::DEDICATED_ONLY)
    });
    if importable {
        return Ok(());
    }
    Err(Error::unsupported(
        format!(
            "importing {} with {modifier} in several buffers",
            info.format
        ),
        vec![Requirement::capability(
            "VK_IMAGE_CREATE_DISJOINT_BIT",
            format!(
                "{} does not import such images plane by plane",
                adapter.name()
            ),
        )],
    ))
}

/// Whether the driver makes LINEAR images of this format and size in memory of the host, for `usage`.
pub(super) fn takes_host_pointers(
    adapter: &AdapterInner,
    info: &FormatInfo,
    usage: Usage,
    extent: Extent,
) -> Result<bool> {
    if !conv::usage_of(plain_properties(adapter, info).linear_tiling_features).contains(usage) {
        return Ok(false);
    }
    let image = vk::PhysicalDeviceImageFormatInfo2::default()
        .format(conv::vk_format(info))
        .ty(vk::ImageType::TYPE_2D)
        .tiling(vk::ImageTiling::LINEAR)
        .usage(conv::image_usage(usage));
    let handle = vk::ExternalMemoryHandleTypeFlags::HOST_ALLOCATION_EXT;
    let limits = image_limits(adapter, image, Some(handle))?;
    Ok(limits.is_some_and(|limits| {
        limits.has(vk::ExternalMemoryFeatureFlags::IMPORTABLE)
            && !limits.has(vk::ExternalMemoryFeatureFlags::DEDICATED_ONLY)
            && extent.fits(limits.max_extent)
    }))
}

struct Limits {
    max_extent: Extent,
    external: vk::ExternalMemoryFeatureFlags,
}

impl Limits {
    fn has(&self, feature: vk::ExternalMemoryFeatureFlags) -> bool {
        self.external.contains(feature)
    }
}

/// `None` when the driver cannot make such an image at all.
fn image_limits(
    adapter: &AdapterInner,
    image: vk::PhysicalDeviceImageFormatInfo2<'_>,
    handle: Option<vk::ExternalMemoryHandleTypeFlags>,
) -> Result<Option<Limits>> {
    if image.usage.is_empty() {
        return Ok(None);
    }
    let mut external_info = vk::PhysicalDeviceExternalImageFormatInfo::default();
    let mut external = vk::ExternalImageFormatProperties::default();
    let mut image = image;
    let mut properties = vk::ImageFormatProperties2::default();
    if let Some(handle) = handle {
        external_info = external_info.handle_type(handle);
        image = image.push_next(&mut external_info);
        properties = properties.push_next(&mut external);
    }
    // SAFETY: vkGetPhysicalDeviceImageFormatProperties2 (Vulkan 1.1): both chains hold structures of extensions
    // that the caller found, and are locals.
    let result = unsafe {
        adapter
            .instance
            .get_physical_device_image_format_properties2(adapter.physical, &image, &mut properties)
    };
    let extent = properties.image_format_properties.max_extent;
    match result {
        Ok(()) => Ok(Some(Limits {
            max_extent: Extent::new(extent.width, extent.height),
            // Drivers may answer success with no feature at all: the bits decide, not the result.
            external: external.external_memory_properties.external_memory_features,
        })),
        Err(vk::Result::ERROR_FORMAT_NOT_SUPPORTED) => Ok(None),
        Err(other) => Err(failed("vkGetPhysicalDeviceImageFormatProperties2")(other)),
    }
}
