//! Pixels in and out of shared images, for programs without a renderer: tests, snapshots, first steps.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ash::vk;

use super::access::Access;
use super::device::Device;
use super::image::Image;
use super::inner::DeviceInner;
use super::object::Owned;
use super::submission::{Finish, InUse};
use super::{conv, failed};
use crate::error::{Error, Result};
use crate::frame::Fence;

impl Device {
    /// Writes `pixels`, rows from the top without padding, into a frame: [`Device::write`] with a copy.
    ///
    /// Allocates a buffer for each call and waits until the copy has finished: not a way to stream.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when `pixels` is not exactly the image's size; otherwise as for [`Device::write`]. The image
    /// needs [`Usage::TRANSFER_DESTINATION`](crate::Usage::TRANSFER_DESTINATION).
    pub fn upload(
        &self,
        image: &Image,
        gate: &Fence,
        timeout: Duration,
        pixels: &[u8],
    ) -> Result<Fence> {
        let upload = self.begin_upload(image, gate, timeout, pixels, 1)?;
        image.finish(timeout)?;
        Ok(upload.fence().clone())
    }

    /// As [`Device::upload`], and does not wait: the fence need not have signalled when this returns.
    ///
    /// The copy is made `times` times, one after the other, so that a fence which would signal at once stays unsignalled
    /// for a while: for trials of who waits for whom. All copies but the last write other bytes, those of `pixels` with
    /// every bit inverted, so that a reader who does not wait is found out. No times is once.
    ///
    /// # Errors
    ///
    /// As for [`Device::upload`].
    pub fn begin_upload<'i>(
        &self,
        image: &'i Image,
        gate: &Fence,
        timeout: Duration,
        pixels: &[u8],
        times: u32,
    ) -> Result<Upload<'i>> {
        let bytes = image_bytes(image)?;
        if pixels.len() != bytes {
            let limit = format!("{bytes} for {}", image.frame().layout());
            return Err(Error::invalid("pixels.len()", pixels.len(), limit));
        }
        let others_at = others_at(image, bytes);
        let staged = match times {
            0 | 1 => Cow::Borrowed(pixels),
            _ => Cow::Owned(with_others(pixels, others_at)),
        };
        let size = staged.len();
        let buffer = HostBuffer::new(self.inner(), size, vk::BufferUsageFlags::TRANSFER_SRC)?;
        buffer.access(|address| {
            // SAFETY: ptr::copy_nonoverlapping: the mapping holds `size` bytes, as `staged` does, and is not `staged`.
            unsafe { std::ptr::copy_nonoverlapping(staged.as_ptr(), address, size) };
        })?;
        let last = region(image);
        let others = last.buffer_offset(others_at as u64);
        let access = Access::TransferDestination;
        // Whatever comes of the turn, the buffer may not go before its copies have finished.
        let copying = InUse::new(Copying { image, buffer });
        let raw = copying.buffer.buffer.raw();
        let fence = self.write(image, gate, timeout, access, |commands| {
            for time in 1..=times.max(1) {
                if time > 1 {
                    self.one_after_the_other(commands);
                }
                let region = if time < times { others } else { last };
                // SAFETY: vkCmdCopyBufferToImage: the image is in this layout (`Device::write`), the buffer holds every row,
                // and where there is more than one copy every row of the others too, from `others_at` on.
                unsafe {
                    self.raw().cmd_copy_buffer_to_image(
                        commands,
                        raw,
                        image.raw(),
                        vk::ImageLayout::TRANSFER_DST_OPTIMAL,
                        &[region],
                    );
                }
            }
        })?;
        Ok(Upload {
            fence,
            _copying: copying,
        })
    }

    /// The next copy begins when those before it have written.
    fn one_after_the_other(&self, commands: vk::CommandBuffer) {
        let written = vk::MemoryBarrier::default()
            .src_access_mask(vk::AccessFlags::TRANSFER_WRITE)
            .dst_access_mask(vk::AccessFlags::TRANSFER_WRITE);
        let stage = vk::PipelineStageFlags::TRANSFER;
        let none = vk::DependencyFlags::empty();
        // SAFETY: vkCmdPipelineBarrier: commands that `Device::write` is recording, outside a render pass.
        unsafe {
            self.raw()
                .cmd_pipeline_barrier(commands, stage, stage, none, &[written], &[], &[]);
        }
    }

    /// Reads a frame's pixels, rows from the top without padding: [`Device::read`] with a copy. The copy has finished
    /// when this returns, so the release fence is [`Fence::Signaled`].
    ///
    /// # Errors
    ///
    /// As for [`Device::read`]. The image needs [`Usage::TRANSFER_SOURCE`](crate::Usage::TRANSFER_SOURCE).
    pub fn download(&self, image: &Image, acquire: &Fence, timeout: Duration) -> Result<Vec<u8>> {
        let bytes = image_bytes(image)?;
        let buffer = HostBuffer::new(self.inner(), bytes, vk::BufferUsageFlags::TRANSFER_DST)?;
        let region = region(image);
        let access = Access::TransferSource;
        let fence = self.read(image, acquire, timeout, access, |commands| {
            // SAFETY: vkCmdCopyImageToBuffer: the image is in this layout (`Device::read`), the buffer holds every row.
            unsafe {
                self.raw().cmd_copy_image_to_buffer(
                    commands,
                    image.raw(),
                    vk::ImageLayout::TRANSFER_SRC_OPTIMAL,
                    buffer.buffer.raw(),
                    &[region],
                );
            }
        });
        image.finish(timeout)?;
        let _finished = fence?;
        let mut pixels = vec![0; bytes];
        buffer.access(|address| {
            // SAFETY: ptr::copy_nonoverlapping: as in `upload`, the other way.
            unsafe { std::ptr::copy_nonoverlapping(address, pixels.as_mut_ptr(), bytes) };
        })?;
        Ok(pixels)
    }
}

/// A copy into a frame, which may not have finished. Dropping it waits until it has, ten seconds at most; after that it
/// leaks what the copy reads from.
pub struct Upload<'i> {
    fence: Fence,
    _copying: InUse<Copying<'i>>,
}

impl Upload<'_> {
    /// Signals when the copy has finished.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }
}

impl fmt::Debug for Upload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}

/// What a copy uses.
struct Copying<'i> {
    image: &'i Image,
    buffer: HostBuffer,
}

impl Finish for Copying<'_> {
    fn finish(&mut self, timeout: Duration) -> Result<()> {
        self.image.finish(timeout)
    }
}

fn image_bytes(image: &Image) -> Result<usize> {
    let layout = image.frame().layout();
    let extent = layout.extent();
    let info = layout.format_info();
    let bytes = info
        .row_bytes(0, extent.width)
        .zip(info.rows(0, extent.height))
        .map(|(row, rows)| u64::from(row) * u64::from(rows))
        .and_then(|bytes| usize::try_from(bytes).ok());
    bytes.ok_or_else(|| Error::invalid("extent", extent, "small enough for this machine's memory"))
}

/// Where the bytes that are not the pixels lie, behind the `bytes` of those: at a whole block, and at four bytes as a queue
/// that does nothing but copy asks for.
fn others_at(image: &Image, bytes: usize) -> usize {
    let block = image.frame().layout().format_info().planes[0].block_bytes;
    bytes.next_multiple_of(4 * usize::from(block))
}

/// The pixels, and from `others_at` on the same with every bit inverted.
fn with_others(pixels: &[u8], others_at: usize) -> Vec<u8> {
    let mut both = Vec::with_capacity(others_at + pixels.len());
    both.extend_from_slice(pixels);
    both.resize(others_at, 0);
    both.extend(pixels.iter().map(|byte| !byte));
    both
}

fn region(image: &Image) -> vk::BufferImageCopy {
    let extent = image.frame().layout().extent();
    vk::BufferImageCopy::default()
        .image_subresource(conv::whole_layer())
        .image_extent(conv::extent_3d(extent))
}

/// A buffer that the host can see.
struct HostBuffer {
    // Dropped in this order.
    buffer: Owned<vk::Buffer>,
    memory: Owned<vk::DeviceMemory>,
    device: Arc<DeviceInner>,
}

impl HostBuffer {
    fn new(device: &Arc<DeviceInner>, bytes: usize, usage: vk::BufferUsageFlags) -> Result<Self> {
        let raw = &device.device;
        let create = vk::BufferCreateInfo::default()
            .size(bytes as u64)
            .usage(usage);
        // SAFETY: vkCreateBuffer with a size above zero: no layout is empty.
        let buffer =
            unsafe { raw.create_buffer(&create, None) }.map_err(failed("vkCreateBuffer"))?;
        let buffer = Owned::new(device, buffer);
        // SAFETY: vkGetBufferMemoryRequirements with a buffer of this device.
        let needs = unsafe { raw.get_buffer_memory_requirements(buffer.raw()) };
        let coherent =
            vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
        let none = vk::MemoryPropertyFlags::empty();
        let index = device
            .memory_type(needs.memory_type_bits, coherent, none)
            .ok_or_else(|| {
                Error::driver("vkGetBufferMemoryRequirements", "no host-visible type")
            })?;
        let allocate = vk::MemoryAllocateInfo::default()
            .allocation_size(needs.size)
            .memory_type_index(index);
        // SAFETY: vkAllocateMemory with a size and type the driver asked for.
        let memory =
            unsafe { raw.allocate_memory(&allocate, None) }.map_err(failed("vkAllocateMemory"))?;
        let memory = Owned::new(device, memory);
        // SAFETY: vkBindBufferMemory: neither was bound before.
        unsafe { raw.bind_buffer_memory(buffer.raw(), memory.raw(), 0) }
            .map_err(failed("vkBindBufferMemory"))?;
        Ok(Self {
            buffer,
            memory,
            device: Arc::clone(device),
        })
    }

    /// Maps the buffer for the time of `copy`.
    fn access(&self, copy: impl FnOnce(*mut u8)) -> Result<()> {
        let raw = &self.device.device;
        let flags = vk::MemoryMapFlags::empty();
        // SAFETY: vkMapMemory: host-visible, not mapped, and in no pending use: callers have waited.
        let address = unsafe { raw.map_memory(self.memory.raw(), 0, vk::WHOLE_SIZE, flags) }
            .map_err(failed("vkMapMemory"))?;
        copy(address.cast());
        // SAFETY: vkUnmapMemory of what was mapped just now.
        unsafe { raw.unmap_memory(self.memory.raw()) };
        Ok(())
    }
}
