//! Pixels in and out of textures, for programs without a renderer: tests, snapshots, first steps.

use glow::HasContext;

use super::device::{Device, DeviceInner};
use super::import::{Binding, Unpack, gl_format, gl_size, sampling};
use super::raw::GL_TEXTURE_EXTERNAL_OES;
use super::state::Readback;
use super::texture::{Source, Texture};
use crate::error::{Error, Requirement, Result};
use crate::format::{ColorKind, GlFormat};

const VERTEX: &str = "#version 300 es
void main() {
    // One triangle that covers everything.
    gl_Position = vec4(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0, 0.0, 1.0);
}";

const FRAGMENT: &str = "#version 300 es
precision highp float;
precision highp int;
uniform highp sampler2D frame;
out vec4 pixel;
void main() {
    pixel = texelFetch(frame, ivec2(gl_FragCoord.xy), 0);
}";

const FRAGMENT_EXTERNAL: &str = "#version 300 es
#extension GL_OES_EGL_image_external_essl3 : require
precision highp float;
precision highp int;
uniform highp samplerExternalOES frame;
out vec4 pixel;
void main() {
    pixel = texelFetch(frame, ivec2(gl_FragCoord.xy), 0);
}";

/// For whole `Y'CbCr` images: Mesa fetches chroma of those at luma's coordinates, which is the wrong place and beyond the edge;
/// it samples them rightly.
const FRAGMENT_YCBCR: &str = "#version 300 es
#extension GL_OES_EGL_image_external_essl3 : require
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
                let name = pass
                    .target
                    .ok_or_else(|| Error::driver("glGenTextures", "nothing"))?;
                fill(device, glow::TEXTURE_2D, name, (gl, size), pixels, true)?;
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
    let _binding = Binding::new(device, target);
    let _unpack = Unpack::new(device, width);
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
    let _stale = device.gl_error();
    let state = Readback::save(device);
    let pixels =
        Pass::new(device, fragment(texture)).and_then(|pass| pass.run(texture, width, height));
    drop(state);
    pixels
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

/// A program that fetches every texel, and a floating-point target to fetch it into.
struct Pass<'a> {
    device: &'a DeviceInner,
    program: glow::NativeProgram,
    target: Option<glow::NativeTexture>,
    framebuffer: Option<glow::NativeFramebuffer>,
}

impl<'a> Pass<'a> {
    fn new(device: &'a DeviceInner, fragment: &str) -> Result<Self> {
        // SAFETY: glCreateProgram with a current context.
        let program = unsafe { device.gl.create_program() }
            .map_err(|error| Error::driver("glCreateProgram", error))?;
        let mut pass = Self {
            device,
            program,
            target: None,
            framebuffer: None,
        };
        pass.attach(glow::VERTEX_SHADER, VERTEX)?;
        pass.attach(glow::FRAGMENT_SHADER, fragment)?;
        // SAFETY: glLinkProgram of a program of this context.
        unsafe { device.gl.link_program(program) };
        // SAFETY: glGetProgramiv, as above.
        if !unsafe { device.gl.get_program_link_status(program) } {
            // SAFETY: glGetProgramInfoLog, as above.
            let log = unsafe { device.gl.get_program_info_log(program) };
            return Err(Error::driver("glLinkProgram", log));
        }
        // SAFETY: glGenTextures with a current context.
        let made = unsafe { device.gl.create_texture() };
        pass.target = Some(made.map_err(|error| Error::driver("glGenTextures", error))?);
        // SAFETY: glGenFramebuffers with a current context.
        let made = unsafe { device.gl.create_framebuffer() };
        pass.framebuffer = Some(made.map_err(|error| Error::driver("glGenFramebuffers", error))?);
        Ok(pass)
    }

    fn attach(&mut self, kind: u32, source: &str) -> Result<()> {
        let gl = &self.device.gl;
        // SAFETY: glCreateShader with a kind that every version knows.
        let shader = unsafe { gl.create_shader(kind) }
            .map_err(|error| Error::driver("glCreateShader", error))?;
        // SAFETY: glShaderSource of a shader of this context.
        unsafe { gl.shader_source(shader, source) };
        // SAFETY: glCompileShader, as above.
        unsafe { gl.compile_shader(shader) };
        // SAFETY: glGetShaderiv, as above.
        let compiled = unsafe { gl.get_shader_compile_status(shader) };
        // SAFETY: glGetShaderInfoLog, as above.
        let log = unsafe { gl.get_shader_info_log(shader) };
        // SAFETY: glAttachShader of two objects of this context.
        unsafe { gl.attach_shader(self.program, shader) };
        // SAFETY: glDeleteShader: the program keeps it as long as it needs it.
        unsafe { gl.delete_shader(shader) };
        if compiled {
            Ok(())
        } else {
            Err(Error::driver("glCompileShader", log))
        }
    }

    fn run(&self, texture: &Texture, width: i32, height: i32) -> Result<Vec<[f32; 4]>> {
        self.aim(width, height)?;
        let gl = &self.device.gl;
        // SAFETY: glUseProgram of a linked program.
        unsafe { gl.use_program(Some(self.program)) };
        // SAFETY: glGetUniformLocation of a linked program; only the last of the shaders has it.
        let extent = unsafe { gl.get_uniform_location(self.program, "extent") };
        // No texture is larger than 65535.
        let [x, y] = [width, height].map(|side| f32::from(u16::try_from(side).unwrap_or(u16::MAX)));
        // SAFETY: glUniform2f of the current program; without a location it does nothing.
        unsafe { gl.uniform_2_f32(extent.as_ref(), x, y) };
        // SAFETY: glBindTexture of a live texture of this target, on unit 0, which the sampler reads by default.
        unsafe { gl.bind_texture(texture.target(), Some(texture.name())) };
        // SAFETY: glDrawArrays: the vertex shader reads no attributes.
        unsafe { gl.draw_arrays(glow::TRIANGLES, 0, 3) };
        let count = usize::try_from(width).unwrap_or(0) * usize::try_from(height).unwrap_or(0);
        let mut bytes = vec![0_u8; count * 16];
        let target = glow::PixelPackData::Slice(Some(&mut bytes));
        // SAFETY: glReadPixels writes width x height pixels of four floats, which is the slice's length; no pack buffer is
        // bound and rows are not padded (`Readback`).
        unsafe { gl.read_pixels(0, 0, width, height, glow::RGBA, glow::FLOAT, target) };
        self.device.check_gl("reading a texture back")?;
        Ok(bytes.as_chunks::<16>().0.iter().map(pixel).collect())
    }

    /// Draws the pass's own texture, pixel by pixel, into `texture`.
    fn draw_into(&self, texture: &Texture, (width, height): (i32, i32)) -> Result<()> {
        let gl = &self.device.gl;
        let (point, kind) = (glow::COLOR_ATTACHMENT0, texture.target());
        // SAFETY: glBindFramebuffer of a framebuffer of our own.
        unsafe { gl.bind_framebuffer(glow::FRAMEBUFFER, self.framebuffer) };
        // SAFETY: glFramebufferTexture2D of the bound framebuffer and a live texture.
        unsafe {
            gl.framebuffer_texture_2d(glow::FRAMEBUFFER, point, kind, Some(texture.name()), 0);
        }
        // SAFETY: glCheckFramebufferStatus of the bound framebuffer.
        let status = unsafe { gl.check_framebuffer_status(glow::FRAMEBUFFER) };
        if status != glow::FRAMEBUFFER_COMPLETE {
            let code = format!("{status:#06x} for {}", texture.frame().layout());
            return Err(Error::driver("glCheckFramebufferStatus", code));
        }
        // SAFETY: glViewport has no preconditions.
        unsafe { gl.viewport(0, 0, width, height) };
        // SAFETY: glUseProgram of a linked program.
        unsafe { gl.use_program(Some(self.program)) };
        // SAFETY: glBindTexture of a texture of our own, on unit 0, which the sampler reads by default.
        unsafe { gl.bind_texture(glow::TEXTURE_2D, self.target) };
        // SAFETY: glDrawArrays: the vertex shader reads no attributes.
        unsafe { gl.draw_arrays(glow::TRIANGLES, 0, 3) };
        self.device.check_gl("drawing into a frame")
    }

    /// Makes the floating-point target current.
    fn aim(&self, width: i32, height: i32) -> Result<()> {
        let gl = &self.device.gl;
        // SAFETY: glBindTexture of a texture of our own.
        unsafe { gl.bind_texture(glow::TEXTURE_2D, self.target) };
        // SAFETY: glTexStorage2D of the bound texture, which has no storage yet.
        unsafe { gl.tex_storage_2d(glow::TEXTURE_2D, 1, glow::RGBA32F, width, height) };
        // SAFETY: glBindFramebuffer of a framebuffer of our own.
        unsafe { gl.bind_framebuffer(glow::FRAMEBUFFER, self.framebuffer) };
        let (point, kind) = (glow::COLOR_ATTACHMENT0, glow::TEXTURE_2D);
        // SAFETY: glFramebufferTexture2D of the bound framebuffer and a texture of our own.
        unsafe { gl.framebuffer_texture_2d(glow::FRAMEBUFFER, point, kind, self.target, 0) };
        // SAFETY: glViewport has no preconditions.
        unsafe { gl.viewport(0, 0, width, height) };
        self.device.check_gl("making a floating-point target")
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let gl = &self.device.gl;
        // SAFETY: glDeleteProgram, once.
        unsafe { gl.delete_program(self.program) };
        if let Some(target) = self.target {
            // SAFETY: glDeleteTextures, once.
            unsafe { gl.delete_texture(target) };
        }
        if let Some(framebuffer) = self.framebuffer {
            // SAFETY: glDeleteFramebuffers, once.
            unsafe { gl.delete_framebuffer(framebuffer) };
        }
    }
}

fn pixel(bytes: &[u8; 16]) -> [f32; 4] {
    let floats = bytes.as_chunks::<4>().0;
    std::array::from_fn(|index| f32::from_ne_bytes(floats[index]))
}
