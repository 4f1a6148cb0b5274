//! Making textures of frames.

use std::rc::Rc;

use glow::HasContext;

use super::device::Device;
use super::inner::DeviceInner;
use super::raw::{self, loaded};
use super::state::Binding;
use super::texture::{Guard, Source, Texture, gl_format, gl_size, sampling};
use super::{handoff, host, image, offer, support};
use crate::device_id::Comparison;
use crate::error::{Error, Result};
use crate::frame::{Frame, Memory, OpaqueFd};
use crate::negotiate::{OfferEntry, Usage, find_import};
use crate::quirks;

impl Device {
    /// Imports a frame as a texture, or returns the one that was made of the same memory before.
    ///
    /// The frame's descriptors are lent; the texture keeps the frame's memory alive. Call [`Device::read`] before you sample
    /// the texture. The next import, or [`Device::trim`], drops textures of frames that nobody else holds any more. When the
    /// texture was made before, no driver is called, and it is not checked which context is current.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::ForeignDevice`] when the memory means nothing to this device; [`Error::Invalid`] for
    /// another number of memory planes than the driver has for the modifier, and a buffer smaller than it reads;
    /// [`Error::Unsupported`] when this context cannot import this path, format or modifier (the error lists what it
    /// can); [`Error::Driver`] when the driver refuses.
    #[doc(alias = "EGLImage")]
    #[doc(alias = "eglCreateImage")]
    #[doc(alias = "glImportMemoryFdEXT")]
    pub fn import(&self, frame: &Frame) -> Result<Rc<Texture>> {
        let device = self.inner();
        let known = |texture: &&Rc<Texture>| texture.frame().same_memory(frame);
        if let Some(known) = self.cache.borrow().iter().find(known) {
            if device.has_trash() && device.is_current() {
                device.empty_trash();
            }
            return Ok(Rc::clone(known));
        }
        device.require_current("egl::Device::import")?;
        device.empty_trash();
        self.forget_unused();
        let texture = Rc::new(import(device, frame)?);
        self.imports.set(self.imports.get() + 1);
        self.cache.borrow_mut().push(Rc::clone(&texture));
        Ok(texture)
    }

    /// How many frames have really been imported, that is, were not found in the cache.
    pub fn imports(&self) -> u64 {
        self.imports.get()
    }
}

fn import(device: &Rc<DeviceInner>, frame: &Frame) -> Result<Texture> {
    let path = frame.memory().path();
    support::path(device, path).require(&format!("importing {path} frames into OpenGL"))?;
    let entry = offered(device, frame)?;
    let made = match frame.memory() {
        Memory::DmaBuf(buffers) => image::import(device, frame, buffers, entry.external_only),
        Memory::OpaqueFd(memory) => import_opaque(device, frame, memory),
        Memory::HostMemory(memory) => host::import(device, frame, memory),
    };
    made.map_err(|error| frame.explain_refusal(error))
}

/// The context's own entry for this frame, or an error that lists what it could import instead.
pub(super) fn offered<'a>(device: &'a Rc<DeviceInner>, frame: &Frame) -> Result<&'a OfferEntry> {
    let layout = frame.layout();
    let path = frame.memory().path();
    let offer = offer::all(device)?;
    let entry = find_import(
        &offer.entries,
        &device.renderer,
        layout,
        path,
        Usage::empty(),
    )?;
    if let Some(strike) = offer.withdrawn.iter().find(|one| one.hits(entry)) {
        return Err(Error::unsupported(
            format!("importing {layout} as {path}"),
            vec![strike.reason.to_requirement()],
        ));
    }
    if !layout.extent().fits(entry.max_extent) {
        return Err(Error::invalid(
            "extent",
            layout.extent(),
            format!("at most {}, GL_MAX_TEXTURE_SIZE", entry.max_extent),
        ));
    }
    Ok(entry)
}

fn import_opaque(device: &Rc<DeviceInner>, frame: &Frame, memory: &OpaqueFd) -> Result<Texture> {
    if frame.device().compare_driver(&device.id) != Comparison::Same {
        return Err(image::foreign(device, frame, "opaque-fd"));
    }
    if device.quirk(&quirks::OPAQUE_HEADER_BELIEVED) {
        memory.check_header(device.quirk(&quirks::OPAQUE_FD_IS_A_DMA_BUF))?;
    }
    let gl = gl_format(frame.layout().format_info())?;
    let (width, height) = gl_size(frame.layout().extent())?;
    let functions = &device.functions;
    let create = loaded(functions.create_memory_objects, "glCreateMemoryObjectsEXT")?;
    let set = loaded(
        functions.memory_object_parameter,
        "glMemoryObjectParameterivEXT",
    )?;
    let storage = loaded(functions.storage_mem_2d, "glTexStorageMem2DEXT")?;
    let _stale = device.gl_error();
    let mut made = Guard::new(device);
    let mut object = 0;
    // SAFETY: glCreateMemoryObjectsEXT (GL_EXT_memory_object is listed) writes one name.
    unsafe { create(1, &raw mut object) };
    device.check_gl("glCreateMemoryObjectsEXT")?;
    made.trash.memory_object = Some(object);
    let dedicated = 1;
    // SAFETY: glMemoryObjectParameterivEXT reads one integer for this name; the object has no memory yet.
    unsafe {
        set(
            object,
            raw::GL_DEDICATED_MEMORY_OBJECT_EXT,
            &raw const dedicated,
        )
    };
    device.check_gl("glMemoryObjectParameterivEXT")?;
    handoff::import_memory(device, object, memory)?;
    let target = glow::TEXTURE_2D;
    let _binding = Binding::save(device, target);
    let name = made.texture(target)?;
    let optimal = raw::GL_OPTIMAL_TILING_EXT;
    // SAFETY: glTexParameteri with a name of GL_EXT_memory_object, on the bound texture.
    unsafe {
        device
            .gl
            .tex_parameter_i32(target, raw::GL_TEXTURE_TILING_EXT, optimal)
    };
    // SAFETY: glTexStorageMem2DEXT: the object has memory of the same driver, made for an image of this format and
    // size; offset 0, as dedicated allocations have (and as llvmpipe assumes).
    unsafe { storage(target, 1, gl.internal_format, width, height, object, 0) };
    device.check_gl("glTexStorageMem2DEXT")?;
    sampling(device, target, Some(gl));
    made.keep();
    Ok(Texture::new(
        device,
        name,
        target,
        Source::MemoryObject(object),
        frame,
    ))
}
