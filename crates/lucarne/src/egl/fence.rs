//! Release fences: when GL has finished reading.

use std::time::{Duration, Instant};

use glow::HasContext;

use super::device::DeviceInner;
use super::handoff;
use super::offer::egl_extension;
use super::raw::{EglSync, loaded};
use crate::error::{Error, Requirement, Result, Support};
use crate::frame::Fence;
use crate::negotiate::FenceSupport;
use crate::quirks;

pub(super) fn support(device: &DeviceInner) -> FenceSupport {
    let native = "EGL_ANDROID_native_fence_sync";
    let listed = if device.has_egl(native) {
        Support::Yes(())
    } else {
        Support::no(egl_extension(native))
    };
    let wait = "EGL_KHR_wait_sync";
    let import = if listed.is_yes() && !device.has_egl(wait) {
        Support::no(egl_extension(wait))
    } else {
        listed.clone()
    };
    let export = if listed.is_yes() && device.quirk(&quirks::SOFTWARE_FENCE_EXPORT) {
        Support::no(Requirement::Quirk {
            name: quirks::SOFTWARE_FENCE_EXPORT.name,
            effect: "Mesa's software driver exports a fence by finishing every context of the process, other threads' \
                     too, which deadlocks"
                .to_owned(),
        })
    } else {
        listed
    };
    FenceSupport { export, import }
}

/// A fence behind all commands issued so far.
pub(super) fn release(device: &DeviceInner, timeout: Duration) -> Result<Fence> {
    if device.fences().export.is_yes() {
        return handoff::export_fence(device);
    }
    wait_for_commands(device, timeout)?;
    Ok(Fence::Signaled)
}

/// Waits for this context alone, by a GL sync object: EGL's would hold the display's lock meanwhile.
fn wait_for_commands(device: &DeviceInner, timeout: Duration) -> Result<()> {
    if device.gl.version().major < 3 {
        // Has no deadline, but neither has any other way in such a context.
        // SAFETY: glFinish with a current context.
        unsafe { device.gl.finish() };
        return Ok(());
    }
    let _stale = device.gl_error();
    // SAFETY: glFenceSync with a current context of OpenGL (ES) 3 or later.
    let sync = unsafe { device.gl.fence_sync(glow::SYNC_GPU_COMMANDS_COMPLETE, 0) }
        .map_err(|error| Error::driver("glFenceSync", error))?;
    let nanoseconds = i32::try_from(timeout.as_nanos()).unwrap_or(i32::MAX);
    // A timeout beyond what the clock can hold is none.
    let deadline = Instant::now().checked_add(timeout);
    let answer = loop {
        let flags = glow::SYNC_FLUSH_COMMANDS_BIT;
        // SAFETY: glClientWaitSync of a sync object of this context.
        let answer = unsafe { device.gl.client_wait_sync(sync, flags, nanoseconds) };
        // The bindings take two seconds at most.
        if answer != glow::TIMEOUT_EXPIRED
            || deadline.is_some_and(|deadline| Instant::now() >= deadline)
        {
            break answer;
        }
    };
    // SAFETY: glDeleteSync, once.
    unsafe { device.gl.delete_sync(sync) };
    match answer {
        glow::ALREADY_SIGNALED | glow::CONDITION_SATISFIED => Ok(()),
        glow::TIMEOUT_EXPIRED => Err(Error::Timeout {
            waiting_for: "the end of the GL commands that use the frame",
            after: timeout,
        }),
        _ => Err(device
            .check_gl("glClientWaitSync")
            .err()
            .unwrap_or_else(|| Error::driver("glClientWaitSync", "GL_WAIT_FAILED"))),
    }
}

/// An `EGLSyncKHR`, destroyed on drop.
pub(super) struct Sync<'a> {
    device: &'a DeviceInner,
    pub(super) raw: EglSync,
}

impl<'a> Sync<'a> {
    /// `eglCreateSyncKHR`. `attributes` is null or a list that ends with `EGL_NONE` and outlives the call.
    pub(super) fn create(
        device: &'a DeviceInner,
        kind: u32,
        attributes: *const i32,
    ) -> Result<Self> {
        let create = loaded(device.library.ext.create_sync, "eglCreateSyncKHR")?;
        // SAFETY: eglCreateSyncKHR: the caller has checked the extension of `kind`; `attributes` is as documented.
        let raw = unsafe { create(device.display.as_ptr(), kind, attributes) };
        if raw.is_null() {
            return Err(device.library.failed("eglCreateSyncKHR"));
        }
        Ok(Self { device, raw })
    }
}

impl Drop for Sync<'_> {
    fn drop(&mut self) {
        if let Some(destroy) = self.device.library.ext.destroy_sync {
            // SAFETY: eglDestroySyncKHR of a sync of this display, once.
            unsafe { destroy(self.device.display.as_ptr(), self.raw) };
        }
    }
}
