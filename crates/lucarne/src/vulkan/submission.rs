//! Submitted work: commands of our own, when they have finished, and what must stay until then.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ash::vk;

use super::gate::Gate;
use super::inner::DeviceInner;
use super::object::Owned;
use super::owner::Owner;
use super::timeline::{TimelineValue, Timelines};
use super::{failed, handoff};
use crate::error::{Error, Result};
use crate::frame::Fence;

/// How long dropping something waits for work that still uses it.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);

/// What submitted work uses.
pub(super) trait Finish {
    /// Waits until no submitted work uses it any more.
    fn finish(&mut self, timeout: Duration) -> Result<()>;
}

impl<T: Finish> Finish for Mutex<T> {
    fn finish(&mut self, timeout: Duration) -> Result<()> {
        let inner = self.get_mut();
        inner
            .unwrap_or_else(PoisonError::into_inner)
            .finish(timeout)
    }
}

/// Objects that are dropped once their work has finished, and leaked if it does not: a device that does not finish may still
/// use them, so that leaking is the lesser evil.
pub(super) struct InUse<T: Finish>(ManuallyDrop<T>);

impl<T: Finish> InUse<T> {
    pub(super) fn new(objects: T) -> Self {
        Self(ManuallyDrop::new(objects))
    }
}

impl<T: Finish> Deref for InUse<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Finish> Drop for InUse<T> {
    fn drop(&mut self) {
        let finished = self.0.finish(DROP_TIMEOUT);
        if finished.is_err() {
            #[cfg(feature = "tracing")]
            tracing::error!(
                ?finished,
                "submitted work did not finish; leaking what it uses"
            );
            return;
        }
        // SAFETY: ManuallyDrop::drop once, and the objects are not used afterwards: this is the end of Drop.
        unsafe { ManuallyDrop::drop(&mut self.0) };
    }
}

/// A `VkFence` that signals when the last submission with it has finished.
pub(super) struct Done {
    fence: Owned<vk::Fence>,
    /// Submitted, and not known to have finished.
    pending: bool,
    waiting_for: &'static str,
}

impl Done {
    /// `waiting_for` is what a timeout calls it.
    pub(super) fn new(device: &Arc<DeviceInner>, waiting_for: &'static str) -> Result<Self> {
        // SAFETY: vkCreateFence has no preconditions beyond valid create info.
        let fence = unsafe {
            device
                .device
                .create_fence(&vk::FenceCreateInfo::default(), None)
        }
        .map_err(failed("vkCreateFence"))?;
        Ok(Self {
            fence: Owned::new(device, fence),
            pending: false,
            waiting_for,
        })
    }

    /// Submits to the device's queue. Nothing is pending: `finish` has returned.
    #[inline]
    pub(super) fn submit(&mut self, batches: &[vk::SubmitInfo<'_>]) -> Result<()> {
        let (device, fence) = (self.fence.device(), self.fence.raw());
        // SAFETY: vkResetFences: no submission is pending on it, as `finish` has returned.
        unsafe { device.device.reset_fences(&[fence]) }.map_err(failed("vkResetFences"))?;
        // Poisoned or not: the queue is whole between two calls.
        let queue = device.submitting.lock();
        let queue = queue.unwrap_or_else(PoisonError::into_inner);
        // SAFETY: vkQueueSubmit: the queue is ours alone, by the lock and by `Device::from_raw`'s contract; the fence is
        // unsignalled and in no other submission; what the batches name, callers answer for.
        unsafe { device.device.queue_submit(device.queue, batches, fence) }
            .map_err(failed("vkQueueSubmit"))?;
        drop(queue);
        self.pending = true;
        Ok(())
    }
}

impl Finish for Done {
    #[inline]
    fn finish(&mut self, timeout: Duration) -> Result<()> {
        if self.pending {
            wait(
                self.fence.device(),
                self.fence.raw(),
                timeout,
                self.waiting_for,
            )?;
            self.pending = false;
        }
        Ok(())
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done")
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

/// The end of work that others have submitted to the queue. (A turn's [`Done`] knows its own, and is on every frame's way.)
#[derive(Debug)]
pub(super) struct Mark {
    done: Done,
    /// Work was submitted that may never be known to have finished.
    lost: bool,
}

impl Mark {
    /// `waiting_for` is what a timeout calls it.
    pub(super) fn new(device: &Arc<DeviceInner>, waiting_for: &'static str) -> Result<Self> {
        Ok(Self {
            done: Done::new(device, waiting_for)?,
            lost: false,
        })
    }

    /// Signals after everything that the queue was given so far. Where that fails, nobody can tell when it has finished.
    #[inline(never)]
    pub(super) fn set(&mut self) -> Result<()> {
        let marked = self.done.submit(&[]);
        self.lost = marked.is_err();
        marked
    }

    /// Work may be under way that nothing tells the end of: `finish` fails from now on.
    pub(super) fn lose(&mut self) {
        self.lost = true;
    }
}

impl Finish for Mark {
    #[inline(never)]
    fn finish(&mut self, timeout: Duration) -> Result<()> {
        if self.lost {
            return Err(Error::driver("vkQueueSubmit", "work that never finished"));
        }
        self.done.finish(timeout)
    }
}

/// `vkWaitForFences` with a deadline.
#[inline]
pub(super) fn wait(
    device: &DeviceInner,
    fence: vk::Fence,
    timeout: Duration,
    waiting_for: &'static str,
) -> Result<()> {
    let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    // SAFETY: vkWaitForFences with a fence of this device.
    match unsafe { device.device.wait_for_fences(&[fence], true, nanoseconds) } {
        Ok(()) => Ok(()),
        Err(result) => Err(not_over(result, timeout, waiting_for)),
    }
}

#[cold]
fn not_over(result: vk::Result, after: Duration, waiting_for: &'static str) -> Error {
    match result {
        vk::Result::TIMEOUT => Error::Timeout { waiting_for, after },
        other => failed("vkWaitForFences")(other),
    }
}

/// What an image needs to be used again and again without allocating.
pub(super) struct Commands {
    device: Arc<DeviceInner>,
    buffer: vk::CommandBuffer,
    _pool: Owned<vk::CommandPool>,
    done: Done,
    wait: Gate,
    signal: Option<Owned<vk::Semaphore>>,
    /// A semaphore that was signalled and could not be exported.
    retired: Option<Owned<vk::Semaphore>>,
    /// Begun, and not ended: the caller's closure has panicked, or runs.
    recording: bool,
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
        Ok(Self {
            device: Arc::clone(device),
            buffer,
            _pool: pool,
            done: Done::new(device, "the end of the image's last turn")?,
            wait: Gate::new(device)?,
            signal: exported_semaphore(device)?,
            retired: None,
            recording: false,
            owner,
        })
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    pub(super) fn set_owner(&mut self, owner: Owner) {
        self.owner = owner;
    }

    /// Sees to it that the next submission starts after `gate`; returns the semaphore that it must wait for, if the
    /// CPU has not waited already. `finish` has returned.
    #[inline]
    pub(super) fn gate(&self, gate: &Fence, timeout: Duration) -> Result<Option<vk::Semaphore>> {
        self.wait.close(gate, timeout)
    }

    /// Begins the command buffer, which is not pending: `finish` has returned.
    #[inline]
    pub(super) fn begin(&mut self) -> Result<vk::CommandBuffer> {
        let raw = &self.device.device;
        if self.recording {
            let flags = vk::CommandBufferResetFlags::empty();
            // SAFETY: vkResetCommandBuffer (VUID-vkResetCommandBuffer-commandBuffer-00045): not pending; its pool allows
            // resets.
            unsafe { raw.reset_command_buffer(self.buffer, flags) }
                .map_err(failed("vkResetCommandBuffer"))?;
        }
        let begin = vk::CommandBufferBeginInfo::default()
            .flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
        // SAFETY: vkBeginCommandBuffer (VUID-vkBeginCommandBuffer-commandBuffer-00049 and -00050): neither recording nor
        // pending, and its pool allows the reset that this implies.
        unsafe { raw.begin_command_buffer(self.buffer, &begin) }
            .map_err(failed("vkBeginCommandBuffer"))?;
        self.recording = true;
        Ok(self.buffer)
    }

    /// Ends the command buffer and submits it; returns a fence that signals when it has finished.
    #[inline]
    pub(super) fn submit(
        &mut self,
        wait: Option<vk::Semaphore>,
        timelines: Option<&Timelines>,
        timeout: Duration,
    ) -> Result<Fence> {
        // SAFETY: vkEndCommandBuffer: in the recording state since `begin`, outside a render pass by `write`'s
        // contract with its closure.
        unsafe { self.device.device.end_command_buffer(self.buffer) }
            .map_err(failed("vkEndCommandBuffer"))?;
        self.recording = false;
        match timelines {
            None => {
                let (buffers, signal) = ([self.buffer], self.signal.as_ref().map(Owned::raw));
                let mut batch = vk::SubmitInfo::default().command_buffers(&buffers);
                if let Some(wait) = &wait {
                    batch = batch
                        .wait_semaphores(slice::from_ref(wait))
                        .wait_dst_stage_mask(&[vk::PipelineStageFlags::ALL_COMMANDS]);
                }
                if let Some(signal) = &signal {
                    batch = batch.signal_semaphores(slice::from_ref(signal));
                }
                self.done.submit(&[batch])?;
            }
            Some(timelines) => self.submit_between(wait, timelines)?,
        }
        self.owner = Owner::Others;
        self.pass_on(timeout)
    }

    /// Submits what has been recorded, between values of timelines.
    fn submit_between(&mut self, wait: Option<vk::Semaphore>, timelines: &Timelines) -> Result<()> {
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
        self.done.submit(&[submit])
    }

    /// The fence of what was submitted just now: exported, or waited for.
    #[inline]
    fn pass_on(&mut self, timeout: Duration) -> Result<Fence> {
        let Some(signal) = &self.signal else {
            self.finish(timeout)?;
            return Ok(Fence::Signaled);
        };
        let exported = handoff::semaphore_fence(&self.device, signal.raw());
        if exported.is_err() {
            // The semaphore stays signalled and cannot be signalled again: from now on the CPU waits instead. It may go
            // only when this submission has finished, which may take longer than there is time for.
            self.retired = self.signal.take();
            // If it does, the next turn waits. What the driver said comes first.
            let _late = self.finish(timeout);
        }
        exported
    }
}

impl Finish for Commands {
    #[inline]
    fn finish(&mut self, timeout: Duration) -> Result<()> {
        // What is retired was signalled by what is pending.
        if self.done.pending {
            self.done.finish(timeout)?;
            self.retired = None;
        }
        Ok(())
    }
}

/// Up to two semaphores and their values, as a submission lists them: a turn allocates nothing.
struct Points {
    semaphores: [vk::Semaphore; 2],
    values: [u64; 2],
    count: usize,
}

impl Points {
    fn new(first: Option<TimelineValue>, second: Option<TimelineValue>) -> Self {
        let (one, two) = match (first, second) {
            (None, only) => (only, None),
            both => both,
        };
        let semaphore = |point: Option<TimelineValue>| {
            point.map_or(vk::Semaphore::null(), |point| point.semaphore)
        };
        let value = |point: Option<TimelineValue>| point.map_or(0, |point| point.value);
        Self {
            semaphores: [semaphore(one), semaphore(two)],
            values: [value(one), value(two)],
            count: usize::from(one.is_some()) + usize::from(two.is_some()),
        }
    }

    fn semaphores(&self) -> &[vk::Semaphore] {
        &self.semaphores[..self.count]
    }

    fn values(&self) -> &[u64] {
        &self.values[..self.count]
    }
}

/// A semaphore whose signal leaves as a sync_file, where this device's do.
pub(super) fn exported_semaphore(
    device: &Arc<DeviceInner>,
) -> Result<Option<Owned<vk::Semaphore>>> {
    if !device.fences.export.is_yes() {
        return Ok(None);
    }
    let mut export = vk::ExportSemaphoreCreateInfo::default()
        .handle_types(vk::ExternalSemaphoreHandleTypeFlags::SYNC_FD);
    let create = vk::SemaphoreCreateInfo::default().push_next(&mut export);
    // SAFETY: vkCreateSemaphore; VUID-VkExportSemaphoreCreateInfo-handleTypes-01124: the driver reports SYNC_FD as
    // exportable.
    let semaphore = unsafe { device.device.create_semaphore(&create, None) }
        .map_err(failed("vkCreateSemaphore"))?;
    Ok(Some(Owned::new(device, semaphore)))
}
