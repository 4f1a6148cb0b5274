//! Taking an image from others and giving it back: ownership of its memory, and its layout.

use ash::vk;

use super::access::Access;
use super::conv;
use super::image::Image;
use super::inner::DeviceInner;
use super::owner::Owner;
use crate::error::{Error, Requirement, Result};

/// # Barriers for your own submissions
///
/// An engine that submits by itself takes a turn in five steps, in the place of [`Device::write`](super::Device::write) or
/// [`Device::read`](super::Device::read):
///
/// ```no_run
/// # use lucarne::ash::vk;
/// # use lucarne::{Fence, Result, vulkan::{Access, Image, SubmitFence, WaitSemaphore}};
/// # const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);
/// # const TO_COLOR: Access = Access::ColorAttachment;
/// # struct Engine { family: u32 }
/// # impl Engine {
/// #     fn begin(&self) -> vk::CommandBuffer { todo!() }
/// #     fn draw(&self, _: vk::CommandBuffer, _: vk::Image) {}
/// #     fn submit(&self, _: vk::CommandBuffer, _: Option<vk::Semaphore>, _: vk::Fence) {}
/// # }
/// /// Draws into an image that others have read until `gate`; returns the fence that comes with the next frame.
/// ///
/// /// # Safety
/// ///
/// /// The last submission with `wait` and `done` has finished.
/// unsafe fn turn(
///     engine: &Engine,
///     image: &Image,
///     wait: &mut WaitSemaphore,
///     done: &mut SubmitFence,
///     gate: &Fence,
/// ) -> Result<Fence> {
///     // SAFETY: this function's contract; the submission below waits for it.
///     let semaphore = unsafe { wait.import(image, gate, TIMEOUT) }?;
///     let commands = engine.begin();
///     // SAFETY: recording, outside a render pass, for a graphics queue; submitted below.
///     unsafe { image.acquire_barrier(commands, engine.family, TO_COLOR) }?;
///     engine.draw(commands, image.raw());
///     // SAFETY: as above; `draw` leaves the image in the layout that it found.
///     unsafe { image.release_barrier(commands, TO_COLOR) }?;
///     engine.submit(commands, semaphore, done.raw());
///     // SAFETY: submitted just now.
///     unsafe { done.export(TIMEOUT) }
/// }
/// ```
///
/// Two fences belong to a turn. Your submission must wait for the fence that came with the frame. And you pass the frame on
/// with a fence that your submission signals: make it with a [`SubmitFence`](super::SubmitFence), or wait for your own fence or
/// timeline and pass [`Fence::Signaled`](crate::Fence::Signaled).
///
/// Lucarne remembers who has the image, and cannot see your submissions: a barrier that is recorded counts as done. So submit
/// what you record, in the order in which you record it. If you throw commands away, drop their image too. Turns by
/// barriers and turns by [`Device::write`](super::Device::write) may alternate on one image, if each waits for the fence of the
/// one before. Between `acquire_barrier` and `release_barrier`, `write` and `read` are refused. While `write` or `read` records,
/// both barriers are refused.
///
/// # References
///
/// [Queue family ownership transfer](https://docs.vulkan.org/spec/latest/chapters/synchronization.html#synchronization-queue-transfers),
/// [external memory handle types](https://docs.vulkan.org/spec/latest/chapters/capabilities.html#external-memory-handle-types-compatibility)
impl Image {
    /// Records the barrier that takes the image from others: a queue family ownership transfer to `family` from `FOREIGN`
    /// (from `EXTERNAL` for opaque memory, or without `VK_EXT_queue_family_foreign`), and the change from `GENERAL` to
    /// `access`'s layout. For the first turn of an exported image there is no owner yet: the barrier then only changes the
    /// layout from `UNDEFINED`.
    ///
    /// `family` is that of the queue you submit to, which need not be [`Device::queue_family`](super::Device::queue_family).
    /// Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for images that are copied ([`Image::copies_per_frame`] is not 0), which barriers alone do not
    /// share; [`Error::Invalid`] for an access that the image was not made for, a family that the device does not have, and an
    /// image that is taken already or that [`Device::write`](super::Device::write) is recording for.
    ///
    /// # Safety
    ///
    /// `commands` is of this image's device, is recording, outside a render pass, and of a pool of `family`, whose queues can do
    /// what `access` says (VUID-vkCmdPipelineBarrier-dstStageMask-06462). It is submitted to such a queue once, after the fence that
    /// came with the frame. The image outlives it.
    pub unsafe fn acquire_barrier(
        &self,
        commands: vk::CommandBuffer,
        family: u32,
        access: Access,
    ) -> Result<()> {
        self.check_access(access)?;
        let families = self.device().queue_families;
        if family >= families {
            let limit = format!("one of the device's {families}");
            return Err(Error::invalid("family", family, limit));
        }
        if self.staging().is_some() {
            let reason = "needs memory that the image itself lies in: this one's pixels are copied, by Device::write and read";
            let what = format!("barriers for {}", self.frame().layout());
            return Err(Error::unsupported(what, vec![Requirement::other(reason)]));
        }
        let mut own = self.idle_commands()?;
        own.owner().check_free()?;
        record_acquire(commands, self, access, own.owner(), family);
        own.set_owner(Owner::Caller { family });
        Ok(())
    }

    /// Records the barrier that gives the image to others, which [`Image::acquire_barrier`] took: the same backwards.
    ///
    /// `access` names the layout in which your commands left the image, and what they did last; it need not be the one that
    /// the image was taken with. Does not block.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an access that the image was not made for, and an image that is not taken or
    /// that [`Device::write`](super::Device::write) is recording for.
    ///
    /// # Safety
    ///
    /// As for [`Image::acquire_barrier`], in the same or a later command buffer, for the same family. The image is in
    /// `access`'s layout (VUID-vkCmdDraw-None-09600), and nothing uses it afterwards until it is taken again.
    pub unsafe fn release_barrier(
        &self,
        commands: vk::CommandBuffer,
        access: Access,
    ) -> Result<()> {
        self.check_access(access)?;
        let mut own = self.idle_commands()?;
        let Owner::Caller { family } = own.owner() else {
            let limit = "taken by `acquire_barrier`";
            return Err(Error::invalid("image", "not taken", limit));
        };
        record_release(commands, self, access, family);
        own.set_owner(Owner::Others);
        Ok(())
    }

    #[inline]
    pub(super) fn check_access(&self, access: Access) -> Result<()> {
        if self.usage().contains(access.usage()) {
            return Ok(());
        }
        Err(self.refused(access))
    }

    #[cold]
    fn refused(&self, access: Access) -> Error {
        let limit = format!("what the image was made for: {}", self.usage());
        Error::invalid("access", format!("{access:?}"), limit)
    }
}

#[inline]
pub(super) fn record_acquire(
    commands: vk::CommandBuffer,
    image: &Image,
    access: Access,
    owner: Owner,
    family: u32,
) {
    let device = image.device();
    // ALL_COMMANDS chains with the submission's semaphore wait, whatever stages that names.
    let all = vk::PipelineStageFlags::ALL_COMMANDS;
    let taken = start_barrier(image)
        .new_layout(access.layout())
        .dst_access_mask(access.mask());
    let Some(staging) = image.staging() else {
        let taken = match owner {
            // Nobody has owned it, so that there is nobody to take it from.
            Owner::Nobody => taken.old_layout(vk::ImageLayout::UNDEFINED),
            _ => taken
                .old_layout(vk::ImageLayout::GENERAL)
                .src_queue_family_index(image.others())
                .dst_queue_family_index(family),
        };
        return record_barrier(device, commands, all, access.stage(), taken);
    };
    if !staging.is_import() {
        let old = match owner {
            Owner::Nobody => vk::ImageLayout::UNDEFINED,
            _ => vk::ImageLayout::TRANSFER_SRC_OPTIMAL,
        };
        return record_barrier(device, commands, all, access.stage(), taken.old_layout(old));
    }
    let target = vk::ImageLayout::TRANSFER_DST_OPTIMAL;
    let to_copy = start_barrier(image)
        .old_layout(vk::ImageLayout::UNDEFINED)
        .new_layout(target)
        .dst_access_mask(vk::AccessFlags::TRANSFER_WRITE);
    let transfer = vk::PipelineStageFlags::TRANSFER;
    record_barrier(device, commands, all, transfer, to_copy);
    staging.record_copy_in(device, commands, image.raw(), image.frame());
    let copied = taken
        .old_layout(target)
        .src_access_mask(vk::AccessFlags::TRANSFER_WRITE);
    record_barrier(device, commands, transfer, access.stage(), copied);
}

#[inline]
pub(super) fn record_release(
    commands: vk::CommandBuffer,
    image: &Image,
    access: Access,
    family: u32,
) {
    let device = image.device();
    let given = start_barrier(image)
        .old_layout(access.layout())
        .src_access_mask(access.mask());
    if let Some(staging) = image.staging() {
        // An imported frame's pixels were copied in; the image itself is nobody else's.
        if !staging.is_import() {
            let to_copy = given
                .new_layout(vk::ImageLayout::TRANSFER_SRC_OPTIMAL)
                .dst_access_mask(vk::AccessFlags::TRANSFER_READ);
            let transfer = vk::PipelineStageFlags::TRANSFER;
            record_barrier(device, commands, access.stage(), transfer, to_copy);
            staging.record_copy_out(device, commands, image.raw(), image.frame());
        }
        return;
    }
    let to_others = given
        .new_layout(vk::ImageLayout::GENERAL)
        .src_queue_family_index(family)
        .dst_queue_family_index(image.others());
    let end = vk::PipelineStageFlags::BOTTOM_OF_PIPE;
    if !image.in_host_memory() {
        return record_barrier(device, commands, access.stage(), end, to_others);
    }
    // Made visible first in the layout that others find, which is a write of its own; then given away.
    let visible = given
        .new_layout(vk::ImageLayout::GENERAL)
        .dst_access_mask(vk::AccessFlags::HOST_READ | vk::AccessFlags::HOST_WRITE);
    // A transfer of ownership may not name the host's stage (VUID-vkCmdPipelineBarrier-srcStageMask-09633): it comes after
    // the other barrier through another one.
    let chain = vk::PipelineStageFlags::TRANSFER;
    let both = vk::PipelineStageFlags::HOST | chain;
    record_barrier(device, commands, access.stage(), both, visible);
    let given_away = to_others
        .old_layout(vk::ImageLayout::GENERAL)
        .src_access_mask(vk::AccessFlags::empty());
    record_barrier(device, commands, chain, end, given_away);
}

/// A barrier for all of the image that changes nothing yet.
fn start_barrier(image: &Image) -> vk::ImageMemoryBarrier<'static> {
    vk::ImageMemoryBarrier::default()
        .src_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
        .dst_queue_family_index(vk::QUEUE_FAMILY_IGNORED)
        .image(image.raw())
        .subresource_range(conv::whole_image())
}

#[inline]
fn record_barrier(
    device: &DeviceInner,
    commands: vk::CommandBuffer,
    from: vk::PipelineStageFlags,
    to: vk::PipelineStageFlags,
    barrier: vk::ImageMemoryBarrier<'_>,
) {
    let flags = vk::DependencyFlags::empty();
    // SAFETY: vkCmdPipelineBarrier: the buffer is recording outside a render pass, the image is alive, and the queue
    // families are the queue's and a special one whose extension is enabled (EXTERNAL is core in 1.1).
    unsafe {
        device
            .device
            .cmd_pipeline_barrier(commands, from, to, flags, &[], &[], &[barrier]);
    }
}
