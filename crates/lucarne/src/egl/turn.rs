//! Turns: when commands may touch a frame, and when they have.

use std::time::{Duration, Instant};

use glow::HasContext;

use super::device::Device;
use super::inner::DeviceInner;
use super::texture::Texture;
use super::{handoff, host, support};
use crate::error::{Error, Result};
use crate::frame::Fence;

impl Device {
    /// Waits for a fence: commands issued after this run when it has signalled.
    ///
    /// The GPU waits where the context can wait for sync_files; otherwise this thread does, `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`] where the GPU waits: this thread can wait without a context; [`Error::Timeout`];
    /// [`Error::Driver`].
    pub fn wait(&self, fence: &Fence, timeout: Duration) -> Result<()> {
        wait(self.inner(), fence, timeout, "egl::Device::wait")
    }

    /// Begins reading: commands issued after this see what the writer wrote.
    ///
    /// `acquire` is the fence that came with [`Received::acquire`](crate::Received::acquire). Where the context can
    /// wait for sync_files, the GPU does; otherwise this thread waits, `timeout` at most. On the host memory path the
    /// pixels are uploaded, which needs the wait to be over.
    ///
    /// Where this thread waits and nothing is uploaded, no driver is called. Which context is current is then checked later,
    /// by [`Device::fence`], before the frame is given back.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`] where the GPU waits or pixels are uploaded; [`Error::Timeout`] when the fence does not signal
    /// in time; [`Error::Driver`].
    #[inline]
    pub fn read(&self, texture: &Texture, acquire: &Fence, timeout: Duration) -> Result<()> {
        // A frame whose writing is over, as a software driver's always is.
        if matches!(acquire, Fence::Signaled) && texture.copies_per_frame() == 0 {
            return Ok(());
        }
        self.begin_read(texture, acquire, timeout)
    }

    fn begin_read(&self, texture: &Texture, acquire: &Fence, timeout: Duration) -> Result<()> {
        let call = "egl::Device::read";
        begin(self.inner(), [texture].into_iter(), acquire, timeout, call)
    }

    /// Ends reading: a fence that signals when all commands issued so far have finished.
    ///
    /// A sync_file where the context can export one; otherwise this thread waits, `timeout` at most, and the fence
    /// is already signalled.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`] when this device's context is not current: then the commands since [`Device::read`] went to
    /// another context. [`Error::Timeout`]; [`Error::Driver`].
    pub fn fence(&self, timeout: Duration) -> Result<Fence> {
        let device = self.inner();
        device.require_current("egl::Device::fence")?;
        if support::fences(device).support.export.is_yes() {
            return handoff::export_fence(device);
        }
        wait_for_commands(device, timeout)?;
        Ok(Fence::Signaled)
    }
}

/// Begins reading textures whose frames one fence gates. `call` is who asks.
pub(super) fn begin<'a>(
    device: &DeviceInner,
    textures: impl Iterator<Item = &'a Texture> + Clone,
    acquire: &Fence,
    timeout: Duration,
    call: &'static str,
) -> Result<()> {
    if textures.clone().all(|one| one.copies_per_frame() == 0) {
        return wait(device, acquire, timeout, call);
    }
    device.require_current(call)?;
    acquire.wait(timeout)?;
    for texture in textures {
        host::upload(device, texture)?;
    }
    Ok(())
}

fn wait(device: &DeviceInner, fence: &Fence, timeout: Duration, call: &'static str) -> Result<()> {
    match fence {
        Fence::SyncFile(file) if support::fences(device).gpu_waits => {
            // Another context that is current would be the one to wait.
            device.require_current(call)?;
            handoff::wait(device, file)
        }
        _ => fence.wait(timeout),
    }
}

/// Waits for this context alone, by a GL sync object: EGL's would hold the display's lock meanwhile.
fn wait_for_commands(device: &DeviceInner, timeout: Duration) -> Result<()> {
    if device.gl.version().major < 3 {
        // Has no deadline, but neither has any other way in such a context.
        // SAFETY: glFinish with a current context.
        unsafe { device.gl.finish() };
        return Ok(());
    }
    // SAFETY: glFenceSync with a current context of OpenGL (ES) 3 or later.
    let sync = unsafe { device.gl.fence_sync(glow::SYNC_GPU_COMMANDS_COMPLETE, 0) }
        .map_err(|error| Error::driver("glFenceSync", error))?;
    let answer = wait_for_sync(device, sync, timeout);
    // SAFETY: glDeleteSync, once.
    unsafe { device.gl.delete_sync(sync) };
    match answer {
        glow::ALREADY_SIGNALED | glow::CONDITION_SATISFIED => Ok(()),
        other => Err(not_over(device, other, timeout)),
    }
}

#[cold]
fn not_over(device: &DeviceInner, answer: u32, after: Duration) -> Error {
    if answer == glow::TIMEOUT_EXPIRED {
        return Error::Timeout {
            waiting_for: "the end of the GL commands that use the frame",
            after,
        };
    }
    let error = device.check_gl("glClientWaitSync").err();
    error.unwrap_or_else(|| Error::driver("glClientWaitSync", "GL_WAIT_FAILED"))
}

/// `glClientWaitSync`, again and again where `timeout` is longer than the bindings can say.
fn wait_for_sync(device: &DeviceInner, sync: glow::Fence, timeout: Duration) -> u32 {
    let wait = |time: Duration| {
        let nanoseconds = i32::try_from(time.as_nanos()).unwrap_or(i32::MAX);
        let flags = glow::SYNC_FLUSH_COMMANDS_BIT;
        // SAFETY: glClientWaitSync of a sync object of this context.
        unsafe { device.gl.client_wait_sync(sync, flags, nanoseconds) }
    };
    let longest = Duration::from_nanos(i32::MAX.unsigned_abs().into());
    // Mostly it is over at once, and the clock need not be read.
    let mut answer = wait(timeout);
    if answer != glow::TIMEOUT_EXPIRED {
        return answer;
    }
    let mut left = timeout.saturating_sub(longest);
    while answer == glow::TIMEOUT_EXPIRED && !left.is_zero() {
        let start = Instant::now();
        answer = wait(left);
        left = left.saturating_sub(start.elapsed());
    }
    answer
}
