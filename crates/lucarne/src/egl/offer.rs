//! What an EGL context can import: `eglQueryDmaBufFormatsEXT`, memory objects, plain textures.

use std::rc::Rc;

use glow::HasContext as _;
use khronos_egl as egl;

use super::adapter::Adapter;
use super::canary;
use super::device::DeviceInner;
use super::raw::{self, Library, loaded};
use super::{export, self_test};
use crate::device_id::DeviceId;
use crate::error::{Error, Requirement, Result, Support};
use crate::format::{ColorKind, Format, FormatInfo};
use crate::kernel::Udmabuf;
use crate::layout::{Extent, Tiling};
use crate::modifier::Modifier;
use crate::negotiate::{MemoryPath, Offer, OfferEntry, Usage};
use crate::quirks;

pub(super) fn offer(device: &Rc<DeviceInner>) -> Result<Offer> {
    let paths: Vec<(MemoryPath, Support)> = MemoryPath::ALL
        .into_iter()
        .map(|path| (path, device.path(path)))
        .collect();
    let mut entries = Vec::new();
    let mut withdrawn = Vec::new();
    if device.path(MemoryPath::DmaBuf).is_yes() {
        entries.extend(dma_buf_entries(device)?);
        withdrawn.extend(self_test::withdraw(device, &entries));
    }
    if device.path(MemoryPath::OpaqueFd).is_yes() {
        entries.extend(opaque_entries(device));
    }
    entries.extend(host_entries(device));
    Ok(Offer {
        name: format!("OpenGL on {}", device.renderer()),
        device: device.id().clone(),
        paths,
        entries,
        withdrawn,
        fences: device.fences().clone(),
    })
}

pub(super) fn path_support(device: &DeviceInner, path: MemoryPath) -> Support {
    let mut missing = Vec::new();
    match path {
        MemoryPath::DmaBuf => {
            missing.extend(missing_extensions(
                device,
                &[
                    "EGL_EXT_image_dma_buf_import",
                    "EGL_EXT_image_dma_buf_import_modifiers",
                ],
            ));
            if !device.has_gl("GL_OES_EGL_image") && !device.has_gl("GL_EXT_EGL_image_storage") {
                missing.push(gl_extension("GL_OES_EGL_image"));
            }
            missing.extend(unsafe_software_device(device));
        }
        MemoryPath::OpaqueFd => {
            for name in ["GL_EXT_memory_object", "GL_EXT_memory_object_fd"] {
                if !device.has_gl(name) {
                    missing.push(gl_extension(name));
                }
            }
            missing.extend(opaque_dma_bufs(device));
        }
        MemoryPath::HostMemory => {}
    }
    if missing.is_empty() {
        Support::Yes(())
    } else {
        Support::No(missing)
    }
}

/// Whether textures can be exported as dma-bufs.
pub(super) fn export_support(device: &DeviceInner) -> Support {
    let mut missing = missing_extensions(
        device,
        &[
            "EGL_MESA_image_dma_buf_export",
            "EGL_KHR_image_base",
            "EGL_KHR_gl_texture_2D_image",
        ],
    );
    missing.extend(unsafe_software_device(device));
    if missing.is_empty() {
        Support::Yes(())
    } else {
        Support::No(missing)
    }
}

/// Mesa's software rasteriser on a DRM node (`kms_swrast`) crashes when it maps a foreign dma-buf: only the software
/// EGL device maps buffers in a way that works for any.
fn unsafe_software_device(device: &DeviceInner) -> Option<Requirement> {
    device.quirk(&quirks::KMS_SWRAST).then(|| {
        Requirement::Quirk {
            name: quirks::KMS_SWRAST.name,
            effect: "needs the software EGL device (EGL_MESA_device_software): this display is software on a DRM node \
                     (kms_swrast), which crashes on buffers it did not make; use EGL_EXT_platform_device or \
                     egl::Adapter::open"
                .to_owned(),
        }
    })
}

/// With `/dev/udmabuf` Mesa's software Vulkan exports opaque memory that its OpenGL does not know.
fn opaque_dma_bufs(device: &DeviceInner) -> Option<Requirement> {
    let quirk = &quirks::OPAQUE_FD_IS_A_DMA_BUF;
    (device.quirk(quirk) && Udmabuf::probe().is_yes()).then(|| {
        Requirement::Quirk {
            name: quirk.name,
            effect: "needs memory objects that this OpenGL knows: where /dev/udmabuf can be opened, Mesa's software \
                     Vulkan exports dma-bufs as opaque-fd, which this OpenGL refuses; share dma-bufs instead"
                .to_owned(),
        }
    })
}

fn missing_extensions(device: &DeviceInner, names: &[&'static str]) -> Vec<Requirement> {
    names
        .iter()
        .filter(|name| !device.has_egl(name))
        .map(|name| egl_extension(name))
        .collect()
}

pub(super) fn egl_extension(name: &'static str) -> Requirement {
    Requirement::Extension {
        api: "EGL display",
        name,
        available: false,
    }
}

pub(super) fn gl_extension(name: &'static str) -> Requirement {
    Requirement::Extension {
        api: "OpenGL",
        name,
        available: false,
    }
}

/// RGB formats only: `Y'CbCr` ones are imported plane by plane, or whole where [`canary`] has seen that work.
fn formats() -> impl Iterator<Item = &'static FormatInfo> {
    Format::ALL
        .iter()
        .filter(|info| info.color == ColorKind::Rgb && info.planes.len() == 1)
}

fn max_extent(device: &DeviceInner) -> Extent {
    Extent::new(device.max_texture, device.max_texture)
}

fn dma_buf_entries(device: &Rc<DeviceInner>) -> Result<Vec<OfferEntry>> {
    let listed = query_formats(device)?;
    let exports = export_support(device).is_yes();
    let mut entries = Vec::new();
    for info in formats().filter(|info| listed.contains(&info.format)) {
        let exported = if exports {
            export::probe(device, info)
        } else {
            None
        };
        for (modifier, external_only) in query_modifiers(device, info.format)? {
            let auxiliary = modifier.auxiliary_planes().unwrap_or(0);
            let nvidia = modifier.is_linear() && device.quirk(&quirks::NVIDIA_LINEAR);
            let usage = if external_only || nvidia {
                Usage::SAMPLE
            } else {
                Usage::SAMPLE | Usage::RENDER
            };
            entries.push(OfferEntry {
                path: MemoryPath::DmaBuf,
                format: info.format,
                tiling: Tiling::Explicit(modifier),
                planes: 1 + auxiliary,
                usage,
                max_extent: max_extent(device),
                exportable: exported.is_some_and(|(chosen, _)| chosen == modifier),
                importable: true,
                dedicated_only: false,
                external_only,
            });
        }
    }
    for info in Format::ALL
        .iter()
        .filter(|info| listed.contains(&info.format))
    {
        entries.extend(whole_ycbcr_entry(device, info)?);
    }
    Ok(entries)
}

/// `Y'CbCr` formats as whole images, sampled through an external texture, where a small one of them has been seen to
/// work: drivers list more than they can. Only linear ones, as only those can be tried.
fn whole_ycbcr_entry(device: &Rc<DeviceInner>, info: &FormatInfo) -> Result<Option<OfferEntry>> {
    if info.color != ColorKind::Yuv {
        return Ok(None);
    }
    let modifiers = query_modifiers(device, info.format)?;
    let linear = modifiers.iter().any(|(modifier, _)| modifier.is_linear());
    if !linear || !canary::works(device, info) {
        return Ok(None);
    }
    Ok(Some(OfferEntry {
        path: MemoryPath::DmaBuf,
        format: info.format,
        tiling: Tiling::Explicit(Modifier::LINEAR),
        planes: u8::try_from(info.planes.len()).unwrap_or(u8::MAX),
        usage: Usage::SAMPLE,
        max_extent: max_extent(device),
        exportable: false,
        importable: true,
        dedicated_only: false,
        external_only: true,
    }))
}

fn query_formats(device: &DeviceInner) -> Result<Vec<Format>> {
    let query = loaded(device.library.ext.query_formats, "eglQueryDmaBufFormatsEXT")?;
    let display = device.display.as_ptr();
    let mut count = 0;
    // SAFETY: eglQueryDmaBufFormatsEXT: with a null array only the count is written.
    let ok = unsafe { query(display, 0, std::ptr::null_mut(), &raw mut count) };
    if ok != egl::TRUE {
        return Err(device.library.failed("eglQueryDmaBufFormatsEXT"));
    }
    let mut formats = vec![0_i32; usize::try_from(count).unwrap_or(0)];
    // SAFETY: eglQueryDmaBufFormatsEXT writes at most `count` formats, which is the array's length.
    let ok = unsafe { query(display, count, formats.as_mut_ptr(), &raw mut count) };
    if ok != egl::TRUE {
        return Err(device.library.failed("eglQueryDmaBufFormatsEXT"));
    }
    formats.truncate(usize::try_from(count).unwrap_or(0));
    Ok(formats
        .into_iter()
        .map(|code| Format::from_fourcc(code.cast_unsigned()))
        .collect())
}

/// The explicit modifiers of a format, each with whether it is external-only. A driver that answers
/// `EGL_BAD_PARAMETER` for a format it listed (NVIDIA does) has none.
fn query_modifiers(device: &DeviceInner, format: Format) -> Result<Vec<(Modifier, bool)>> {
    let query = loaded(
        device.library.ext.query_modifiers,
        "eglQueryDmaBufModifiersEXT",
    )?;
    let display = device.display.as_ptr();
    let code = format.fourcc().cast_signed();
    let mut count = 0;
    let none = std::ptr::null_mut;
    // SAFETY: eglQueryDmaBufModifiersEXT: with null arrays only the count is written.
    let ok = unsafe { query(display, code, 0, none(), none().cast(), &raw mut count) };
    if ok != egl::TRUE {
        return no_modifiers(device.library.egl.get_error());
    }
    let length = usize::try_from(count).unwrap_or(0);
    let mut modifiers = vec![0_u64; length];
    // Zeroed, because Mesa's software driver leaves it unwritten.
    let mut external_only = vec![0_u32; length];
    // SAFETY: eglQueryDmaBufModifiersEXT writes at most `count` entries to each array, which is their length.
    let ok = unsafe {
        query(
            display,
            code,
            count,
            modifiers.as_mut_ptr(),
            external_only.as_mut_ptr(),
            &raw mut count,
        )
    };
    if ok != egl::TRUE {
        return Err(device.library.failed("eglQueryDmaBufModifiersEXT"));
    }
    let written = usize::try_from(count).unwrap_or(0).min(length);
    Ok(modifiers
        .into_iter()
        .zip(external_only)
        .take(written)
        .filter_map(|(code, external)| Some((Modifier::new(code)?, external == egl::TRUE)))
        .collect())
}

/// What a failed query for a format's modifiers means ([`quirks::NVIDIA_MODIFIER_QUERY`]).
fn no_modifiers(error: Option<egl::Error>) -> Result<Vec<(Modifier, bool)>> {
    match error {
        Some(egl::Error::BadParameter) => Ok(Vec::new()),
        Some(other) => Err(Error::driver("eglQueryDmaBufModifiersEXT", other)),
        None => Err(Error::driver(
            "eglQueryDmaBufModifiersEXT",
            "EGL_FALSE without an error",
        )),
    }
}

fn opaque_entries(device: &DeviceInner) -> Vec<OfferEntry> {
    texture_formats(device)
        .filter(|(_, gl_shares)| *gl_shares)
        .map(|(info, _)| plain_entry(device, info, MemoryPath::OpaqueFd, Tiling::Implicit))
        .collect()
}

fn host_entries(device: &DeviceInner) -> Vec<OfferEntry> {
    let linear = Tiling::Explicit(Modifier::LINEAR);
    texture_formats(device)
        .map(|(info, _)| plain_entry(device, info, MemoryPath::HostMemory, linear))
        .collect()
}

/// Formats that GL can name, and whether it keeps them in memory as Vulkan does.
fn texture_formats(device: &DeviceInner) -> impl Iterator<Item = (&'static FormatInfo, bool)> {
    formats().filter_map(|info| {
        let gl = info.gl?;
        // What OpenGL ES needs an extension for (GL_EXT_texture_norm16) is in desktop OpenGL's core.
        let core = !device.gl.version().is_embedded;
        let usable = gl.extension.is_none_or(|name| core || device.has_gl(name));
        // A pitch is a whole number of pixels only where a pixel is a power of two bytes.
        let whole = info.planes[0].block_bytes.is_power_of_two();
        (usable && whole).then_some((info, gl.shares_memory))
    })
}

fn plain_entry(
    device: &DeviceInner,
    info: &FormatInfo,
    path: MemoryPath,
    tiling: Tiling,
) -> OfferEntry {
    OfferEntry {
        path,
        format: info.format,
        tiling,
        planes: 1,
        usage: Usage::SAMPLE,
        max_extent: max_extent(device),
        exportable: false,
        importable: true,
        dedicated_only: path == MemoryPath::OpaqueFd,
        external_only: false,
    }
}

/// The EGL device behind a display, where EGL tells.
pub(super) fn egl_device(library: &Library, display: egl::Display) -> Option<Adapter> {
    let query = library.ext.query_display_attrib?;
    let listed = library.egl.query_string(None, egl::EXTENSIONS).ok()?;
    let listed = listed.to_string_lossy();
    let has = |name: &str| listed.split_ascii_whitespace().any(|one| one == name);
    if !has("EGL_EXT_device_query") && !has("EGL_EXT_device_base") {
        return None;
    }
    let mut device = 0_isize;
    // SAFETY: eglQueryDisplayAttribEXT (EGL_EXT_device_query) writes one EGLAttrib.
    let ok = unsafe { query(display.as_ptr(), raw::DEVICE_EXT, &raw mut device) };
    if ok != egl::TRUE || device == 0 {
        let _cleared = library.egl.get_error();
        return None;
    }
    let device = std::ptr::with_exposed_provenance_mut(device.cast_unsigned());
    Some(Adapter::of(library, device))
}

pub(super) fn identify(device: &DeviceInner) -> Result<DeviceId> {
    let adapter = device.egl_device();
    let mut id = DeviceId {
        device_uuid: None,
        driver_uuid: None,
        render_node: adapter.and_then(Adapter::render_node),
        primary_node: adapter.and_then(Adapter::primary_node),
        software: quirks::is_software(device.renderer()),
    };
    if !device.has_gl("GL_EXT_memory_object") {
        return Ok(id);
    }
    let functions = &device.functions;
    let indexed = loaded(functions.unsigned_bytes_indexed, "glGetUnsignedBytei_vEXT")?;
    let plain = loaded(functions.unsigned_bytes, "glGetUnsignedBytevEXT")?;
    let _stale = device.gl_error();
    let devices = {
        // SAFETY: glGetIntegerv with a name of GL_EXT_memory_object, which is listed.
        unsafe { device.gl.get_parameter_i32(raw::GL_NUM_DEVICE_UUIDS_EXT) }
    };
    let mut uuid = [0_u8; 16];
    // A context that spans several devices has no one identity.
    if devices == 1 {
        // SAFETY: glGetUnsignedBytei_vEXT writes GL_UUID_SIZE_EXT, 16, bytes.
        unsafe { indexed(raw::GL_DEVICE_UUID_EXT, 0, uuid.as_mut_ptr()) };
        if device.gl_error().is_none() {
            id.device_uuid = Some(uuid);
        }
    }
    // SAFETY: glGetUnsignedBytevEXT writes 16 bytes for this name.
    unsafe { plain(raw::GL_DRIVER_UUID_EXT, uuid.as_mut_ptr()) };
    if device.gl_error().is_none() {
        id.driver_uuid = Some(uuid);
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_without_modifiers_is_no_error_and_a_dead_display_is() {
        let none = no_modifiers(Some(egl::Error::BadParameter)).expect("nothing listed");
        assert!(none.is_empty());
        for error in [
            Some(egl::Error::BadDisplay),
            Some(egl::Error::NotInitialized),
            None,
        ] {
            let said = no_modifiers(error).expect_err("a failure").to_string();
            assert!(said.contains("eglQueryDmaBufModifiersEXT"), "{said}");
        }
    }
}
