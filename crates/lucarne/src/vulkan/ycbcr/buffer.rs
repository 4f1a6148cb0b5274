//! Linear `Y'CbCr` frames that a compute shader writes.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ash::vk;

use super::rgb_to_ycbcr::{KINDS, Parameters, Pass};
use crate::color::{ChromaLocation, ColorDescription, YcbcrConversion};
use crate::error::{Error, Requirement, Result};
use crate::format::{Component, Format};
use crate::frame::{Fence, Frame, Memory};
use crate::kernel::{DmaBuf, Memfd};
use crate::layout::{Extent, FrameLayout};
use crate::negotiate::{MemoryPath, Usage};
use crate::vulkan::access::Access;
use crate::vulkan::image::Image;
use crate::vulkan::inner::DeviceInner;
use crate::vulkan::object::Owned;
use crate::vulkan::owner::family_of_others;
use crate::vulkan::staging::{self, Direction, Staging};
use crate::vulkan::submission::{Finish, InUse, Mark};
use crate::vulkan::{failed, handoff, shader, support};

/// Two planes, of luma and of chroma pairs, for each two by two pixels one.
const FORMATS: [Format; 5] = [
    Format::NV12,
    Format::NV21,
    Format::P010,
    Format::P012,
    Format::P016,
];

/// A `Y'CbCr` frame in a buffer that [`RgbToYcbcr`](super::RgbToYcbcr) writes and others import.
///
/// Keeps its device alive. Dropping it waits for submitted work; the frame's memory lives on while anybody holds it.
pub struct YcbcrBuffer {
    objects: InUse<Objects>,
    frame: Frame,
    conversion: YcbcrConversion,
}

/// Dropped in this order: what refers to something goes before it.
struct Objects {
    state: Mutex<State>,
    _pool: Owned<vk::DescriptorPool>,
    set: vk::DescriptorSet,
    store: Store,
    pass: Arc<Pass>,
}

enum Store {
    DmaBuf {
        buffer: Owned<vk::Buffer>,
        _memory: Owned<vk::DeviceMemory>,
    },
    Host(Staging),
}

impl Store {
    fn buffer(&self) -> vk::Buffer {
        match self {
            Self::DmaBuf { buffer, .. } => buffer.raw(),
            Self::Host(staging) => staging.buffer(),
        }
    }
}

/// The last conversion.
struct State {
    view: Option<Owned<vk::ImageView>>,
    /// Signals after the last conversion, which the image's own commands have run: a sync_file would say so too, but is
    /// not something that Vulkan counts as proof.
    done: Mark,
}

/// A conversion that is being recorded.
pub(super) struct Turn<'a> {
    state: MutexGuard<'a, State>,
    target: &'a YcbcrBuffer,
}

impl YcbcrBuffer {
    pub(super) fn new(
        pass: &Arc<Pass>,
        format: Format,
        extent: Extent,
        color: ColorDescription,
        path: MemoryPath,
    ) -> Result<Self> {
        if !FORMATS.contains(&format) {
            let names: Vec<String> = FORMATS.iter().map(ToString::to_string).collect();
            return Err(Error::invalid("format", format, names.join(", ")));
        }
        let (layout, size) = FrameLayout::linear(extent, format)?;
        let layout = layout.with_color(color)?;
        let conversion = YcbcrConversion::of(layout.format_info(), &color)?;
        let device = &pass.device;
        check_size(device, size)?;
        let (store, frame) = match path {
            MemoryPath::DmaBuf => dma_buf(device, layout, size)?,
            MemoryPath::HostMemory => host(device, layout, size)?,
            MemoryPath::OpaqueFd => {
                return Err(Error::invalid("path", path, "dma-buf or host-memory"));
            }
        };
        let (pool, set) = descriptor_set(device, pass, store.buffer())?;
        let state = State {
            view: None,
            done: Mark::new(device, "the end of the frame's last conversion")?,
        };
        let objects = Objects {
            state: Mutex::new(state),
            _pool: pool,
            set,
            store,
            pass: Arc::clone(pass),
        };
        Ok(Self {
            objects: InUse::new(objects),
            frame,
            conversion,
        })
    }

    /// The frame to pass on.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// How often this side copies each frame: 0, or 1 on the host memory path where the CPU must copy on.
    pub fn copies_per_frame(&self) -> u32 {
        match &self.objects.store {
            Store::DmaBuf { .. } => 0,
            Store::Host(staging) => staging.copies_per_frame() - 1,
        }
    }

    pub(super) fn pass(&self) -> &Arc<Pass> {
        &self.objects.pass
    }

    fn device(&self) -> &Arc<DeviceInner> {
        &self.objects.pass.device
    }

    pub(super) fn parameters(&self) -> Parameters {
        let layout = self.frame.layout();
        let info = layout.format_info();
        let [luma, cb, cr] = self.conversion.code_matrix();
        let [first, ..] = info.planes else {
            unreachable!("one of FORMATS")
        };
        let luma_channel = first.channels[0];
        // The first in memory is the least significant, which the table lists last.
        let chroma = info.planes[1].channels.iter().rev();
        let mut order = chroma.filter_map(|channel| match channel.component {
            Component::Cb => Some(cb),
            Component::Cr => Some(cr),
            _ => None,
        });
        let rows = [luma, order.next().unwrap_or(cb), order.next().unwrap_or(cr)];
        // `FrameLayout::linear` aligns pitches and offsets to far more than a word, and 32 bits hold them.
        let words = |bytes: u64| u32::try_from(bytes / 4).unwrap_or(u32::MAX);
        let planes = layout.planes();
        let siting = layout.color().siting;
        let midpoint = |location| u32::from(location == ChromaLocation::Midpoint);
        Parameters {
            rows,
            extent: [layout.extent().width, layout.extent().height],
            offset: [words(planes[0].offset), words(planes[1].offset)],
            pitch: [words(planes[0].pitch), words(planes[1].pitch)],
            midpoint: [midpoint(siting.horizontal), midpoint(siting.vertical)],
            max: self.conversion.max(),
            shift: luma_channel.shift.into(),
            bits: u32::from(first.block_bytes) * 8,
        }
    }

    /// Waits until the last conversion has finished, and puts the image into the descriptor set.
    pub(super) fn begin<'a>(
        &'a self,
        image: &Image,
        gate: &Fence,
        timeout: Duration,
    ) -> Result<Turn<'a>> {
        let mut state = self.state();
        let device = self.device();
        state.finish(timeout)?;
        let view = image_view(image)?;
        let images = [vk::DescriptorImageInfo::default()
            .image_view(view.raw())
            .image_layout(vk::ImageLayout::SHADER_READ_ONLY_OPTIMAL)];
        let write = vk::WriteDescriptorSet::default()
            .dst_set(self.objects.set)
            .descriptor_type(vk::DescriptorType::SAMPLED_IMAGE)
            .image_info(&images);
        // SAFETY: vkUpdateDescriptorSets: no pending commands use the set, as the last conversion has finished.
        unsafe { device.device.update_descriptor_sets(&[write], &[]) };
        state.view = Some(view);
        if let Store::Host(staging) = &self.objects.store
            && staging.needs_cpu_copy()
        {
            // What is no sample keeps its value, so the CPU takes all of it along.
            gate.wait(timeout)?;
            staging.copy_from_frame()?;
        }
        Ok(Turn {
            state,
            target: self,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Consistent between its own calls, whatever panics.
        let state = self.objects.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the buffer from its readers, or from the conversion before.
    pub(super) fn record_acquire(&self, commands: vk::CommandBuffer) {
        let device = self.device();
        let wanted = self
            .start_barrier()
            .dst_access_mask(vk::AccessFlags::SHADER_READ | vk::AccessFlags::SHADER_WRITE);
        let taken = match self.objects.store {
            Store::DmaBuf { .. } => wanted
                .src_queue_family_index(family_of_others(device, MemoryPath::DmaBuf))
                .dst_queue_family_index(device.queue_family),
            // Words at the ends of rows are read and written back: they must be those of the conversion before.
            Store::Host(_) => wanted.src_access_mask(vk::AccessFlags::SHADER_WRITE),
        };
        let from = vk::PipelineStageFlags::ALL_COMMANDS;
        let to = vk::PipelineStageFlags::COMPUTE_SHADER;
        record_barrier(device, commands, from, to, taken);
    }

    /// Gives it to them.
    pub(super) fn record_release(&self, commands: vk::CommandBuffer) {
        let device = self.device();
        let written = self
            .start_barrier()
            .src_access_mask(vk::AccessFlags::SHADER_WRITE);
        let (to, given) = match self.objects.store {
            Store::DmaBuf { .. } => (
                vk::PipelineStageFlags::BOTTOM_OF_PIPE,
                written
                    .src_queue_family_index(device.queue_family)
                    .dst_queue_family_index(family_of_others(device, MemoryPath::DmaBuf)),
            ),
            Store::Host(_) => (
                vk::PipelineStageFlags::HOST,
                written.dst_access_mask(vk::AccessFlags::HOST_READ),
            ),
        };
        let from = vk::PipelineStageFlags::COMPUTE_SHADER;
        record_barrier(device, commands, from, to, given);
    }

    fn start_barrier(&self) -> vk::BufferMemoryBarrier<'static> {
        vk::BufferMemoryBarrier::default()
            .src_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
            .dst_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
            .buffer(self.objects.store.buffer())
            .size(vk::WHOLE_SIZE)
    }
}

impl Turn<'_> {
    pub(super) fn set(&self) -> vk::DescriptorSet {
        self.target.objects.set
    }

    /// Remembers the fence of the submission; returns the acquire fence for readers.
    pub(super) fn end(&mut self, fence: &Fence, timeout: Duration) -> Result<Fence> {
        // After everything that the queue was given so far.
        self.state.done.set()?;
        let Store::Host(staging) = &self.target.objects.store else {
            return Ok(fence.clone());
        };
        if !staging.needs_cpu_copy() {
            return Ok(fence.clone());
        }
        fence.wait(timeout)?;
        staging.copy_to_frame()?;
        Ok(Fence::Signaled)
    }

    /// After a failure: with `finished`, nothing is pending.
    pub(super) fn abandon(&mut self, finished: bool) {
        if !finished {
            self.state.done.lose();
        }
    }
}

impl Finish for State {
    /// Waits until the last conversion has finished.
    fn finish(&mut self, timeout: Duration) -> Result<()> {
        self.done.finish(timeout)
    }
}

impl Finish for Objects {
    fn finish(&mut self, timeout: Duration) -> Result<()> {
        self.state.finish(timeout)
    }
}

fn check_size(device: &DeviceInner, size: u64) -> Result<()> {
    let adapter = device.adapter.inner();
    // SAFETY: vkGetPhysicalDeviceProperties with a valid physical device.
    let properties = unsafe {
        adapter
            .instance
            .get_physical_device_properties(adapter.physical)
    };
    let most = u64::from(properties.limits.max_storage_buffer_range);
    if size > most {
        let limit = format!("at most {most} bytes, maxStorageBufferRange");
        return Err(Error::invalid("buffer size", size, limit));
    }
    Ok(())
}

fn dma_buf(device: &Arc<DeviceInner>, layout: FrameLayout, size: u64) -> Result<(Store, Frame)> {
    let what = "exporting buffers as dma-buf";
    let adapter = device.adapter.inner();
    support::path(adapter, &|name| device.enabled(name), MemoryPath::DmaBuf).require(what)?;
    let handle = vk::ExternalMemoryHandleTypeFlags::DMA_BUF_EXT;
    let usage = vk::BufferUsageFlags::STORAGE_BUFFER;
    let query = vk::PhysicalDeviceExternalBufferInfo::default()
        .usage(usage)
        .handle_type(handle);
    let mut answer = vk::ExternalBufferProperties::default();
    // SAFETY: vkGetPhysicalDeviceExternalBufferProperties (Vulkan 1.1): the handle type's extension is enabled.
    unsafe {
        adapter
            .instance
            .get_physical_device_external_buffer_properties(adapter.physical, &query, &mut answer);
    }
    let features = answer.external_memory_properties.external_memory_features;
    if !features.contains(vk::ExternalMemoryFeatureFlags::EXPORTABLE) {
        let reason = "its driver does not export storage buffers as dma-bufs";
        let missing = Requirement::capability("VK_EXTERNAL_MEMORY_FEATURE_EXPORTABLE_BIT", reason);
        return Err(Error::unsupported(what, vec![missing]));
    }
    let mut external = vk::ExternalMemoryBufferCreateInfo::default().handle_types(handle);
    let buffer = staging::create_buffer(device, size, usage, Some(&mut external))?;
    // SAFETY: vkGetBufferMemoryRequirements with a buffer of this device.
    let needs = unsafe { device.device.get_buffer_memory_requirements(buffer.raw()) };
    let none = vk::MemoryPropertyFlags::empty();
    // Encoders are often other devices: memory that those can reach.
    let index = device
        .memory_type(
            needs.memory_type_bits,
            none,
            vk::MemoryPropertyFlags::HOST_VISIBLE,
        )
        .ok_or_else(|| Error::driver("vkGetBufferMemoryRequirements", "no memory type"))?;
    let mut dedicated = vk::MemoryDedicatedAllocateInfo::default().buffer(buffer.raw());
    let mut export = vk::ExportMemoryAllocateInfo::default().handle_types(handle);
    let allocate = vk::MemoryAllocateInfo::default()
        .allocation_size(needs.size)
        .memory_type_index(index)
        .push_next(&mut dedicated)
        .push_next(&mut export);
    // SAFETY: vkAllocateMemory: size and type are the driver's own (VUID-VkMemoryDedicatedAllocateInfo-buffer-02965);
    // the driver exports this handle type.
    let memory = unsafe { device.device.allocate_memory(&allocate, None) }
        .map_err(failed("vkAllocateMemory"))?;
    let memory = Owned::new(device, memory);
    staging::bind(device, &buffer, &memory)?;
    let fd = handoff::memory_fd(device, memory.raw(), handle)?;
    let memory_of_frame = Memory::DmaBuf(vec![DmaBuf::new(fd)?]);
    let frame = Frame::new(layout, memory_of_frame, adapter.id().clone())?;
    let store = Store::DmaBuf {
        buffer,
        _memory: memory,
    };
    Ok((store, frame))
}

fn host(device: &Arc<DeviceInner>, layout: FrameLayout, size: u64) -> Result<(Store, Frame)> {
    let memfd = Memfd::create("lucarne-frame", size)?;
    let id = device.adapter.inner().id().clone();
    let frame = Frame::new(layout, Memory::HostMemory(memfd), id)?;
    let usage = vk::BufferUsageFlags::STORAGE_BUFFER;
    let staging = Staging::with_usage(device, &frame, Direction::Export, usage)?;
    Ok((Store::Host(staging), frame))
}

/// A set with the buffer in it, and the pool that it lives in.
fn descriptor_set(
    device: &Arc<DeviceInner>,
    pass: &Pass,
    buffer: vk::Buffer,
) -> Result<(Owned<vk::DescriptorPool>, vk::DescriptorSet)> {
    let (pool, set) = shader::descriptor_set(device, &pass.set_layout, &KINDS)?;
    let buffers = [vk::DescriptorBufferInfo::default()
        .buffer(buffer)
        .range(vk::WHOLE_SIZE)];
    let write = vk::WriteDescriptorSet::default()
        .dst_set(set)
        .dst_binding(1)
        .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
        .buffer_info(&buffers);
    // SAFETY: vkUpdateDescriptorSets of a set that no commands use yet; the buffer's size is within the device's
    // limit (`check_size`).
    unsafe { device.device.update_descriptor_sets(&[write], &[]) };
    Ok((pool, set))
}

fn image_view(image: &Image) -> Result<Owned<vk::ImageView>> {
    if !image.usage().contains(Usage::SAMPLE) {
        let limit = "made for sampling too";
        return Err(Error::invalid("image.usage", image.usage(), limit));
    }
    image.view(Access::Sampled)
}

fn record_barrier(
    device: &DeviceInner,
    commands: vk::CommandBuffer,
    from: vk::PipelineStageFlags,
    to: vk::PipelineStageFlags,
    barrier: vk::BufferMemoryBarrier<'_>,
) {
    let flags = vk::DependencyFlags::empty();
    // SAFETY: vkCmdPipelineBarrier: recording outside a render pass, the buffer is alive, the queue families are this
    // device's and a special one that is core or enabled.
    unsafe {
        device
            .device
            .cmd_pipeline_barrier(commands, from, to, flags, &[], &[barrier], &[]);
    }
}

impl fmt::Debug for YcbcrBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YcbcrBuffer")
            .field("frame", &self.frame)
            .finish_non_exhaustive()
    }
}
