//! Making textures whose memory others can use (`EGL_MESA_image_dma_buf_export`).

use std::os::fd::OwnedFd;
use std::rc::Rc;

use glow::HasContext;
use khronos_egl as egl;

use super::device::Device;
use super::inner::DeviceInner;
use super::raw::{self, EglImage, loaded};
use super::state::Binding;
use super::texture::{Guard, Source, Texture, gl_format, gl_size, sampling};
use super::{handoff, support};
use crate::error::{Error, Result};
use crate::format::{Format, FormatInfo};
use crate::frame::{Frame, Memory};
use crate::kernel::DmaBuf;
use crate::layout::{Extent, FrameLayout, MAX_PLANES, Plane, Tiling};
use crate::modifier::Modifier;
use crate::negotiate::{Agreement, MemoryPath, Rung};

/// A texture as the driver would export it.
pub(super) struct Exported {
    format: Format,
    pub(super) modifier: Option<Modifier>,
    pub(super) planes: usize,
}

impl Exported {
    /// Whether its bytes are those of `format`; alpha that nobody reads makes no difference.
    pub(super) fn holds(&self, format: Format) -> bool {
        self.format == format || Some(self.format) == format.alpha_twin()
    }
}

impl Device {
    /// Makes a texture as agreed, in memory of its own, and exports that memory as a dma-buf.
    ///
    /// OpenGL chooses the modifier by itself; the frame's layout says which one. Draw into the texture through a framebuffer
    /// object. Call [`Device::wait`] before, and pass the frame on with the fence of [`Device::fence`] after.
    ///
    /// Row 0 of the frame is the bottom row for OpenGL and the top row for most others. So draw upside down, or mark the frame
    /// with [`Frame::with_color`](crate::Frame::with_color) and
    /// [`Orientation::Flipped180`](crate::color::Orientation::Flipped180).
    ///
    /// The frame owns the exported descriptors.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Unsupported`] without `EGL_MESA_image_dma_buf_export`; [`Error::Invalid`] for
    /// another path than dma-buf; [`Error::Driver`] when the driver refuses, chooses something that was not agreed, or
    /// answers success without a descriptor.
    #[doc(alias = "eglExportDMABUFImageMESA")]
    pub fn export(&self, agreement: &Agreement) -> Result<Texture> {
        let device = self.inner();
        device.require_current("egl::Device::export")?;
        device.empty_trash();
        let format = agreement.format;
        let info = check(device, agreement)?;
        let mut made = Guard::new(device);
        let _binding = Binding::save(device, glow::TEXTURE_2D);
        let (name, image) = allocate(device, &mut made, info, agreement.extent)?;
        let exported = query(device, image)?;
        check_agreed(&exported, agreement)?;
        let frame = frame_of(device, image, &exported, agreement.extent, format)?;
        made.keep();
        let source = Source::Exported(image);
        Ok(Texture::new(device, name, glow::TEXTURE_2D, source, &frame))
    }
}

/// What the context can be asked to export.
fn check(device: &DeviceInner, agreement: &Agreement) -> Result<&'static FormatInfo> {
    if agreement.path() != MemoryPath::DmaBuf {
        return Err(Error::invalid(
            "agreement",
            agreement.path(),
            "dma-buf: OpenGL exports nothing else",
        ));
    }
    support::export(device).require("exporting OpenGL textures as dma-buf")?;
    agreement.extent.check()?;
    let format = agreement.format;
    let info = format.info().ok_or_else(|| Error::unknown_format(format))?;
    let limit = Extent::new(device.max_texture, device.max_texture);
    if !agreement.extent.fits(limit) {
        return Err(Error::invalid(
            "extent",
            agreement.extent,
            format!("at most {limit}, GL_MAX_TEXTURE_SIZE"),
        ));
    }
    Ok(info)
}

/// A texture with storage of its own, and the image that stands for it.
pub(super) fn allocate(
    device: &Rc<DeviceInner>,
    made: &mut Guard<'_>,
    info: &FormatInfo,
    extent: Extent,
) -> Result<(glow::NativeTexture, EglImage)> {
    let gl = gl_format(info)?;
    let (width, height) = gl_size(extent)?;
    let target = glow::TEXTURE_2D;
    let name = made.texture(target)?;
    let _stale = device.gl_error();
    // SAFETY: glTexStorage2D on the bound texture, with a sized format of the table.
    unsafe {
        device
            .gl
            .tex_storage_2d(target, 1, gl.internal_format, width, height);
    }
    device.check_gl("glTexStorage2D")?;
    // Its storage has alpha where the format may have padding.
    sampling(device, target, Some(gl));
    let create = loaded(device.library.ext.create_image, "eglCreateImageKHR")?;
    let attributes = [raw::IMAGE_PRESERVED_KHR, 1, egl::NONE];
    let buffer = std::ptr::without_provenance_mut(usize::try_from(name.0.get()).unwrap_or(0));
    // SAFETY: eglCreateImageKHR with EGL_GL_TEXTURE_2D_KHR (EGL_KHR_gl_texture_2D_image is listed: `support::export`):
    // the context is current, the "buffer" is the name of a complete texture of it.
    let image = unsafe {
        create(
            device.display.as_ptr(),
            device.context.as_ptr(),
            raw::GL_TEXTURE_2D_KHR,
            buffer,
            attributes.as_ptr(),
        )
    };
    if image.is_null() {
        return Err(device
            .library
            .failed("eglCreateImageKHR(EGL_GL_TEXTURE_2D_KHR)"));
    }
    made.trash.image = Some(image);
    Ok((name, image))
}

pub(super) fn query(device: &DeviceInner, image: EglImage) -> Result<Exported> {
    const CALL: &str = "eglExportDMABUFImageQueryMESA";
    let query = loaded(device.library.ext.export_query, CALL)?;
    let (mut fourcc, mut planes) = (0_i32, 0_i32);
    // Room for as many planes as the extension can describe: the driver writes one modifier for each.
    let mut modifiers = [0_u64; MAX_PLANES];
    // SAFETY: eglExportDMABUFImageQueryMESA (listed: `support::export`) writes one fourcc, one count and a modifier for
    // each plane, of which no format has more than four.
    let ok = unsafe {
        query(
            device.display.as_ptr(),
            image,
            &raw mut fourcc,
            &raw mut planes,
            modifiers.as_mut_ptr(),
        )
    };
    if ok != egl::TRUE {
        return Err(device.library.failed(CALL));
    }
    let planes = usize::try_from(planes).unwrap_or(0);
    if planes == 0 || planes > MAX_PLANES {
        return Err(Error::driver(CALL, format!("success, but {planes} planes")));
    }
    Ok(Exported {
        format: Format::from_fourcc(fourcc.cast_unsigned()),
        modifier: Modifier::new(modifiers[0]),
        planes,
    })
}

/// GL chooses alone: what it chose must be among what was agreed.
fn check_agreed(exported: &Exported, agreement: &Agreement) -> Result<()> {
    let agreed = exported
        .modifier
        .is_some_and(|modifier| agreement.modifiers.contains(&modifier));
    if agreed && exported.holds(agreement.format) {
        return Ok(());
    }
    let chosen = exported
        .modifier
        .map_or_else(|| "no modifier".to_owned(), |modifier| modifier.to_string());
    let wanted: Vec<String> = agreement
        .modifiers
        .iter()
        .map(ToString::to_string)
        .collect();
    Err(Error::Driver {
        call: "eglExportDMABUFImageQueryMESA",
        code: format!("{} with {chosen} at {}", exported.format, agreement.extent),
        help: format!(
            "agreed was {} with {}; OpenGL cannot be told which to use: strike {} and negotiate again",
            agreement.format,
            wanted.join(", "),
            Rung::TiledDmaBuf
        ),
    })
}

pub(super) fn frame_of(
    device: &DeviceInner,
    image: EglImage,
    exported: &Exported,
    extent: Extent,
    format: Format,
) -> Result<Frame> {
    let parts = handoff::export_image(device, image, exported.planes)?;
    let mut buffers: Vec<DmaBuf> = Vec::new();
    let mut planes = Vec::new();
    for part in parts {
        let object = match part.fd {
            Some(fd) => object_of(&mut buffers, fd)?,
            // "-1 for planes that share the first one's buffer" is how some drivers answer.
            None if !buffers.is_empty() => 0,
            None => {
                return Err(Error::Driver {
                    call: "eglExportDMABUFImageMESA",
                    code: "success, but file descriptor -1".to_owned(),
                    help: "the driver cannot export this image, for instance because it was imported itself"
                        .to_owned(),
                });
            }
        };
        planes.push(Plane {
            object,
            offset: part.offset,
            pitch: part.pitch,
        });
    }
    let sizes: Vec<u64> = buffers.iter().map(DmaBuf::size).collect();
    let tiling = exported.modifier.map_or(Tiling::Implicit, Tiling::Explicit);
    let layout = FrameLayout::new(extent, format, tiling, &planes, &sizes)?;
    Frame::new(layout, Memory::DmaBuf(buffers), device.id.clone())
}

/// Holds each kernel buffer once.
fn object_of(buffers: &mut Vec<DmaBuf>, fd: OwnedFd) -> Result<usize> {
    let buffer = DmaBuf::new(fd)?;
    let known = buffers
        .iter()
        .position(|known| known.identity() == buffer.identity());
    Ok(known.unwrap_or_else(|| {
        buffers.push(buffer);
        buffers.len() - 1
    }))
}
