//! Memory planes of an imported image: in one buffer, bound together; or in several, each bound by itself.

use std::os::fd::AsFd;
use std::sync::Arc;

use ash::vk;

use super::inner::DeviceInner;
use super::memory::memory_type;
use super::object::Owned;
use super::{failed, handoff};
use crate::error::{Error, Requirement, Result};
use crate::kernel::DmaBuf;
use crate::layout::FrameLayout;
use crate::modifier::Modifier;

/// The aspects of memory planes, in order.
pub(super) const ASPECTS: [vk::ImageAspectFlags; 4] = [
    vk::ImageAspectFlags::MEMORY_PLANE_0_EXT,
    vk::ImageAspectFlags::MEMORY_PLANE_1_EXT,
    vk::ImageAspectFlags::MEMORY_PLANE_2_EXT,
    vk::ImageAspectFlags::MEMORY_PLANE_3_EXT,
];

/// How memory planes are bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// All together, to the one buffer.
    Whole,
    /// Each to a buffer of its own or one that it shares: the buffer's index and the plane's aspect.
    /// The image needs `VK_IMAGE_CREATE_DISJOINT_BIT`.
    Disjoint(Vec<(usize, vk::ImageAspectFlags)>),
}

impl Binding {
    /// How `layout`'s planes are bound, where the modifier has `features` in this format.
    pub(super) fn plan(layout: &FrameLayout, features: vk::FormatFeatureFlags) -> Result<Self> {
        if layout.objects() <= 1 {
            return Ok(Self::Whole);
        }
        let refuse = |reason: String| {
            let what = format!(
                "importing planes in {} buffers into Vulkan",
                layout.objects()
            );
            Err(Error::unsupported(what, vec![Requirement::other(reason)]))
        };
        if layout.format_info().planes.len() < 2 {
            // VUID-VkImageCreateInfo-format-01577.
            return refuse(format!(
                "needs all memory planes of {} in one buffer: only formats with several planes of their own can be \
                 bound plane by plane",
                layout.format()
            ));
        }
        if !features.contains(vk::FormatFeatureFlags::DISJOINT) {
            return refuse(format!(
                "needs VK_FORMAT_FEATURE_DISJOINT_BIT for {} with {}, which the driver does not have",
                layout.format(),
                layout.tiling()
            ));
        }
        let planes = layout.planes().iter().zip(ASPECTS);
        Ok(Self::Disjoint(
            planes
                .map(|(plane, aspect)| (plane.object, aspect))
                .collect(),
        ))
    }

    /// What the image is created with.
    pub(super) fn flags(&self) -> vk::ImageCreateFlags {
        match self {
            Self::Whole => vk::ImageCreateFlags::empty(),
            Self::Disjoint(_) => vk::ImageCreateFlags::DISJOINT,
        }
    }
}

/// Where each memory plane starts and how long its rows are; sizes are the driver's to compute
/// (VUID-VkImageDrmFormatModifierExplicitCreateInfoEXT-size-02267). Offsets count from the start of what the plane is
/// bound to, which is a buffer's start either way.
pub(super) fn explicit_layouts(layout: &FrameLayout) -> Vec<vk::SubresourceLayout> {
    let planes = layout.planes().iter();
    planes
        .map(|plane| {
            vk::SubresourceLayout::default()
                .offset(plane.offset)
                .row_pitch(plane.pitch)
        })
        .collect()
}

/// Imports each buffer once, and binds each memory plane of a disjoint image to its buffer's memory.
pub(super) fn bind_disjoint(
    device: &Arc<DeviceInner>,
    image: &Owned<vk::Image>,
    layout: &FrameLayout,
    buffers: &[DmaBuf],
    planes: &[(usize, vk::ImageAspectFlags)],
) -> Result<Vec<Owned<vk::DeviceMemory>>> {
    let needs: Vec<vk::MemoryRequirements> = planes
        .iter()
        .map(|(_, aspect)| plane_requirements(device, image, *aspect))
        .collect();
    let handle = vk::ExternalMemoryHandleTypeFlags::DMA_BUF_EXT;
    let mut memories = Vec::new();
    for (index, buffer) in buffers.iter().enumerate() {
        let own = planes.iter().zip(&needs);
        let own = own.filter(|((object, _), _)| *object == index);
        let shared = shared_needs(own.map(|(_, needs)| needs));
        let needed = needed_bytes(layout, index, shared.size)?;
        check_size(layout, index, buffer.size(), needed)?;
        let allowed =
            shared.memory_type_bits & handoff::memory_types(device, handle, buffer.as_fd())?;
        let kind = memory_type(device, allowed)?;
        let fd = buffer.duplicate()?;
        // Not dedicated: VUID-VkMemoryDedicatedAllocateInfo-image-01797 forbids it for disjoint images.
        let memory = handoff::import_memory(device, None, handle, fd, buffer.size(), kind)?;
        memories.push(Owned::new(device, memory));
    }
    let mut aspects: Vec<_> = planes
        .iter()
        .map(|(_, aspect)| vk::BindImagePlaneMemoryInfo::default().plane_aspect(*aspect))
        .collect();
    let mut binds = Vec::new();
    for ((object, _), aspect) in planes.iter().zip(&mut aspects) {
        let memory = memories
            .get(*object)
            .ok_or_else(|| Error::invalid("plane.object", object, "one of the frame's buffers"))?;
        binds.push(
            vk::BindImageMemoryInfo::default()
                .image(image.raw())
                .memory(memory.raw())
                .push_next(aspect),
        );
    }
    // SAFETY: vkBindImageMemory2: every plane of a disjoint image in one call (VUID-vkBindImageMemory2-pBindInfos-02858),
    // each bound once, at offset 0 of memory of a type and size that the plane asked for.
    unsafe { device.device.bind_image_memory2(&binds) }.map_err(failed("vkBindImageMemory2"))?;
    Ok(memories)
}

fn plane_requirements(
    device: &DeviceInner,
    image: &Owned<vk::Image>,
    aspect: vk::ImageAspectFlags,
) -> vk::MemoryRequirements {
    let mut plane = vk::ImagePlaneMemoryRequirementsInfo::default().plane_aspect(aspect);
    let info = vk::ImageMemoryRequirementsInfo2::default()
        .image(image.raw())
        .push_next(&mut plane);
    let mut needs = vk::MemoryRequirements2::default();
    // SAFETY: vkGetImageMemoryRequirements2: a disjoint image of this device with a memory plane that it has
    // (VUID-VkImagePlaneMemoryRequirementsInfo-planeAspect-02282).
    unsafe {
        device
            .device
            .get_image_memory_requirements2(&info, &mut needs);
    }
    needs.memory_requirements
}

/// What memory must be for every one of these planes: as large as the largest asks, of a type that all take.
fn shared_needs<'a>(
    planes: impl Iterator<Item = &'a vk::MemoryRequirements>,
) -> vk::MemoryRequirements {
    let any = vk::MemoryRequirements::default().memory_type_bits(u32::MAX);
    planes.fold(any, |all, one| {
        all.size(all.size.max(one.size))
            .memory_type_bits(all.memory_type_bits & one.memory_type_bits)
    })
}

/// How much of a buffer this driver touches, where it says that it needs `told`. Mesa's software driver leaves out where
/// the planes begin; what is still less than the rows take was computed wrongly, and is not believed.
pub(super) fn needed_bytes(layout: &FrameLayout, object: usize, told: u64) -> Result<u64> {
    let linear = layout.tiling().modifier().is_some_and(Modifier::is_linear);
    let end = layout.end_in(object);
    if !linear || told >= end {
        return Ok(told);
    }
    let planes = layout.planes().iter();
    let own = planes.filter(|plane| plane.object == object);
    let begin = own.map(|plane| plane.offset).min();
    let needed = told.saturating_add(begin.unwrap_or(0));
    if needed < end {
        return Err(Error::driver(
            "vkGetImageMemoryRequirements",
            format!("{told} bytes for {layout}, whose rows end at {end} in buffer {object}"),
        ));
    }
    Ok(needed)
}

fn check_size(layout: &FrameLayout, index: usize, size: u64, needed: u64) -> Result<()> {
    if size < needed {
        return Err(Error::invalid(
            "buffer size",
            format!("{size} of buffer {index}"),
            format!("at least {needed} bytes, which the driver needs for {layout}"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;
    use crate::layout::{Extent, Plane, Tiling};

    const NONE: vk::FormatFeatureFlags = vk::FormatFeatureFlags::empty();
    const DISJOINT: vk::FormatFeatureFlags = vk::FormatFeatureFlags::DISJOINT;

    fn layout(format: Format, code: u64, objects: &[usize]) -> FrameLayout {
        let planes: Vec<Plane> = (0_u64..)
            .zip(objects)
            .map(|(number, object)| Plane {
                object: *object,
                offset: number * 4096,
                pitch: 256,
            })
            .collect();
        let buffers = objects.iter().max().map_or(0, |last| last + 1);
        let tiling = Tiling::Explicit(Modifier::new(code).expect("explicit"));
        let extent = Extent::new(64, 16);
        FrameLayout::new(extent, format, tiling, &planes, &vec![1 << 20; buffers]).expect("fits")
    }

    const CCS_CLEAR: u64 = 0x0100_0000_0000_0008;

    #[test]
    fn planes_of_one_buffer_are_bound_together() {
        let three = layout(Format::XRGB8888, CCS_CLEAR, &[0, 0, 0]);
        for features in [NONE, DISJOINT] {
            let binding = Binding::plan(&three, features).expect("one buffer");
            assert_eq!(binding, Binding::Whole);
            assert!(binding.flags().is_empty());
        }
        let explicit = explicit_layouts(&three);
        let offsets: Vec<u64> = explicit.iter().map(|one| one.offset).collect();
        assert_eq!(offsets, [0, 4096, 8192]);
        for one in explicit {
            assert_eq!(
                (one.row_pitch, one.size),
                (256, 0),
                "sizes are the driver's"
            );
            assert_eq!((one.array_pitch, one.depth_pitch), (0, 0));
        }
    }

    #[test]
    fn planes_in_several_buffers_need_the_feature() {
        let nv12 = layout(Format::NV12, 0, &[0, 1]);
        let binding = Binding::plan(&nv12, DISJOINT).expect("the feature is there");
        let [first, second, ..] = ASPECTS;
        assert_eq!(binding, Binding::Disjoint(vec![(0, first), (1, second)]));
        assert_eq!(binding.flags(), vk::ImageCreateFlags::DISJOINT);
        let error = Binding::plan(&nv12, NONE).expect_err("the feature is not there");
        let text = error.to_string();
        assert!(text.contains("VK_FORMAT_FEATURE_DISJOINT_BIT"), "{text}");
        assert!(
            text.contains("NV12") && text.contains("2 buffers"),
            "{text}"
        );
    }

    #[test]
    fn a_format_of_one_plane_is_never_bound_plane_by_plane() {
        let ccs = layout(Format::XRGB8888, CCS_CLEAR, &[0, 1, 1]);
        let error = Binding::plan(&ccs, DISJOINT).expect_err("RGB").to_string();
        assert!(error.contains("in one buffer"), "{error}");
    }

    /// Rows of 64 pixels, 16 and 8 of them, with pitches of 256 bytes: they end at 256 * 15 + 64 and 4096 + 256 * 7 + 64.
    #[test]
    fn what_a_driver_says_that_it_needs_is_believed_where_the_rows_fit() {
        let nv12 = layout(Format::NV12, 0, &[0, 1]);
        let needed = |object, told| needed_bytes(&nv12, object, told).ok();
        assert_eq!(needed(0, 3904), Some(3904));
        assert_eq!(needed(0, 3903), None, "a byte of the last row is missing");
        assert_eq!(needed(1, 5952), Some(5952));
        assert_eq!(
            needed(1, 1856),
            Some(5952),
            "counted from where the plane begins"
        );
        assert_eq!(needed(1, 1855), None);
        let error = needed_bytes(&nv12, 1, 7).expect_err("wrapped").to_string();
        for part in ["7 bytes", "NV12", "5952", "buffer 1"] {
            assert!(error.contains(part), "{error}");
        }
        let tiled = layout(Format::XRGB8888, CCS_CLEAR, &[0, 0, 0]);
        let told = needed_bytes(&tiled, 0, 7).expect("the driver's own");
        assert_eq!(told, 7);
    }

    #[test]
    fn memory_that_planes_share_suits_all_of_them() {
        let needs = |size, bits| {
            vk::MemoryRequirements::default()
                .size(size)
                .memory_type_bits(bits)
        };
        let planes = [needs(4096, 0b0111), needs(9000, 0b1110)];
        let shared = shared_needs(planes.iter());
        assert_eq!((shared.size, shared.memory_type_bits), (9000, 0b0110));
        let nv12 = layout(Format::NV12, 0, &[0, 1]);
        check_size(&nv12, 1, 9000, 9000).expect("enough");
        let error = check_size(&nv12, 1, 8999, 9000)
            .expect_err("one short")
            .to_string();
        assert!(
            error.contains("8999 of buffer 1") && error.contains("9000"),
            "{error}"
        );
    }
}
