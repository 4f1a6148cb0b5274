//! What an EGL context can import: `eglQueryDmaBufFormatsEXT`, memory objects, plain textures.

use std::rc::Rc;

use glow::HasContext as _;
use khronos_egl as egl;

use super::device::Device;
use super::inner::DeviceInner;
use super::probe::{export, foreign, ycbcr};
use super::raw::loaded;
use super::support;
use crate::error::{Error, Result, Support};
use crate::format::{ColorKind, Format, FormatInfo, GlFormat, Numeric};
use crate::layout::{Extent, Tiling};
use crate::modifier::Modifier;
use crate::negotiate::{MemoryPath, Offer, OfferEntry, Usage};
use crate::quirks;

impl Device {
    /// What this context can share, for textures used as `usage` says: sampled, rendered into, or read through a framebuffer
    /// ([`Usage::TRANSFER_SOURCE`]: `glReadPixels`, `glBlitFramebuffer`). Modifiers that cannot be used for any of that are
    /// left out. The other paths are listed in full, as they have no modifiers. The driver is asked once, at the first call.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Driver`] when the driver does not answer.
    pub fn offer(&self, usage: Usage) -> Result<Offer> {
        self.inner().require_current("egl::Device::offer")?;
        let mut offer = all(self.inner())?.clone();
        let useful = |entry: &OfferEntry| entry.usage.intersects(usage);
        let kept = |entry: &OfferEntry| entry.path != MemoryPath::DmaBuf || useful(entry);
        offer.entries.retain(kept);
        Ok(offer)
    }
}

/// The whole offer. Asked of the driver once.
pub(super) fn all(device: &Rc<DeviceInner>) -> Result<&Offer> {
    if let Some(offer) = device.offer.get() {
        return Ok(offer);
    }
    let offer = ask(device)?;
    Ok(device.offer.get_or_init(|| offer))
}

fn ask(device: &Rc<DeviceInner>) -> Result<Offer> {
    let paths: Vec<(MemoryPath, Support)> = MemoryPath::ALL
        .into_iter()
        .map(|path| (path, support::path(device, path)))
        .collect();
    let mut entries = Vec::new();
    let mut withdrawn = Vec::new();
    if support::path(device, MemoryPath::DmaBuf).is_yes() {
        entries.extend(dma_buf_entries(device)?);
        withdrawn.extend(foreign::withdraw(device, &entries));
    }
    if support::path(device, MemoryPath::OpaqueFd).is_yes() {
        entries.extend(opaque_entries(device));
    }
    entries.extend(host_entries(device));
    Ok(Offer {
        name: format!("OpenGL on {}", device.renderer),
        device: device.id.clone(),
        paths,
        entries,
        withdrawn,
        fences: support::fences(device).support.clone(),
    })
}

/// RGB formats only: `Y'CbCr` ones are imported plane by plane, or whole where [`ycbcr::works`] has seen that work.
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
    let exports = support::export(device).is_yes();
    let mut entries = Vec::new();
    for info in formats().filter(|info| listed.contains(&info.format)) {
        let exported = if exports {
            export::layout(device, info)
        } else {
            None
        };
        for (modifier, external_only) in query_modifiers(device, info.format)? {
            let auxiliary = modifier.auxiliary_planes().unwrap_or(0);
            let nvidia = modifier.is_linear() && device.quirk(&quirks::NVIDIA_LINEAR);
            let usage = if external_only || nvidia {
                Usage::SAMPLE
            } else {
                Usage::SAMPLE | Usage::RENDER | Usage::TRANSFER_SOURCE
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
    if !linear || !ycbcr::works(device, info) {
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

/// A framebuffer knows no swizzle, and not every driver draws to floating-point textures.
fn plain_usage(info: &FormatInfo) -> Usage {
    let plain = |gl: GlFormat| !gl.is_swizzled() && info.numeric == Numeric::Unorm;
    if info.gl.is_some_and(plain) {
        Usage::SAMPLE | Usage::TRANSFER_SOURCE
    } else {
        Usage::SAMPLE
    }
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
        usage: plain_usage(info),
        max_extent: max_extent(device),
        exportable: false,
        importable: true,
        dedicated_only: path == MemoryPath::OpaqueFd,
        external_only: false,
    }
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
