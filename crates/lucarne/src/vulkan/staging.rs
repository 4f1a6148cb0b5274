//! The host memory path: the device copies between the image and a buffer, at best one that lies in the frame's memfd.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use ash::vk;

use super::access::Access;
use super::inner::DeviceInner;
use super::memory::host_memory;
use super::object::Owned;
use super::{conv, failed};
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::frame::Memory;
use crate::kernel::Mapping;
use crate::layout::FrameLayout;

/// Which way the pixels go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Out of the image, into the frame.
    Export,
    /// Out of the frame, into the image.
    Import,
}

/// A buffer between an image and the frame's memory.
pub(super) struct Staging {
    // Dropped in this order.
    buffer: Owned<vk::Buffer>,
    _memory: Owned<vk::DeviceMemory>,
    /// Where the driver mapped the buffer, if that is not the frame's memory itself.
    bounce: Option<Bounce>,
    mapping: Mutex<Mapping>,
    bytes: usize,
    /// Where the frame's rows lie, if the buffer holds those alone.
    packed: Option<Rows>,
    direction: Direction,
}

/// The rows of a frame's only plane, in bytes: what a buffer of their own holds, one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rows {
    offset: usize,
    pitch: usize,
    row: usize,
    count: usize,
}

impl Rows {
    /// `None` for a layout without planes.
    fn of(layout: &FrameLayout) -> Option<Self> {
        let plane = layout.planes().first()?;
        let (info, extent) = (layout.format_info(), layout.extent());
        Some(Self {
            offset: usize::try_from(plane.offset).ok()?,
            pitch: usize::try_from(plane.pitch).ok()?,
            row: usize::try_from(info.row_bytes(0, extent.width)?).ok()?,
            count: usize::try_from(info.rows(0, extent.height)?).ok()?,
        })
    }

    /// Far from overflowing: a layout's rows end below [`MAX_REACH`](crate::MAX_REACH).
    fn bytes(self) -> usize {
        self.row * self.count
    }

    /// Where each row begins in the frame's memory.
    fn offsets(self) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |row| self.offset + row * self.pitch)
    }
}

/// The most host memory that a small frame may have.
const ROOM: u64 = 64 << 20;
/// The most host memory that a large frame may have, as a multiple of what its pixels need.
const ROOM_FOLD: u64 = 8;

/// Refuses host memory far beyond what its layout needs: a driver may pin all of it.
pub(super) fn check_room(frame: &Frame) -> Result<()> {
    let (Memory::HostMemory(memfd), Some(rows)) = (frame.memory(), Rows::of(frame.layout())) else {
        return Ok(());
    };
    let most = ROOM.max(rows.bytes() as u64 * ROOM_FOLD);
    if memfd.size() > most {
        let limit = format!(
            "at most {most} bytes for {}: {ROOM_FOLD} times its pixels, or {ROOM} where that is more",
            frame.layout()
        );
        return Err(Error::invalid("memory size", memfd.size(), limit));
    }
    Ok(())
}

struct Bounce {
    address: NonNull<c_void>,
}

// SAFETY: the address is of memory that the driver keeps mapped for the whole process until the memory is freed; it
// is only touched under the mapping's lock, and only while no submission uses it.
unsafe impl Send for Bounce {}
// SAFETY: as above.
unsafe impl Sync for Bounce {}

impl Staging {
    pub(super) fn new(
        device: &Arc<DeviceInner>,
        frame: &Frame,
        direction: Direction,
    ) -> Result<Self> {
        let usage = match direction {
            Direction::Export => vk::BufferUsageFlags::TRANSFER_DST,
            Direction::Import => vk::BufferUsageFlags::TRANSFER_SRC,
        };
        let rows = Rows::of(frame.layout());
        Self::make(device, frame, direction, usage, rows)
    }

    /// A buffer that shaders write, for instance, and that is laid out as the frame is.
    pub(super) fn with_usage(
        device: &Arc<DeviceInner>,
        frame: &Frame,
        direction: Direction,
        usage: vk::BufferUsageFlags,
    ) -> Result<Self> {
        Self::make(device, frame, direction, usage, None)
    }

    /// In the frame's memory where the device can; elsewhere of `rows` alone, or of all there is.
    fn make(
        device: &Arc<DeviceInner>,
        frame: &Frame,
        direction: Direction,
        usage: vk::BufferUsageFlags,
        rows: Option<Rows>,
    ) -> Result<Self> {
        let Memory::HostMemory(memfd) = frame.memory() else {
            return Err(Error::invalid(
                "memory",
                frame.memory().path(),
                "host-memory",
            ));
        };
        frame.layout().check_whole_pixels()?;
        let mapping = Mapping::new(memfd)?;
        let in_place = in_place(device, &mapping, usage)?;
        let packed = rows.filter(|_| in_place.is_none());
        let bytes = packed.map_or(mapping.len(), Rows::bytes);
        let (buffer, memory, bounce) = match in_place {
            Some((buffer, memory)) => (buffer, memory, None),
            None => {
                let (buffer, memory, bounce) = bounced(device, bytes, usage)?;
                (buffer, memory, Some(bounce))
            }
        };
        Ok(Self {
            buffer,
            _memory: memory,
            bounce,
            mapping: Mutex::new(mapping),
            bytes,
            packed,
            direction,
        })
    }

    pub(super) fn buffer(&self) -> vk::Buffer {
        self.buffer.raw()
    }

    pub(super) fn is_import(&self) -> bool {
        self.direction == Direction::Import
    }

    /// Whether the CPU must copy after the device has.
    pub(super) fn needs_cpu_copy(&self) -> bool {
        self.bounce.is_some() && !self.is_import()
    }

    pub(super) fn copies_per_frame(&self) -> u32 {
        1 + u32::from(self.bounce.is_some())
    }

    /// Pixels go one way only.
    pub(super) fn check(&self, access: Access) -> Result<()> {
        if access.writes() == self.is_import() {
            return Err(Error::invalid(
                "access",
                format!("{access:?}"),
                "writing by the exporter, reading by importers: host memory frames go one way",
            ));
        }
        Ok(())
    }

    /// Records the copy of the image, which is in `TRANSFER_SRC_OPTIMAL`, and makes it visible to the host.
    pub(super) fn record_copy_out(
        &self,
        device: &DeviceInner,
        buffer: vk::CommandBuffer,
        image: vk::Image,
        frame: &Frame,
    ) {
        let region = region(frame, self.packed.is_some());
        // SAFETY: vkCmdCopyImageToBuffer: the image has TRANSFER_SRC usage and is in that layout, and the buffer has
        // TRANSFER_DST usage and holds every row of the region: laid out as in the frame, or those alone.
        unsafe {
            device.device.cmd_copy_image_to_buffer(
                buffer,
                image,
                vk::ImageLayout::TRANSFER_SRC_OPTIMAL,
                self.buffer.raw(),
                &[region],
            );
        }
        let visible = vk::BufferMemoryBarrier::default()
            .src_access_mask(vk::AccessFlags::TRANSFER_WRITE)
            .dst_access_mask(vk::AccessFlags::HOST_READ)
            .src_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
            .dst_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
            .buffer(self.buffer.raw())
            .size(vk::WHOLE_SIZE);
        // SAFETY: vkCmdPipelineBarrier: recording outside a render pass, the buffer is alive.
        unsafe {
            device.device.cmd_pipeline_barrier(
                buffer,
                vk::PipelineStageFlags::TRANSFER,
                vk::PipelineStageFlags::HOST,
                vk::DependencyFlags::empty(),
                &[],
                &[visible],
                &[],
            );
        }
    }

    /// Records the copy into the image, which is in `TRANSFER_DST_OPTIMAL`.
    pub(super) fn record_copy_in(
        &self,
        device: &DeviceInner,
        buffer: vk::CommandBuffer,
        image: vk::Image,
        frame: &Frame,
    ) {
        let region = region(frame, self.packed.is_some());
        // SAFETY: vkCmdCopyBufferToImage: the image has TRANSFER_DST usage and is in that layout, and the buffer has
        // TRANSFER_SRC usage and holds every row of the region: laid out as in the frame, or those alone. What the host
        // wrote before the submission is visible to it (Vulkan, "Host Write Ordering Guarantees").
        unsafe {
            device.device.cmd_copy_buffer_to_image(
                buffer,
                self.buffer.raw(),
                image,
                vk::ImageLayout::TRANSFER_DST_OPTIMAL,
                &[region],
            );
        }
    }

    /// Copies the frame's memory to where the device can read it, where that is not the same place.
    pub(super) fn copy_from_frame(&self) -> Result<()> {
        let Some(bounce) = &self.bounce else {
            return Ok(());
        };
        let mapping = self.mapping.lock().unwrap_or_else(PoisonError::into_inner);
        let target = bounce.address.as_ptr().cast::<u8>();
        // SAFETY: slice::from_raw_parts_mut: the driver mapped `bytes` bytes there; the last submission that read them
        // has finished (`Finish::finish`, of the image's turn or of the source that was drawn), and the lock keeps other
        // writers out.
        let target = unsafe { std::slice::from_raw_parts_mut(target, self.bytes) };
        let Some(rows) = self.packed else {
            return mapping.copy_out(0, target);
        };
        let mut places = rows.offsets().zip(target.chunks_exact_mut(rows.row));
        places.try_for_each(|(offset, row)| mapping.copy_out(offset, row))
    }

    /// Copies what the device wrote into the frame's memory, where the device could not do that itself.
    pub(super) fn copy_to_frame(&self) -> Result<()> {
        let Some(bounce) = &self.bounce else {
            return Ok(());
        };
        let mut mapping = self.mapping.lock().unwrap_or_else(PoisonError::into_inner);
        let source = bounce.address.as_ptr().cast::<u8>();
        // SAFETY: slice::from_raw_parts: the driver mapped `bytes` bytes there, initialised by the copy that has
        // finished, and nothing writes them until the next submission, which this call precedes.
        let source = unsafe { std::slice::from_raw_parts(source, self.bytes) };
        let Some(rows) = self.packed else {
            return mapping.copy_in(0, source);
        };
        let mut places = rows.offsets().zip(source.chunks_exact(rows.row));
        places.try_for_each(|(offset, row)| mapping.copy_in(offset, row))
    }
}

/// The frame's only plane, as copies describe it; or its rows alone, where they are `packed`.
fn region(frame: &Frame, packed: bool) -> vk::BufferImageCopy {
    let layout = frame.layout();
    let plane = layout.planes().first().filter(|_| !packed);
    // A row length of 0 stands for rows without padding (`VkBufferImageCopy`).
    let (offset, pitch) = plane.map_or((0, 0), |plane| (plane.offset, plane.pitch));
    let block = u64::from(layout.format_info().planes[0].block_bytes);
    // Fits: `FrameLayout` holds pitches to far less than 32 bits.
    let row_length = u32::try_from(pitch / block).unwrap_or(0);
    vk::BufferImageCopy::default()
        .buffer_offset(offset)
        .buffer_row_length(row_length)
        .image_subresource(conv::whole_layer())
        .image_extent(conv::extent_3d(layout.extent()))
}

type BufferMemory = (Owned<vk::Buffer>, Owned<vk::DeviceMemory>);

/// A buffer in the memfd's own pages (`VK_EXT_external_memory_host`), or `None` where the device cannot.
fn in_place(
    device: &Arc<DeviceInner>,
    mapping: &Mapping,
    usage: vk::BufferUsageFlags,
) -> Result<Option<BufferMemory>> {
    if device.memory_host.is_none() {
        return Ok(None);
    }
    let size = mapping.len() as u64;
    let handle = vk::ExternalMemoryHandleTypeFlags::HOST_ALLOCATION_EXT;
    let mut external = vk::ExternalMemoryBufferCreateInfo::default().handle_types(handle);
    let buffer = create_buffer(device, size, usage, Some(&mut external))?;
    // SAFETY: vkGetBufferMemoryRequirements with a buffer of this device.
    let needs = unsafe { device.device.get_buffer_memory_requirements(buffer.raw()) };
    if needs.size > size {
        return Ok(None);
    }
    let Some(memory) = host_memory(device, mapping, needs.memory_type_bits)? else {
        return Ok(None);
    };
    bind(device, &buffer, &memory)?;
    Ok(Some((buffer, memory)))
}

/// A buffer in memory of the driver's, which the CPU must copy on.
fn bounced(
    device: &Arc<DeviceInner>,
    bytes: usize,
    usage: vk::BufferUsageFlags,
) -> Result<(Owned<vk::Buffer>, Owned<vk::DeviceMemory>, Bounce)> {
    let buffer = create_buffer(device, bytes as u64, usage, None)?;
    // SAFETY: vkGetBufferMemoryRequirements with a buffer of this device.
    let needs = unsafe { device.device.get_buffer_memory_requirements(buffer.raw()) };
    let coherent = vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
    let cached = vk::MemoryPropertyFlags::HOST_CACHED;
    let index = device
        .memory_type(needs.memory_type_bits, coherent, cached)
        .ok_or_else(|| Error::driver("vkGetBufferMemoryRequirements", "no host-visible type"))?;
    let allocate = vk::MemoryAllocateInfo::default()
        .allocation_size(needs.size)
        .memory_type_index(index);
    // SAFETY: vkAllocateMemory with a size and type the driver asked for.
    let memory = unsafe { device.device.allocate_memory(&allocate, None) }
        .map_err(failed("vkAllocateMemory"))?;
    let memory = Owned::new(device, memory);
    bind(device, &buffer, &memory)?;
    let flags = vk::MemoryMapFlags::empty();
    // SAFETY: vkMapMemory: host-visible and not mapped yet; freeing the memory unmaps it.
    let address = unsafe {
        device
            .device
            .map_memory(memory.raw(), 0, vk::WHOLE_SIZE, flags)
    }
    .map_err(failed("vkMapMemory"))?;
    let address = NonNull::new(address)
        .ok_or_else(|| Error::driver("vkMapMemory", "success, but a null pointer"))?;
    Ok((buffer, memory, Bounce { address }))
}

pub(super) fn create_buffer(
    device: &Arc<DeviceInner>,
    size: u64,
    usage: vk::BufferUsageFlags,
    external: Option<&mut vk::ExternalMemoryBufferCreateInfo<'_>>,
) -> Result<Owned<vk::Buffer>> {
    let mut create = vk::BufferCreateInfo::default()
        .size(size)
        .usage(usage)
        .sharing_mode(vk::SharingMode::EXCLUSIVE);
    if let Some(external) = external {
        create = create.push_next(external);
    }
    // SAFETY: vkCreateBuffer with a size above zero: a mapping is never empty.
    let buffer =
        unsafe { device.device.create_buffer(&create, None) }.map_err(failed("vkCreateBuffer"))?;
    Ok(Owned::new(device, buffer))
}

pub(super) fn bind(
    device: &DeviceInner,
    buffer: &Owned<vk::Buffer>,
    memory: &Owned<vk::DeviceMemory>,
) -> Result<()> {
    // SAFETY: vkBindBufferMemory: neither was bound before, and size and type are those the buffer asked for.
    unsafe {
        device
            .device
            .bind_buffer_memory(buffer.raw(), memory.raw(), 0)
    }
    .map_err(failed("vkBindBufferMemory"))
}
