//! Opaque semaphores (`GL_EXT_semaphore_fd`): turns between OpenGL and another API of the same driver.

use std::fmt;
use std::rc::Rc;

use super::device::Device;
use super::inner::{DeviceInner, Trash};
use super::raw::{self, loaded};
use super::texture::Texture;
use super::{handoff, support};
use crate::device_id::Comparison;
use crate::error::{Error, Result, Support};
use crate::frame::OpaqueSemaphore;

/// A GL semaphore that is shared with another API of the same driver. Deleted on drop, or, where the context is not
/// current then, as [`Device::trim`] and [`Device::from_current`] say.
pub struct Semaphore {
    name: u32,
    device: Rc<DeviceInner>,
}

impl Device {
    /// Whether this context can use another API's semaphores (`GL_EXT_semaphore`, `GL_EXT_semaphore_fd`).
    pub fn opaque_semaphores(&self) -> Support {
        support::opaque_semaphores(self.inner())
    }

    /// Makes a GL semaphore that is the one behind `shared`, whose descriptor is lent.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Unsupported`] where [`Device::opaque_semaphores`] says no;
    /// [`Error::ForeignDevice`] for another driver's or device's; [`Error::Driver`].
    #[doc(alias = "glImportSemaphoreFdEXT")]
    pub fn import_semaphore(&self, shared: &OpaqueSemaphore) -> Result<Semaphore> {
        let device = self.inner();
        device.require_current("egl::Device::import_semaphore")?;
        self.opaque_semaphores()
            .require("importing an opaque semaphore into OpenGL")?;
        if shared.device().compare_driver(&device.id) != Comparison::Same {
            return Err(Error::ForeignDevice {
                memory: "opaque semaphore",
                frame: Box::new(shared.device().clone()),
                device: Box::new(device.id.clone()),
            });
        }
        let generate = loaded(device.functions.gen_semaphores, "glGenSemaphoresEXT")?;
        let _stale = device.gl_error();
        let mut name = 0;
        // SAFETY: glGenSemaphoresEXT (GL_EXT_semaphore is listed) writes one name.
        unsafe { generate(1, &raw mut name) };
        device.check_gl("glGenSemaphoresEXT")?;
        let semaphore = Semaphore {
            name,
            device: Rc::clone(device),
        };
        handoff::import_semaphore(device, name, shared)?;
        Ok(semaphore)
    }

    /// Makes commands issued from now on wait for `semaphore`, and takes `texture` from its writer, who left its image in
    /// the layout `VK_IMAGE_LAYOUT_GENERAL`.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Driver`].
    ///
    /// # Safety
    ///
    /// A signal of the semaphore must have been submitted, by the other side, that nobody has waited for: GL has no
    /// timeout here, and a signal that never comes hangs the context.
    #[doc(alias = "glWaitSemaphoreEXT")]
    pub unsafe fn wait_for(&self, semaphore: &Semaphore, texture: &Texture) -> Result<()> {
        let device = self.inner();
        device.require_current("egl::Device::wait_for")?;
        let wait = loaded(device.functions.wait_semaphore, "glWaitSemaphoreEXT")?;
        let (textures, layouts) = name_with_layout(texture);
        let _stale = device.gl_error();
        let none = std::ptr::null();
        // SAFETY: glWaitSemaphoreEXT: a semaphore with a payload, no buffers, one texture and its layout.
        unsafe {
            wait(
                semaphore.name,
                0,
                none,
                1,
                textures.as_ptr(),
                layouts.as_ptr(),
            )
        };
        device.check_gl("glWaitSemaphoreEXT")
    }

    /// Signals `semaphore` when all commands issued so far have finished, and gives `texture` back in the layout
    /// `VK_IMAGE_LAYOUT_GENERAL`, in which Vulkan takes it. Flushes, so that the signal is on its way.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Driver`].
    ///
    /// # Safety
    ///
    /// Every signal of the semaphore before this one, by either side, must have been waited for.
    #[doc(alias = "glSignalSemaphoreEXT")]
    pub unsafe fn signal(&self, semaphore: &Semaphore, texture: &Texture) -> Result<()> {
        use glow::HasContext as _;
        let device = self.inner();
        device.require_current("egl::Device::signal")?;
        let signal = loaded(device.functions.signal_semaphore, "glSignalSemaphoreEXT")?;
        let (textures, layouts) = name_with_layout(texture);
        let _stale = device.gl_error();
        let none = std::ptr::null();
        // SAFETY: glSignalSemaphoreEXT: as above.
        unsafe {
            signal(
                semaphore.name,
                0,
                none,
                1,
                textures.as_ptr(),
                layouts.as_ptr(),
            )
        };
        // SAFETY: glFlush with a current context.
        unsafe { device.gl.flush() };
        device.check_gl("glSignalSemaphoreEXT")
    }
}

/// One texture, in the one layout that images lie in between turns.
fn name_with_layout(texture: &Texture) -> ([u32; 1], [u32; 1]) {
    ([texture.name().0.get()], [raw::GL_LAYOUT_GENERAL_EXT])
}

impl Drop for Semaphore {
    fn drop(&mut self) {
        self.device.discard(Trash {
            semaphore: Some(self.name),
            ..Trash::default()
        });
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
