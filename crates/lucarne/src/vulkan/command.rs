//! Taking turns: acquire and release barriers, submission, and the fences in and out.

use std::sync::Arc;
use std::time::Duration;

use ash::vk;

use super::access::Access;
use super::device::{Device, DeviceInner};
use super::image::Image;
use super::object::Owned;
use super::timeline::{TimelineValue, Timelines};
use super::{failed, handoff};
use crate::error::{Error, Result, Support};
use crate::frame::Fence;
use crate::negotiate::MemoryPath;
use crate::quirks;

impl Device {
    /// Writes a frame: waits for `gate`, takes the image from its readers, runs `record`, gives it back, submits, and
    /// returns the acquire fence for the next reader.
    ///
    /// `gate` is the release fence that came with [`Free::acquire`](crate::Free::acquire). `record` gets a command
    /// buffer in the recording state, outside a render pass; it finds the image in `access`'s layout, with the
    /// contents of the last write (undefined on the first), and must leave it in that layout.
    ///
    /// Blocks until the image's last turn has finished, which it has when others waited for it; on devices that
    /// cannot pass fences as sync_files, and on the host memory path where the CPU copies, also until this write has.
    /// Each wait ends after `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for another device's image, an access that does not write, or an imported host memory
    /// frame that is copied (where the image lies in host memory itself, both sides can write); [`Error::Timeout`] when a wait exceeds `timeout`;
    /// [`Error::Driver`] when the driver refuses. The image can be written again after each.
    pub fn write(
        &self,
        image: &Image,
        gate: &Fence,
        timeout: Duration,
        access: Access,
        record: impl FnOnce(vk::CommandBuffer),
    ) -> Result<Fence> {
        access.check_write()?;
        self.turn(image, gate, &Timelines::default(), timeout, access, record)
    }

    /// Reads a frame: waits for `acquire`, takes the image from its writer, runs `record`, gives it back, submits, and
    /// returns the release fence for the next writer.
    ///
    /// `acquire` is the fence that came with [`Received::acquire`](crate::Received::acquire). Otherwise as
    /// [`Device::write`]; on the host memory path the frame's pixels are copied into the image first.
    ///
    /// # Errors
    ///
    /// As for [`Device::write`]: here for an access that writes, and for an exported host memory frame that is copied,
    /// whose pixels only importers see.
    pub fn read(
        &self,
        image: &Image,
        acquire: &Fence,
        timeout: Duration,
        access: Access,
        record: impl FnOnce(vk::CommandBuffer),
    ) -> Result<Fence> {
        access.check_read()?;
        let none = Timelines::default();
        self.turn(image, acquire, &none, timeout, access, record)
    }

    pub(super) fn turn(
        &self,
        image: &Image,
        gate: &Fence,
        timelines: &Timelines,
        timeout: Duration,
        access: Access,
        record: impl FnOnce(vk::CommandBuffer),
    ) -> Result<Fence> {
        if !Arc::ptr_eq(self.inner(), image.device()) {
            return Err(Error::invalid(
                "image",
                "of another device",
                "one that this device exported or imported",
            ));
        }
        if !image.usage().contains(access.usage()) {
            return Err(Error::invalid(
                "access",
                format!("{access:?}"),
                format!("what the image was made for: {}", image.usage()),
            ));
        }
        if let Some(staging) = image.staging() {
            staging.check(access)?;
        }
        let mut commands = image.commands();
        commands.finish(timeout)?;
        let wait = match image.staging() {
            Some(staging) if staging.is_import() => {
                // The CPU or the copy command reads the frame: its writer must have finished.
                gate.wait(timeout)?;
                staging.copy_from_frame()?;
                None
            }
            None if image.in_host_memory() => {
                // What others wrote there is visible to what is submitted afterwards, and to nothing else (Vulkan, "Host
                // Write Ordering Guarantees").
                gate.wait(timeout)?;
                None
            }
            _ => commands.gate(gate, timeout)?,
        };
        let buffer = commands.begin()?;
        record_acquire(self.inner(), buffer, image, access, commands.owner);
        record(buffer);
        record_release(self.inner(), buffer, image, access);
        let fence = commands.submit(wait, timelines, timeout)?;
        let Some(staging) = image.staging().filter(|staging| staging.needs_cpu_copy()) else {
            return Ok(fence);
        };
        commands.finish(timeout)?;
        staging.copy_to_frame()?;
        Ok(Fence::Signaled)
    }
}

/// Who has had the image, which decides how it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody: its contents are undefined.
    Nobody,
    /// The other side, in `VK_IMAGE_LAYOUT_GENERAL`; or, on the host memory path, this side.
    Others,
}

/// What an image needs to be used again and again without allocating.
pub(super) struct Commands {
    device: Arc<DeviceInner>,
    buffer: vk::CommandBuffer,
    _pool: Owned<vk::CommandPool>,
    done: Owned<vk::Fence>,
    wait: Option<Owned<vk::Semaphore>>,
    signal: Option<Owned<vk::Semaphore>>,
    /// A semaphore that was signalled and could not be exported.
    retired: Option<Owned<vk::Semaphore>>,
    /// Submitted, and not known to have finished.
    pending: bool,
    owner: Owner,
}

impl Commands {
    pub(super) fn new(device: &Arc<DeviceInner>, owner: Owner) -> Result<Self> {
        let raw = &device.device;
        let pool = vk::CommandPoolCreateInfo::default()
            .flags(vk::CommandPoolCreateFlags::RESET_COMMAND_BUFFER)
            .queue_family_index(device.queue_family);
        // SAFETY: vkCreateCommandPool with a family the device was created with.
        let pool = unsafe { raw.create_command_pool(&pool, None) }
            .map_err(failed("vkCreateCommandPool"))?;
        let pool = Owned::new(device, pool);
        let allocate = vk::CommandBufferAllocateInfo::default()
            .command_pool(pool.raw())
            .command_buffer_count(1);
        // SAFETY: vkAllocateCommandBuffers from a pool of our own.
        let buffers = unsafe { raw.allocate_command_buffers(&allocate) }
            .map_err(failed("vkAllocateCommandBuffers"))?;
        let buffer = buffers
            .first()
            .copied()
            .ok_or_else(|| Error::driver("vkAllocateCommandBuffers", "success, but no buffer"))?;
        // SAFETY: vkCreateFence has no preconditions beyond valid create info.
        let done = unsafe { raw.create_fence(&vk::FenceCreateInfo::default(), None) }
            .map_err(failed("vkCreateFence"))?;
        let done = Owned::new(device, done);
        let wait = semaphore(device, &device.fences.import, false)?;
        let signal = semaphore(device, &device.fences.export, true)?;
        Ok(Self {
            device: Arc::clone(device),
            buffer,
            _pool: pool,
            done,
            wait,
            signal,
            retired: None,
            pending: false,
            owner,
        })
    }

    /// Waits until the last submission has finished.
    pub(super) fn finish(&mut self, timeout: Duration) -> Result<()> {
        if !self.pending {
            return Ok(());
        }
        let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let fences = [self.done.raw()];
        // SAFETY: vkWaitForFences with a fence of this device.
        let result = unsafe {
            self.device
                .device
                .wait_for_fences(&fences, true, nanoseconds)
        };
        match result {
            Ok(()) => {
                self.pending = false;
                self.retired = None;
                Ok(())
            }
            Err(vk::Result::TIMEOUT) => Err(Error::Timeout {
                waiting_for: "the end of the image's last turn",
                after: timeout,
            }),
            Err(other) => Err(failed("vkWaitForFences")(other)),
        }
    }

    /// Sees to it that the next submission starts after `gate`; returns the semaphore that it must wait for, if the
    /// CPU has not waited already.
    fn gate(&self, gate: &Fence, timeout: Duration) -> Result<Option<vk::Semaphore>> {
        let (Fence::SyncFile(file), Some(semaphore)) = (gate, &self.wait) else {
            gate.wait(timeout)?;
            return Ok(None);
        };
        let quirks = &self.device.adapter.inner().quirks;
        if quirks.has(&quirks::SOFTWARE_WAITS_FOR_EVER) {
            // A software driver would wait on this thread, and for ever: wait here instead, with a deadline.
            file.wait(timeout)?;
        }
        handoff::import_sync_file(&self.device, semaphore.raw(), file)?;
        Ok(Some(semaphore.raw()))
    }

    fn begin(&self) -> Result<vk::CommandBuffer> {
        let begin = vk::CommandBufferBeginInfo::default()
            .flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
        let flags = vk::CommandBufferResetFlags::empty();
        // A caller's closure that panicked has left the buffer recording, which cannot be begun again.
        // SAFETY: vkResetCommandBuffer (VUID-vkResetCommandBuffer-commandBuffer-00045): not pending, as `finish` has
        // returned; its pool allows resets.
        unsafe { self.device.device.reset_command_buffer(self.buffer, flags) }
            .map_err(failed("vkResetCommandBuffer"))?;
        // SAFETY: vkBeginCommandBuffer (VUID-vkBeginCommandBuffer-commandBuffer-00049): reset just now.
        unsafe { self.device.device.begin_command_buffer(self.buffer, &begin) }
            .map_err(failed("vkBeginCommandBuffer"))?;
        Ok(self.buffer)
    }

    fn submit(
        &mut self,
        wait: Option<vk::Semaphore>,
        timelines: &Timelines,
        timeout: Duration,
    ) -> Result<Fence> {
        let raw = &self.device.device;
        // SAFETY: vkEndCommandBuffer: in the recording state since `begin`, outside a render pass by `write`'s
        // contract with its closure.
        unsafe { raw.end_command_buffer(self.buffer) }.map_err(failed("vkEndCommandBuffer"))?;
        let fences = [self.done.raw()];
        // SAFETY: vkResetFences: no submission is pending on it, as `finish` has returned.
        unsafe { raw.reset_fences(&fences) }.map_err(failed("vkResetFences"))?;
        let buffers = [self.buffer];
        // Binary semaphores have no values: theirs are ignored.
        let binary = |semaphore| TimelineValue {
            semaphore,
            value: 0,
        };
        let waits = Points::new(wait.map(binary), timelines.wait);
        let stages = [vk::PipelineStageFlags::ALL_COMMANDS; 2];
        let signal = self.signal.as_ref().map(|one| binary(one.raw()));
        let signals = Points::new(signal, timelines.signal);
        let mut values = vk::TimelineSemaphoreSubmitInfo::default()
            .wait_semaphore_values(waits.values())
            .signal_semaphore_values(signals.values());
        let mut submit = vk::SubmitInfo::default()
            .command_buffers(&buffers)
            .wait_semaphores(waits.semaphores())
            .wait_dst_stage_mask(&stages[..waits.count])
            .signal_semaphores(signals.semaphores());
        if *timelines != Timelines::default() {
            submit = submit.push_next(&mut values);
        }
        let queue = self.device.submitting.lock();
        // SAFETY: vkQueueSubmit: the queue is ours alone, by the lock and by `Device::from_raw`'s contract; buffer,
        // fence and semaphores belong to this device and are in no other submission.
        unsafe { raw.queue_submit(self.device.queue, &[submit], self.done.raw()) }
            .map_err(failed("vkQueueSubmit"))?;
        drop(queue);
        self.pending = true;
        self.owner = Owner::Others;
        let Some(signal) = &self.signal else {
            self.finish(timeout)?;
            return Ok(Fence::Signaled);
        };
        let exported = handoff::semaphore_fence(&self.device, signal.raw());
        if exported.is_err() {
            // The semaphore stays signalled and cannot be signalled again: from now on the CPU waits instead. It may go
            // only when this submission has finished, which may take longer than there is time for.
            self.retired = self.signal.take();
            self.finish(timeout)?;
        }
        exported
    }
}

/// Up to two semaphores and their values, as a submission lists them: a turn allocates nothing.
#[derive(Default)]
struct Points {
    semaphores: [vk::Semaphore; 2],
    values: [u64; 2],
    count: usize,
}

impl Points {
    fn new(first: Option<TimelineValue>, second: Option<TimelineValue>) -> Self {
        let mut points = Self::default();
        for (at, point) in first.into_iter().chain(second).enumerate() {
            points.semaphores[at] = point.semaphore;
            points.values[at] = point.value;
            points.count = at + 1;
        }
        points
    }

    fn semaphores(&self) -> &[vk::Semaphore] {
        &self.semaphores[..self.count]
    }

    fn values(&self) -> &[u64] {
        &self.values[..self.count]
    }
}

fn semaphore(
    device: &Arc<DeviceInner>,
    support: &Support,
    exported: bool,
) -> Result<Option<Owned<vk::Semaphore>>> {
    if !support.is_yes() {
        return Ok(None);
    }
    let mut export = vk::ExportSemaphoreCreateInfo::default()
        .handle_types(vk::ExternalSemaphoreHandleTypeFlags::SYNC_FD);
    let mut create = vk::SemaphoreCreateInfo::default();
    if exported {
        create = create.push_next(&mut export);
    }
    // SAFETY: vkCreateSemaphore; VUID-VkExportSemaphoreCreateInfo-handleTypes-01124: the driver reports SYNC_FD as
    // exportable (`support`).
    let semaphore = unsafe { device.device.create_semaphore(&create, None) }
        .map_err(failed("vkCreateSemaphore"))?;
    Ok(Some(Owned::new(device, semaphore)))
}

/// The queue family that stands for whoever else uses the image's memory.
fn others(device: &DeviceInner, image: &Image) -> u32 {
    let dma_buf = image.frame().memory().path() == MemoryPath::DmaBuf;
    if dma_buf && device.enabled(ash::ext::queue_family_foreign::NAME) {
        vk::QUEUE_FAMILY_FOREIGN_EXT
    } else {
        vk::QUEUE_FAMILY_EXTERNAL
    }
}

fn record_acquire(
    device: &DeviceInner,
    buffer: vk::CommandBuffer,
    image: &Image,
    access: Access,
    owner: Owner,
) {
    // ALL_COMMANDS chains with the submission's semaphore wait, which uses the same stages.
    let all = vk::PipelineStageFlags::ALL_COMMANDS;
    let taken = barrier(image)
        .new_layout(access.layout())
        .dst_access_mask(access.mask());
    if let Some(staging) = image.staging() {
        if staging.is_import() {
            let target = vk::ImageLayout::TRANSFER_DST_OPTIMAL;
            let to_copy = barrier(image)
                .old_layout(vk::ImageLayout::UNDEFINED)
                .new_layout(target)
                .dst_access_mask(vk::AccessFlags::TRANSFER_WRITE);
            let transfer = vk::PipelineStageFlags::TRANSFER;
            pipeline_barrier(device, buffer, all, transfer, to_copy);
            staging.record_copy_in(device, buffer, image);
            let copied = taken
                .old_layout(target)
                .src_access_mask(vk::AccessFlags::TRANSFER_WRITE);
            pipeline_barrier(device, buffer, transfer, access.stage(), copied);
            return;
        }
        let old = match owner {
            Owner::Nobody => vk::ImageLayout::UNDEFINED,
            Owner::Others => vk::ImageLayout::TRANSFER_SRC_OPTIMAL,
        };
        pipeline_barrier(device, buffer, all, access.stage(), taken.old_layout(old));
        return;
    }
    let taken = match owner {
        // Nobody has owned it, so that there is nobody to take it from.
        Owner::Nobody => taken.old_layout(vk::ImageLayout::UNDEFINED),
        Owner::Others => taken
            .old_layout(vk::ImageLayout::GENERAL)
            .src_queue_family_index(others(device, image))
            .dst_queue_family_index(device.queue_family),
    };
    pipeline_barrier(device, buffer, all, access.stage(), taken);
}

fn record_release(device: &DeviceInner, buffer: vk::CommandBuffer, image: &Image, access: Access) {
    let given = barrier(image)
        .old_layout(access.layout())
        .src_access_mask(access.mask());
    if let Some(staging) = image.staging() {
        // An imported frame's pixels were copied in; the image itself is nobody else's.
        if !staging.is_import() {
            let to_copy = given
                .new_layout(vk::ImageLayout::TRANSFER_SRC_OPTIMAL)
                .dst_access_mask(vk::AccessFlags::TRANSFER_READ);
            let transfer = vk::PipelineStageFlags::TRANSFER;
            pipeline_barrier(device, buffer, access.stage(), transfer, to_copy);
            staging.record_copy_out(device, buffer, image);
        }
        return;
    }
    let to_others = given
        .new_layout(vk::ImageLayout::GENERAL)
        .src_queue_family_index(device.queue_family)
        .dst_queue_family_index(others(device, image));
    let end = vk::PipelineStageFlags::BOTTOM_OF_PIPE;
    if image.in_host_memory() {
        // Made visible first in the layout that others find, which is a write of its own; then given away.
        let host = vk::AccessFlags::HOST_READ | vk::AccessFlags::HOST_WRITE;
        let visible = given
            .new_layout(vk::ImageLayout::GENERAL)
            .dst_access_mask(host);
        // A transfer of ownership may not name the host's stage (VUID-vkCmdPipelineBarrier-srcStageMask-09633): it comes after
        // the other barrier through another one.
        let chain = vk::PipelineStageFlags::TRANSFER;
        let both = vk::PipelineStageFlags::HOST | chain;
        pipeline_barrier(device, buffer, access.stage(), both, visible);
        let given_away = to_others
            .old_layout(vk::ImageLayout::GENERAL)
            .src_access_mask(vk::AccessFlags::empty());
        pipeline_barrier(device, buffer, chain, end, given_away);
        return;
    }
    pipeline_barrier(device, buffer, access.stage(), end, to_others);
}

fn barrier(image: &Image) -> vk::ImageMemoryBarrier<'static> {
    let range = vk::ImageSubresourceRange::default()
        .aspect_mask(vk::ImageAspectFlags::COLOR)
        .level_count(1)
        .layer_count(1);
    vk::ImageMemoryBarrier::default()
        .src_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
        .dst_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
        .image(image.raw())
        .subresource_range(range)
}

fn pipeline_barrier(
    device: &DeviceInner,
    buffer: vk::CommandBuffer,
    from: vk::PipelineStageFlags,
    to: vk::PipelineStageFlags,
    barrier: vk::ImageMemoryBarrier<'_>,
) {
    // SAFETY: vkCmdPipelineBarrier: the buffer is recording outside a render pass, the image is alive, and the queue
    // families are this device's and a special one whose extension is enabled (EXTERNAL is core in 1.1).
    unsafe {
        device.device.cmd_pipeline_barrier(
            buffer,
            from,
            to,
            vk::DependencyFlags::empty(),
            &[],
            &[],
            &[barrier],
        );
    }
}
