//! Taking turns: acquire, the caller's commands, release, submission, and the fences in and out.

use std::time::Duration;

use ash::vk;

use super::access::Access;
use super::barrier::{record_acquire, record_release};
use super::device::Device;
use super::image::Image;
use super::submission::Finish;
use super::timeline::Timelines;
use crate::error::Result;
use crate::frame::Fence;

impl Device {
    /// Writes a frame: waits for `gate`, takes the image from its readers, runs `record`, gives it back, submits, and
    /// returns the acquire fence for the next reader.
    ///
    /// `gate` is the release fence that came with [`Free::acquire`](crate::Free::acquire). `record` gets a command
    /// buffer in the recording state, outside a render pass; it finds the image in `access`'s layout, with the
    /// contents of the last write (undefined on the first), and must leave it in that layout.
    ///
    /// This call can block, each time for `timeout` at most:
    ///
    /// - while another thread takes a turn of this image;
    /// - until the commands of this image's last turn have finished. If `gate` came from a reader that waited for them, they
    ///   have;
    /// - until the commands of this turn have finished, where the fence cannot leave as a sync_file: on devices without such
    ///   fences, on software devices ([`Device::with_driver_fences`]), and on the host memory path where the CPU copies.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) for another device's image; when `record` calls this for the image whose turn
    /// it records; for an access that does not write; and for an imported host memory frame that is copied (where the image
    /// lies in host memory itself, both sides can write). [`Error::Timeout`](crate::Error::Timeout) when a wait exceeds
    /// `timeout`. [`Error::Driver`](crate::Error::Driver) when the driver refuses. After each of them the image can be written
    /// again.
    ///
    /// # References
    ///
    /// [Queue family ownership transfer](https://docs.vulkan.org/spec/latest/chapters/synchronization.html#synchronization-queue-transfers),
    /// [external semaphore handle types](https://docs.vulkan.org/spec/latest/chapters/capabilities.html#external-semaphore-handle-types-compatibility)
    pub fn write(
        &self,
        image: &Image,
        gate: &Fence,
        timeout: Duration,
        access: Access,
        record: impl FnOnce(vk::CommandBuffer),
    ) -> Result<Fence> {
        access.check_write()?;
        self.turn(image, gate, None, timeout, access, record)
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
        self.turn(image, acquire, None, timeout, access, record)
    }

    /// [`Device::write`] between values of the caller's timelines: a renderer on the same device need not wait for its own
    /// work on the CPU, nor make sync_files of it.
    ///
    /// Frames that leave the device go on as before: their fence signals after the timeline's value. Software drivers finish
    /// the wait before this returns, as they do before they export a fence.
    ///
    /// # Errors
    ///
    /// As for [`Device::write`].
    ///
    /// # Safety
    ///
    /// The device was created with the feature `timelineSemaphore`; both semaphores are timeline semaphores of it, and outlive
    /// the turn. The work that signals `timelines.wait` has been submitted, or will be without waiting for this turn.
    /// `timelines.signal` is above the semaphore's value and below what other work is to signal after it
    /// (VUID-VkSubmitInfo-pSignalSemaphores-03242). No fence is exported before its signal is submitted: where
    /// [`Device::offer`]'s fences can be exported, the signal of `timelines.wait` is submitted first
    /// (VUID-VkSemaphoreGetFdInfoKHR-handleType-03254).
    pub unsafe fn write_with(
        &self,
        image: &Image,
        gate: &Fence,
        timelines: &Timelines,
        timeout: Duration,
        access: Access,
        record: impl FnOnce(vk::CommandBuffer),
    ) -> Result<Fence> {
        access.check_write()?;
        self.turn(image, gate, Some(timelines), timeout, access, record)
    }

    /// [`Device::read`] between values of the caller's timelines, as [`Device::write_with`].
    ///
    /// # Errors
    ///
    /// As for [`Device::read`].
    ///
    /// # Safety
    ///
    /// As for [`Device::write_with`].
    pub unsafe fn read_with(
        &self,
        image: &Image,
        acquire: &Fence,
        timelines: &Timelines,
        timeout: Duration,
        access: Access,
        record: impl FnOnce(vk::CommandBuffer),
    ) -> Result<Fence> {
        access.check_read()?;
        self.turn(image, acquire, Some(timelines), timeout, access, record)
    }

    fn turn(
        &self,
        image: &Image,
        gate: &Fence,
        timelines: Option<&Timelines>,
        timeout: Duration,
        access: Access,
        record: impl FnOnce(vk::CommandBuffer),
    ) -> Result<Fence> {
        let mut record = Some(record);
        // Called once; a turn is compiled once, and not again for each closure.
        let mut record = |commands| {
            if let Some(record) = record.take() {
                record(commands);
            }
        };
        self.take_turn(image, gate, timelines, timeout, access, &mut record)
    }

    fn take_turn(
        &self,
        image: &Image,
        gate: &Fence,
        timelines: Option<&Timelines>,
        timeout: Duration,
        access: Access,
        record: &mut dyn FnMut(vk::CommandBuffer),
    ) -> Result<Fence> {
        image.check_device(self.inner())?;
        image.check_access(access)?;
        if let Some(staging) = image.staging() {
            staging.check(access)?;
        }
        let mut own = image.commands(timeout)?;
        own.owner().check_free()?;
        own.finish(timeout)?;
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
            _ => own.gate(gate, timeout)?,
        };
        let family = self.queue_family();
        let commands = own.begin()?;
        record_acquire(commands, image, access, own.owner(), family);
        record(commands);
        record_release(commands, image, access, family);
        let fence = own.submit(wait, timelines, timeout)?;
        let Some(staging) = image.staging().filter(|staging| staging.needs_cpu_copy()) else {
            return Ok(fence);
        };
        own.finish(timeout)?;
        staging.copy_to_frame()?;
        Ok(Fence::Signaled)
    }
}
