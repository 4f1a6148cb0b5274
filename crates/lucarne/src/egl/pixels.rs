//! Pixels in and out of textures, for programs without a renderer: tests, snapshots, first steps.

use glow::HasContext;

use super::device::Device;
use super::inner::DeviceInner;
use super::pass::Pass;
use super::raw::GL_TEXTURE_EXTERNAL_OES;
use super::state::{Binding, PixelStore, Readback};
use super::texture::{Source, Texture, gl_format, gl_size, sampling};
use crate::error::{Error, Requirement, Result};
use crate::format::{ColorKind, GlFormat};

const FRAGMENT: &str = "precision highp float;
precision highp int;
uniform highp sampler2D frame;
out vec4 pixel;
void main() {
    pixel = texelFetch(frame, ivec2(gl_FragCoord.xy), 0);
}";

const FRAGMENT_EXTERNAL: &str = "#extension GL_OES_EGL_image_external_essl3 : require
precision highp float;
precision highp int;
uniform highp samplerExternalOES frame;
out vec4 pixel;
void main() {
    pixel = texelFetch(frame, ivec2(gl_FragCoord.xy), 0);
}";

/// For whole `Y'CbCr` images: Mesa fetches chroma of those at luma's coordinates, which is the wrong place and beyond the edge;
/// it samples them rightly.
const FRAGMENT_YCBCR: &str = "#extension GL_OES_EGL_image_external_essl3 : require
precision highp float;
precision highp int;
uniform highp samplerExternalOES frame;
uniform vec2 extent;
out vec4 pixel;
void main() {
    pixel = texture(frame, gl_FragCoord.xy / extent);
}";

impl Device {
    /// What a shader reads of each pixel, as red, green, blue and alpha, first row first.
    ///
    /// Call [`Device::read`] first. Compiles a shader and allocates a target for each call, and waits for the result: for
    /// tests and snapshots. Leaves the caller's GL state as it was, and needs an OpenGL ES 3 context.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Unsupported`] without `GL_EXT_color_buffer_float`; [`Error::Driver`].
    pub fn download(&self, texture: &Texture) -> Result<Vec<[f32; 4]>> {
        self.inner().require_current("egl::Device::download")?;
        fetch(self.inner(), texture)
    }

    /// Writes `pixels`, rows from the frame's first without padding, into a texture that is exported or imported.
    ///
    /// Call [`Device::wait`] with the release fence first, and pass [`Device::fence`] on after. An imported dma-buf is drawn
    /// into, so that the driver puts the pixels where its layout wants them, and needs an OpenGL ES 3 context. For tests and
    /// first steps: compiles a shader for each call.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Invalid`] when `pixels` is not exactly the frame's size, and for a frame in host
    /// memory, which the texture is a copy of; [`Error::Driver`], among others when the driver cannot draw into the format.
    pub fn upload(&self, texture: &Texture, pixels: &[u8]) -> Result<()> {
        self.inner().require_current("egl::Device::upload")?;
        let device = self.inner();
        let layout = texture.frame().layout();
        let info = layout.format_info();
        let gl = gl_format(info)?;
        let size = gl_size(layout.extent())?;
        let row = info.row_bytes(0, layout.extent().width).unwrap_or(0);
        let bytes = u64::from(row) * u64::from(layout.extent().height);
        if pixels.len() as u64 != bytes {
            let limit = format!("{bytes} for {layout}");
            return Err(Error::invalid("pixels.len()", pixels.len(), limit));
        }
        let _stale = device.gl_error();
        match texture.source() {
            Source::Upload(_) => Err(Error::invalid(
                "texture",
                "a copy of host memory",
                "one whose storage is the frame's own: OpenGL does not write host memory",
            )),
            Source::Image(_) => {
                let _state = Readback::save(device);
                let pass = Pass::new(device, FRAGMENT)?;
                fill(
                    device,
                    glow::TEXTURE_2D,
                    pass.texture,
                    (gl, size),
                    pixels,
                    true,
                )?;
                pass.draw_into(texture, size)
            }
            Source::Exported(_) | Source::MemoryObject(_) => {
                let (target, name) = (texture.target(), texture.name());
                fill(device, target, name, (gl, size), pixels, false)
            }
        }
    }
}

/// Puts pixels into a texture, which gets its storage before if it has none.
fn fill(
    device: &DeviceInner,
    target: u32,
    name: glow::NativeTexture,
    (gl, (width, height)): (GlFormat, (i32, i32)),
    pixels: &[u8],
    empty: bool,
) -> Result<()> {
    let _binding = Binding::save(device, target);
    let _unpack = PixelStore::unpack(device, width);
    // SAFETY: glBindTexture with a live texture of this target, or one that never had a target.
    unsafe { device.gl.bind_texture(target, Some(name)) };
    if empty {
        // SAFETY: glTexStorage2D on the bound texture, with a sized format of the table.
        unsafe {
            device
                .gl
                .tex_storage_2d(target, 1, gl.internal_format, width, height);
        }
        sampling(device, target, Some(gl));
    }
    let source = glow::PixelUnpackData::Slice(Some(pixels));
    // SAFETY: glTexSubImage2D reads width x height pixels of this format, which is the slice's checked length.
    unsafe {
        device
            .gl
            .tex_sub_image_2d(target, 0, 0, 0, width, height, gl.format, gl.kind, source);
    }
    device.check_gl("glTexSubImage2D")
}

/// What a shader reads of each pixel. The context is current.
pub(super) fn fetch(device: &DeviceInner, texture: &Texture) -> Result<Vec<[f32; 4]>> {
    if device.gl.version().is_embedded && !device.has_gl("GL_EXT_color_buffer_float") {
        return Err(Error::unsupported(
            "reading exact pixels",
            vec![Requirement::Extension {
                api: "OpenGL",
                name: "GL_EXT_color_buffer_float",
                available: false,
            }],
        ));
    }
    let (width, height) = gl_size(texture.frame().layout().extent())?;
    let count = usize::try_from(width).unwrap_or(0) * usize::try_from(height).unwrap_or(0);
    let mut bytes = vec![0_u8; count * 16];
    let _stale = device.gl_error();
    let _state = Readback::save(device);
    let pass = Pass::new(device, fragment(texture))?;
    pass.draw(texture, glow::RGBA32F, (width, height))?;
    let (kind, target) = (glow::FLOAT, glow::PixelPackData::Slice(Some(&mut bytes)));
    // SAFETY: glReadPixels writes width x height pixels of four floats, which is the slice's length; no pack buffer is
    // bound and rows are not padded (`Readback`).
    unsafe {
        device
            .gl
            .read_pixels(0, 0, width, height, glow::RGBA, kind, target);
    }
    device.check_gl("reading a texture back")?;
    Ok(bytes.as_chunks::<16>().0.iter().map(pixel).collect())
}

/// The shader that reads every pixel of a texture.
fn fragment(texture: &Texture) -> &'static str {
    let color = texture.frame().layout().format_info().color;
    match (texture.target(), color) {
        (GL_TEXTURE_EXTERNAL_OES, ColorKind::Yuv) => FRAGMENT_YCBCR,
        (GL_TEXTURE_EXTERNAL_OES, _) => FRAGMENT_EXTERNAL,
        _ => FRAGMENT,
    }
}

fn pixel(bytes: &[u8; 16]) -> [f32; 4] {
    let floats = bytes.as_chunks::<4>().0;
    std::array::from_fn(|index| f32::from_ne_bytes(floats[index]))
}
