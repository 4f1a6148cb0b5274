//! Release fences: when GL has finished reading.

use std::time::Duration;

use glow::HasContext;

use super::device::DeviceInner;
use super::handoff;
use super::offer::egl_extension;
use super::raw::{self, EglSync, loaded};
use crate::error::{Error, Result, Support};
use crate::frame::Fence;
use crate::negotiate::FenceSupport;

pub(super) fn support(device: &DeviceInner) -> FenceSupport {
    let native = "EGL_ANDROID_native_fence_sync";
    let export = if device.has_egl(native) {
        Support::Yes(())
    } else {
        Support::no(egl_extension(native))
    };
    let wait = "EGL_KHR_wait_sync";
    let import = if export.is_yes() && !device.has_egl(wait) {
        Support::no(egl_extension(wait))
    } else {
        export.clone()
    };
    FenceSupport { export, import }
}

/// A fence behind all commands issued so far.
pub(super) fn release(device: &DeviceInner, timeout: Duration) -> Result<Fence> {
    if device.fences().export.is_yes() {
        return handoff::export_fence(device);
    }
    if device.has_egl("EGL_KHR_fence_sync") {
        wait_for_commands(device, timeout)?;
    } else {
        // Has no deadline, but neither has any other way on such a driver.
        // SAFETY: glFinish with a current context.
        unsafe { device.gl.finish() };
    }
    Ok(Fence::Signaled)
}

fn wait_for_commands(device: &DeviceInner, timeout: Duration) -> Result<()> {
    let sync = Sync::create(device, raw::SYNC_FENCE_KHR, std::ptr::null())?;
    let wait = loaded(device.library.ext.client_wait_sync, "eglClientWaitSyncKHR")?;
    let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX - 1);
    // SAFETY: eglClientWaitSyncKHR (EGL_KHR_fence_sync, checked by the caller) with a sync of this display.
    let answer = unsafe {
        wait(
            device.display.as_ptr(),
            sync.raw,
            raw::SYNC_FLUSH_COMMANDS_BIT_KHR,
            nanoseconds,
        )
    };
    match answer {
        raw::CONDITION_SATISFIED_KHR => Ok(()),
        raw::TIMEOUT_EXPIRED_KHR => Err(Error::Timeout {
            waiting_for: "the end of the GL commands that read the frame",
            after: timeout,
        }),
        _ => Err(device.library.failed("eglClientWaitSyncKHR")),
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
