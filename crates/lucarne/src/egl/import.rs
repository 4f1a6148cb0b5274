//! Making textures of frames.

use std::cell::RefCell;
use std::rc::Rc;

use glow::HasContext;

use super::device::DeviceInner;
use super::raw::{self, EglImage, loaded};
use super::texture::{Source, Texture, Trash};
use super::{handoff, host};
use crate::device_id::Comparison;
use crate::error::{Error, Requirement, Result};
use crate::format::{FormatInfo, GlFormat};
use crate::frame::{Frame, Memory, OpaqueFd};
use crate::kernel::{DmaBuf, Mapping, Memfd};
use crate::layout::Extent;
use crate::negotiate::OfferEntry;
use crate::quirks;

/// Mesa's software rasteriser works in blocks of this many rows.
const SOFTWARE_ROWS: u32 = 4;

pub(super) fn import(device: &Rc<DeviceInner>, frame: &Frame) -> Result<Texture> {
    let path = frame.memory().path();
    device
        .path(path)
        .require(&format!("importing {path} frames into OpenGL"))?;
    let entry = offered(device, frame)?;
    match frame.memory() {
        Memory::DmaBuf(buffers) => import_dma_buf(device, frame, buffers, entry.external_only),
        Memory::OpaqueFd(memory) => import_opaque(device, frame, memory),
        Memory::HostMemory(memory) => {
            frame.layout().check_whole_pixels()?;
            if let Some(texture) = host::import_in_place(device, frame, memory)? {
                return Ok(texture);
            }
            let gl = gl_format(frame.layout().format_info())?;
            import_host(device, frame, memory, gl, gl.internal_format)
        }
    }
}

/// The context's own entry for this frame, or an error that lists what it could import instead.
pub(super) fn offered<'a>(device: &'a Rc<DeviceInner>, frame: &Frame) -> Result<&'a OfferEntry> {
    let layout = frame.layout();
    let path = frame.memory().path();
    let of_format = |entry: &&OfferEntry| entry.path == path && entry.format == layout.format();
    let offer = device.offer()?;
    let entries = &offer.entries;
    let found = entries
        .iter()
        .filter(of_format)
        .find(|entry| entry.tiling == layout.tiling());
    let struck = |entry: &&OfferEntry| offer.withdrawn.iter().find(|one| one.hits(entry));
    if let Some(strike) = found.as_ref().and_then(struck) {
        return Err(Error::unsupported(
            format!("importing {layout} as {path}"),
            vec![strike.reason.to_requirement()],
        ));
    }
    let Some(entry) = found else {
        let accepted: Vec<String> = entries
            .iter()
            .filter(of_format)
            .map(|entry| entry.tiling.to_string())
            .collect();
        let accepted = if accepted.is_empty() {
            format!(
                "{} cannot import {} at all",
                device.renderer(),
                layout.format()
            )
        } else {
            format!(
                "{} imports {} only as {}",
                device.renderer(),
                layout.format(),
                accepted.join(", ")
            )
        };
        return Err(Error::unsupported(
            format!("importing {layout} as {path}"),
            vec![Requirement::other(accepted)],
        ));
    };
    if !layout.extent().fits(entry.max_extent) {
        return Err(Error::invalid(
            "extent",
            layout.extent(),
            format!("at most {}, GL_MAX_TEXTURE_SIZE", entry.max_extent),
        ));
    }
    Ok(entry)
}

fn foreign(device: &DeviceInner, frame: &Frame, memory: &'static str) -> Error {
    Error::ForeignDevice {
        memory,
        frame: Box::new(frame.device().clone()),
        device: Box::new(device.id().clone()),
    }
}

pub(super) fn import_dma_buf(
    device: &Rc<DeviceInner>,
    frame: &Frame,
    buffers: &[DmaBuf],
    external_only: bool,
) -> Result<Texture> {
    let layout = frame.layout();
    let linear = layout
        .tiling()
        .modifier()
        .is_some_and(|modifier| modifier.is_linear());
    if !linear && frame.device().compare(device.id()) == Comparison::Different {
        return Err(foreign(device, frame, "tiled dma-buf"));
    }
    if frame.is_emulated() && !device.id().software {
        return Err(foreign(device, frame, "emulated dma-buf"));
    }
    device.quirks().check_linear(layout)?;
    check_software_rows(device, frame, buffers)?;
    texture_of(device, frame, buffers, external_only)
}

/// An `EGLImage` of these buffers, and a texture of it.
pub(super) fn texture_of(
    device: &Rc<DeviceInner>,
    frame: &Frame,
    buffers: &[DmaBuf],
    external_only: bool,
) -> Result<Texture> {
    let mut made = Guard::new(device);
    let image = handoff::create_image(device, frame.layout(), buffers)?;
    made.trash.image = Some(image);
    let target = if external_only {
        raw::GL_TEXTURE_EXTERNAL_OES
    } else {
        glow::TEXTURE_2D
    };
    let _binding = Binding::new(device, target);
    let name = made.texture(target)?;
    bind_image(device, target, image)?;
    sampling(device, target, None);
    made.keep();
    Ok(Texture::new(
        device,
        name,
        target,
        Source::Image(image),
        frame,
    ))
}

/// A software rasteriser touches whole blocks of rows, and never compares with the buffer's size: a tight buffer
/// would end in SIGSEGV.
pub(super) fn check_software_rows(
    device: &DeviceInner,
    frame: &Frame,
    buffers: &[DmaBuf],
) -> Result<()> {
    if !device.quirk(&quirks::SOFTWARE_READS_FOUR_ROWS) {
        return Ok(());
    }
    let layout = frame.layout();
    let rows = u64::from(layout.extent().height.next_multiple_of(SOFTWARE_ROWS));
    for plane in layout.planes() {
        let size = buffers.get(plane.object).map_or(0, DmaBuf::size);
        let end = plane
            .pitch
            .checked_mul(rows)
            .and_then(|bytes| bytes.checked_add(plane.offset));
        if end.is_none_or(|end| end > size) {
            return Err(Error::invalid(
                "buffer size",
                size,
                format!(
                    "at least offset {} + pitch {} x {rows} rows: {} reads {SOFTWARE_ROWS} rows at a time",
                    plane.offset,
                    plane.pitch,
                    device.renderer()
                ),
            ));
        }
    }
    Ok(())
}

/// Immutable storage first: NVIDIA takes foreign images only so.
fn bind_image(device: &DeviceInner, target: u32, image: EglImage) -> Result<()> {
    let _stale = device.gl_error();
    if device.has_gl("GL_EXT_EGL_image_storage")
        && let Some(storage) = device.functions.image_target_storage
    {
        // SAFETY: glEGLImageTargetTexStorageEXT (listed): a valid image, a texture bound to `target`, no attributes.
        unsafe { storage(target, image, std::ptr::null()) };
        if device.gl_error().is_none() {
            return Ok(());
        }
    }
    let bind = loaded(
        device.functions.image_target_texture,
        "glEGLImageTargetTexture2DOES",
    )?;
    // SAFETY: glEGLImageTargetTexture2DOES (GL_OES_EGL_image is listed): as above.
    unsafe { bind(target, image) };
    device.check_gl("glEGLImageTargetTexture2DOES")
}

pub(super) fn gl_format(info: &FormatInfo) -> Result<GlFormat> {
    info.gl.ok_or_else(|| {
        Error::invalid(
            "format",
            info.format,
            "one that OpenGL has a texture format for",
        )
    })
}

pub(super) fn gl_size(extent: Extent) -> Result<(i32, i32)> {
    let side = |value: u32| {
        i32::try_from(value).map_err(|_| Error::invalid("extent", extent, "at most 31 bits"))
    };
    Ok((side(extent.width)?, side(extent.height)?))
}

fn import_opaque(device: &Rc<DeviceInner>, frame: &Frame, memory: &OpaqueFd) -> Result<Texture> {
    if frame.device().compare_driver(device.id()) != Comparison::Same {
        return Err(foreign(device, frame, "opaque-fd"));
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
    let _binding = Binding::new(device, target);
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

pub(super) fn import_host(
    device: &Rc<DeviceInner>,
    frame: &Frame,
    memory: &Memfd,
    gl: GlFormat,
    internal_format: u32,
) -> Result<Texture> {
    let (width, height) = gl_size(frame.layout().extent())?;
    frame.layout().check_whole_pixels()?;
    let mapping = Mapping::new(memory)?;
    let target = glow::TEXTURE_2D;
    let mut made = Guard::new(device);
    let _binding = Binding::new(device, target);
    let name = made.texture(target)?;
    let _stale = device.gl_error();
    // SAFETY: glTexStorage2D on the bound texture, with a sized format of the table.
    unsafe {
        device
            .gl
            .tex_storage_2d(target, 1, internal_format, width, height);
    }
    device.check_gl("glTexStorage2D")?;
    sampling(device, target, Some(gl));
    made.keep();
    let source = Source::Upload(RefCell::new(mapping));
    Ok(Texture::new(device, name, target, source, frame))
}

/// Copies the frame's pixels into the texture. The frame is this reader's, and its writer has finished.
pub(super) fn upload(device: &DeviceInner, texture: &Texture) -> Result<()> {
    let Source::Upload(mapping) = texture.source() else {
        return Ok(());
    };
    let frame = texture.frame();
    let gl = gl_format(frame.layout().format_info())?;
    let (width, height) = gl_size(frame.layout().extent())?;
    let layout = frame.layout();
    let Some(plane) = layout.planes().first() else {
        return Ok(());
    };
    let block = u64::from(layout.format_info().planes[0].block_bytes);
    let row_length = i32::try_from(plane.pitch / block)
        .map_err(|_| Error::invalid("plane.pitch", plane.pitch, "at most 31 bits"))?;
    let offset = usize::try_from(plane.offset)
        .map_err(|_| Error::invalid("plane.offset", plane.offset, "within the mapping"))?;
    let sub_image = loaded(device.functions.sub_image_2d, "glTexSubImage2D")?;
    let _binding = Binding::new(device, glow::TEXTURE_2D);
    let _unpack = Unpack::new(device, row_length);
    let _stale = device.gl_error();
    // SAFETY: glBindTexture with a live texture of this target.
    unsafe {
        device
            .gl
            .bind_texture(glow::TEXTURE_2D, Some(texture.name()));
    }
    let mapping = mapping.borrow();
    // Its address is given as it is: making a slice of memory that a peer may write is not allowed.
    let pixels = mapping.address().as_ptr().wrapping_add(offset);
    // SAFETY: glTexSubImage2D reads `height` rows of `row_length` pixels from `pixels`, which the frame's layout
    // proves to lie within the mapping; no unpack buffer is bound and other unpack state is the default (`Unpack`).
    unsafe {
        sub_image(
            glow::TEXTURE_2D,
            0,
            0,
            0,
            width,
            height,
            gl.format,
            gl.kind,
            pixels.cast(),
        );
    }
    device.check_gl("glTexSubImage2D")
}

/// Filtering without mipmaps, edges without wrapping, and colours in their places.
pub(super) fn sampling(device: &DeviceInner, target: u32, gl: Option<GlFormat>) {
    let mut parameters = vec![
        (glow::TEXTURE_MIN_FILTER, glow::LINEAR),
        (glow::TEXTURE_MAG_FILTER, glow::LINEAR),
        (glow::TEXTURE_WRAP_S, glow::CLAMP_TO_EDGE),
        (glow::TEXTURE_WRAP_T, glow::CLAMP_TO_EDGE),
    ];
    if let Some(gl) = gl {
        let names = [
            glow::TEXTURE_SWIZZLE_R,
            glow::TEXTURE_SWIZZLE_G,
            glow::TEXTURE_SWIZZLE_B,
            glow::TEXTURE_SWIZZLE_A,
        ];
        parameters.extend(names.into_iter().zip(gl.swizzle));
    }
    for (name, value) in parameters {
        // SAFETY: glTexParameteri with core names on the bound texture.
        unsafe {
            device
                .gl
                .tex_parameter_i32(target, name, value.cast_signed());
        }
    }
}

/// What an import has made so far; deletes it unless kept.
pub(super) struct Guard<'a> {
    device: &'a DeviceInner,
    pub(super) trash: Trash,
}

impl<'a> Guard<'a> {
    pub(super) fn new(device: &'a DeviceInner) -> Self {
        Self {
            device,
            trash: Trash::default(),
        }
    }

    /// Makes a texture and binds it.
    pub(super) fn texture(&mut self, target: u32) -> Result<glow::NativeTexture> {
        let gl = &self.device.gl;
        // SAFETY: glGenTextures with a current context.
        let name = unsafe { gl.create_texture() }
            .map_err(|error| Error::driver("glGenTextures", error))?;
        self.trash.texture = Some(name);
        // SAFETY: glBindTexture with a name that has no target yet.
        unsafe { gl.bind_texture(target, Some(name)) };
        Ok(name)
    }

    pub(super) fn keep(mut self) {
        self.trash = Trash::default();
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        std::mem::take(&mut self.trash).delete(self.device);
    }
}

/// Puts the caller's texture binding back.
pub(super) struct Binding<'a> {
    device: &'a DeviceInner,
    target: u32,
    previous: Option<glow::NativeTexture>,
}

impl<'a> Binding<'a> {
    pub(super) fn new(device: &'a DeviceInner, target: u32) -> Self {
        let name = if target == raw::GL_TEXTURE_EXTERNAL_OES {
            raw::GL_TEXTURE_BINDING_EXTERNAL_OES
        } else {
            glow::TEXTURE_BINDING_2D
        };
        // SAFETY: glGetIntegerv with the binding of a target that the context has.
        let previous = unsafe { device.gl.get_parameter_i32(name) };
        Self {
            device,
            target,
            previous: std::num::NonZeroU32::new(previous.cast_unsigned()).map(glow::NativeTexture),
        }
    }
}

impl Drop for Binding<'_> {
    fn drop(&mut self) {
        // SAFETY: glBindTexture with the name that was bound to this target before.
        unsafe { self.device.gl.bind_texture(self.target, self.previous) };
    }
}

/// `GL_UNPACK_SWAP_BYTES` and `GL_UNPACK_LSB_FIRST`, which OpenGL has and OpenGL ES has not (registry: gl.xml).
const UNPACK_ON_DESKTOP: [(u32, i32); 2] = [(0x0CF0, 0), (0x0CF1, 0)];

/// Sets how GL reads client memory, and puts the caller's settings back.
pub(super) struct Unpack<'a> {
    device: &'a DeviceInner,
    parameters: Vec<(u32, i32)>,
    buffer: Option<glow::NativeBuffer>,
}

impl<'a> Unpack<'a> {
    pub(super) fn new(device: &'a DeviceInner, row_length: i32) -> Self {
        let wanted = [
            (glow::UNPACK_ALIGNMENT, 1),
            (glow::UNPACK_ROW_LENGTH, row_length),
            (glow::UNPACK_SKIP_ROWS, 0),
            (glow::UNPACK_SKIP_PIXELS, 0),
        ];
        let more = (!device.gl.version().is_embedded).then_some(UNPACK_ON_DESKTOP);
        let parameters = wanted
            .into_iter()
            .chain(more.into_iter().flatten())
            .map(|(name, value)| {
                // SAFETY: glGetIntegerv with a name that the context has.
                let previous = unsafe { device.gl.get_parameter_i32(name) };
                // SAFETY: glPixelStorei with such a name and a legal value.
                unsafe { device.gl.pixel_store_i32(name, value) };
                (name, previous)
            })
            .collect();
        // SAFETY: glGetIntegerv with a core name.
        let buffer = unsafe {
            device
                .gl
                .get_parameter_i32(glow::PIXEL_UNPACK_BUFFER_BINDING)
        };
        // SAFETY: glBindBuffer to nothing.
        unsafe { device.gl.bind_buffer(glow::PIXEL_UNPACK_BUFFER, None) };
        Self {
            device,
            parameters,
            buffer: std::num::NonZeroU32::new(buffer.cast_unsigned()).map(glow::NativeBuffer),
        }
    }
}

impl Drop for Unpack<'_> {
    fn drop(&mut self) {
        for (name, value) in self.parameters.drain(..) {
            // SAFETY: glPixelStorei with the value that was set before.
            unsafe { self.device.gl.pixel_store_i32(name, value) };
        }
        // SAFETY: glBindBuffer with the buffer that was bound before.
        unsafe {
            self.device
                .gl
                .bind_buffer(glow::PIXEL_UNPACK_BUFFER, self.buffer)
        };
    }
}
