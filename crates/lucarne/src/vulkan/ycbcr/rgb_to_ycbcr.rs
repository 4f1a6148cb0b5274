//! The stage before every video encoder: red, green and blue to `Y'CbCr` in a compute shader.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ash::vk;

use super::buffer::YcbcrBuffer;
use crate::color::ColorDescription;
use crate::error::{Error, Requirement, Result};
use crate::format::Format;
use crate::frame::Fence;
use crate::layout::Extent;
use crate::negotiate::MemoryPath;
use crate::vulkan::access::Access;
use crate::vulkan::device::Device;
use crate::vulkan::gate::both;
use crate::vulkan::image::Image;
use crate::vulkan::inner::DeviceInner;
use crate::vulkan::object::Owned;
use crate::vulkan::{failed, shader};

/// Bytes of the shader's `Pass`: every device has room for 128.
const PUSH_BYTES: u8 = 96;
/// What it reads and writes: the image, and the frame's buffer.
pub(super) const KINDS: [vk::DescriptorType; 2] = [
    vk::DescriptorType::SAMPLED_IMAGE,
    vk::DescriptorType::STORAGE_BUFFER,
];
/// Invocations in a workgroup, along each axis.
const WORKGROUP: u32 = 8;

/// A compute pass that makes `NV12`, `NV21`, `P010`, `P012` or `P016` frames of red, green and blue images.
///
/// Matrix, range and siting are those of the target's colour description; chroma is a box filter over the pixels that share
/// a sample. The image's numbers are taken as they are: encoded, not linear, and alpha is ignored. Cloning shares the
/// pass.
#[derive(Clone)]
pub struct RgbToYcbcr {
    inner: Arc<Pass>,
}

/// Dropped in this order.
pub(super) struct Pass {
    luma: Owned<vk::Pipeline>,
    chroma: Owned<vk::Pipeline>,
    layout: Owned<vk::PipelineLayout>,
    pub(super) set_layout: Owned<vk::DescriptorSetLayout>,
    pub(super) device: Arc<DeviceInner>,
}

/// What the shader is told, in the order of its `Pass`.
pub(super) struct Parameters {
    pub(super) rows: [[f64; 4]; 3],
    pub(super) extent: [u32; 2],
    /// Of luma and of chroma, in words of four bytes.
    pub(super) offset: [u32; 2],
    pub(super) pitch: [u32; 2],
    pub(super) midpoint: [u32; 2],
    pub(super) max: f64,
    pub(super) shift: u32,
    pub(super) bits: u32,
}

impl Device {
    /// Makes the pass: compiles its two pipelines, once for any number of targets.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] when the queue's family cannot compute; [`Error::Driver`].
    pub fn rgb_to_ycbcr(&self) -> Result<RgbToYcbcr> {
        let device = self.inner();
        let adapter = device.adapter.inner();
        // SAFETY: vkGetPhysicalDeviceQueueFamilyProperties with a valid physical device.
        let families = unsafe {
            adapter
                .instance
                .get_physical_device_queue_family_properties(adapter.physical)
        };
        let family = usize::try_from(device.queue_family).unwrap_or(usize::MAX);
        let computes = families
            .get(family)
            .is_some_and(|family| family.queue_flags.contains(vk::QueueFlags::COMPUTE));
        if !computes {
            return Err(Error::unsupported(
                "converting to Y'CbCr",
                vec![Requirement::QueueFamily { kind: "compute" }],
            ));
        }
        Ok(RgbToYcbcr {
            inner: Arc::new(Pass::new(device)?),
        })
    }
}

impl RgbToYcbcr {
    /// Allocates a frame for this pass to write, linear ([`FrameLayout::linear`](crate::FrameLayout::linear)), which others
    /// can import: in a dma-buf, or in a sealed memfd.
    ///
    /// The frame owns the exported descriptor.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for other formats than those above, colours that contradict them, an extent beyond the device's
    /// limits, and the opaque-fd path; [`Error::Unsupported`] when the device cannot export buffers as dma-bufs;
    /// [`Error::Driver`]; [`Error::Os`].
    pub fn export(
        &self,
        format: Format,
        extent: Extent,
        color: ColorDescription,
        path: MemoryPath,
    ) -> Result<YcbcrBuffer> {
        YcbcrBuffer::new(&self.inner, format, extent, color, path)
    }

    /// Converts one image into one frame, and takes the turns of both: waits for `acquire`, the image's acquire fence
    /// (or, for an image that this device wrote itself, the fence of that), and for `gate`, the target's release fence. Returns
    /// the image's release fence and the target's acquire fence, which are one and the same.
    ///
    /// The image needs [`Usage::SAMPLE`](crate::Usage::SAMPLE). Do not use one of [`Device::import_srgb`]: its numbers would be
    /// read as linear light, which no encoder takes. Padding in the target keeps its bytes.
    ///
    /// Blocks as [`Device::read`] does, and until the target's last conversion has finished. On the host memory path, where the
    /// CPU must copy, it also blocks until this conversion has finished. Each wait ends after `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for another device's image or target, or sizes that differ; otherwise as for [`Device::read`].
    pub fn convert(
        &self,
        image: &Image,
        acquire: &Fence,
        target: &YcbcrBuffer,
        gate: &Fence,
        timeout: Duration,
    ) -> Result<(Fence, Fence)> {
        let pass = &self.inner;
        if !Arc::ptr_eq(&pass.device, image.device()) || !Arc::ptr_eq(pass, target.pass()) {
            return Err(Error::invalid(
                "image or target",
                "of another device or pass",
                "those of the device and the pass",
            ));
        }
        let (from, to) = (
            image.frame().layout().extent(),
            target.frame().layout().extent(),
        );
        if from != to {
            return Err(Error::invalid(
                "extent",
                from,
                format!("the target's, {to}"),
            ));
        }
        let device = Device::of_inner(&pass.device);
        let mut turn = target.begin(image, gate, timeout)?;
        let both = both(gate, acquire, timeout)?;
        let mut recorded = false;
        let read = device.read(image, &both, timeout, Access::Sampled, |commands| {
            recorded = true;
            target.record_acquire(commands);
            pass.record(commands, turn.set(), &target.parameters());
            target.record_release(commands);
        });
        match read {
            Ok(fence) => {
                let acquire = turn.end(&fence, timeout)?;
                Ok((fence, acquire))
            }
            Err(error) => {
                // Once recorded, it may have been submitted: the target may go only when nothing is pending.
                turn.abandon(!recorded || image.finish(timeout).is_ok());
                Err(error)
            }
        }
    }
}

impl Pass {
    fn new(device: &Arc<DeviceInner>) -> Result<Self> {
        let stage = vk::ShaderStageFlags::COMPUTE;
        let set_layout = shader::set_layout(device, stage, &KINDS)?;
        let layout = shader::pipeline_layout(device, &set_layout, stage, PUSH_BYTES)?;
        let module = shader::module(device, include_bytes!("rgb_to_ycbcr.spv"))?;
        Ok(Self {
            luma: pipeline(device, &layout, &module, c"luma")?,
            chroma: pipeline(device, &layout, &module, c"chroma")?,
            layout,
            set_layout,
            device: Arc::clone(device),
        })
    }

    /// Records both planes. `set` holds the image and the buffer.
    fn record(&self, commands: vk::CommandBuffer, set: vk::DescriptorSet, parameters: &Parameters) {
        let raw = &self.device.device;
        let point = vk::PipelineBindPoint::COMPUTE;
        let layout = self.layout.raw();
        // SAFETY: vkCmdBindDescriptorSets with a set of this layout, which no pending commands use and which is not
        // updated before these have finished (`Turn`).
        unsafe { raw.cmd_bind_descriptor_sets(commands, point, layout, 0, &[set], &[]) };
        let bytes = parameters.bytes();
        let stage = vk::ShaderStageFlags::COMPUTE;
        // SAFETY: vkCmdPushConstants with as many bytes as the layout's range.
        unsafe { raw.cmd_push_constants(commands, layout, stage, 0, &bytes) };
        let samples = 32 / parameters.bits;
        let [width, height] = parameters.extent;
        let words = |samples_across: u32| samples_across.div_ceil(samples);
        let planes = [
            (&self.luma, words(width), height),
            // Two channels for each sample.
            (
                &self.chroma,
                words(2 * width.div_ceil(2)),
                height.div_ceil(2),
            ),
        ];
        for (pipeline, across, down) in planes {
            // SAFETY: vkCmdBindPipeline with a compute pipeline of this device.
            unsafe { raw.cmd_bind_pipeline(commands, point, pipeline.raw()) };
            let groups = |count: u32| count.div_ceil(WORKGROUP);
            // SAFETY: vkCmdDispatch: at most 65535 groups along an axis, as extents end at 32768; the shader writes within
            // the planes that `FrameLayout` has found to fit the buffer.
            unsafe { raw.cmd_dispatch(commands, groups(across), groups(down), 1) };
        }
    }
}

fn pipeline(
    device: &Arc<DeviceInner>,
    layout: &Owned<vk::PipelineLayout>,
    module: &Owned<vk::ShaderModule>,
    entry: &std::ffi::CStr,
) -> Result<Owned<vk::Pipeline>> {
    let stage = vk::PipelineShaderStageCreateInfo::default()
        .stage(vk::ShaderStageFlags::COMPUTE)
        .module(module.raw())
        .name(entry);
    let create = vk::ComputePipelineCreateInfo::default()
        .stage(stage)
        .layout(layout.raw());
    let cache = vk::PipelineCache::null();
    // SAFETY: vkCreateComputePipelines: the module has this entry point, and the layout its bindings and constants.
    let made = unsafe {
        device
            .device
            .create_compute_pipelines(cache, &[create], None)
    };
    let made = made.map_err(|(_, result)| failed("vkCreateComputePipelines")(result))?;
    let pipeline = made
        .first()
        .ok_or_else(|| Error::driver("vkCreateComputePipelines", "success, but no pipeline"))?;
    Ok(Owned::new(device, *pipeline))
}

impl Parameters {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "shaders compute in 32 bits"
    )]
    fn bytes(&self) -> [u8; PUSH_BYTES as usize] {
        let single = |value: f64| (value as f32).to_ne_bytes();
        let rows = self.rows.as_flattened().iter().copied().map(single);
        let pairs = [self.extent, self.offset, self.pitch, self.midpoint];
        let last = [single(self.max)].into_iter();
        let words = rows
            .chain(pairs.as_flattened().iter().map(|word| word.to_ne_bytes()))
            .chain(last)
            .chain([self.shift, self.bits].map(u32::to_ne_bytes));
        // The shader's structure ends at a multiple of its largest alignment.
        let mut bytes = [0; PUSH_BYTES as usize];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word);
        }
        bytes
    }
}

impl fmt::Debug for RgbToYcbcr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RgbToYcbcr").finish_non_exhaustive()
    }
}
