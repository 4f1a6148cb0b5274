//! Drawing `Y'CbCr` frames as red, green and blue.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use glow::HasContext;

use super::texture::{YcbcrTexture, bind, check_units};
use crate::egl::device::Device;
use crate::egl::inner::{DeviceInner, Trash};
use crate::egl::program::link;
use crate::egl::state::{Bindings, Output, UNITS};
use crate::egl::texture::gl_size;
use crate::error::{Error, Requirement, Result};

const EXACT: &str = "
out vec4 color;
void main() {
    color = vec4(clamp(lucarne_rgb(ivec2(gl_FragCoord.xy)), 0.0, 1.0), 1.0);
}";

const SCALED: &str = "
in vec2 position;
out vec4 color;
void main() {
    color = vec4(clamp(lucarne_rgb_at(position), 0.0, 1.0), 1.0);
}";

/// A pass that draws `Y'CbCr` frames as red, green and blue, with the matrix, range and siting of each frame's colour
/// description.
///
/// Works in OpenGL ES 3 and OpenGL 3.3 and later, and leaves the caller's state as it was. What it writes is encoded as the frame
/// was, with the frame's primaries, clipped to 0 to 1, and alpha 1. Programs are compiled at their first use and kept.
pub struct YcbcrToRgb {
    device: Rc<DeviceInner>,
    vertex_array: glow::NativeVertexArray,
    framebuffer: glow::NativeFramebuffer,
    programs: RefCell<Vec<Program>>,
}

struct Program {
    name: glow::NativeProgram,
    /// The two halves of the fragment source that it was made of.
    glsl: String,
    main: &'static str,
}

impl Device {
    /// Makes a pass that draws what [`Device::import_ycbcr`] imports.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Unsupported`] below OpenGL ES 3 and OpenGL 3.3; [`Error::Driver`].
    pub fn ycbcr_to_rgb(&self) -> Result<YcbcrToRgb> {
        self.inner().require_current("egl::Device::ycbcr_to_rgb")?;
        YcbcrToRgb::new(self.inner())
    }
}

impl YcbcrToRgb {
    fn new(device: &Rc<DeviceInner>) -> Result<Self> {
        let version = device.gl.version();
        let least = if version.is_embedded { (3, 0) } else { (3, 3) };
        if (version.major, version.minor) < least {
            return Err(Error::unsupported(
                "drawing Y'CbCr frames",
                vec![Requirement::Version {
                    api: "OpenGL",
                    at_least: "ES 3.0 or 3.3",
                    found: self::version(device),
                }],
            ));
        }
        // SAFETY: glGenVertexArrays with a current context.
        let vertex_array = unsafe { device.gl.create_vertex_array() }
            .map_err(|error| Error::driver("glGenVertexArrays", error))?;
        // SAFETY: glGenFramebuffers with a current context.
        let framebuffer = unsafe { device.gl.create_framebuffer() };
        if framebuffer.is_err() {
            // SAFETY: glDeleteVertexArrays, once.
            unsafe { device.gl.delete_vertex_array(vertex_array) };
        }
        let framebuffer = framebuffer.map_err(|error| Error::driver("glGenFramebuffers", error))?;
        Ok(Self {
            device: Rc::clone(device),
            vertex_array,
            framebuffer,
            programs: RefCell::default(),
        })
    }

    /// Draws each pixel of the frame to the same pixel of `target`, a two-dimensional texture of at least the frame's size
    /// that can be rendered to. Row 0 of the frame becomes row 0 of the texture.
    ///
    /// Call [`Device::read_ycbcr`] first. The result differs from exact arithmetic by rounding alone.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Driver`] when `target` cannot be rendered to, or the driver refuses.
    pub fn convert(&self, source: &YcbcrTexture, target: glow::NativeTexture) -> Result<()> {
        let device = &self.device;
        device.require_current("egl::YcbcrToRgb::convert")?;
        let (width, height) = gl_size(source.frame().layout().extent())?;
        let _stale = device.gl_error();
        let _bindings = Bindings::save(device);
        let _output = Output::save(device);
        let gl = &device.gl;
        let draw = glow::DRAW_FRAMEBUFFER;
        // SAFETY: glBindFramebuffer of a framebuffer of our own.
        unsafe { gl.bind_framebuffer(draw, Some(self.framebuffer)) };
        let point = glow::COLOR_ATTACHMENT0;
        // SAFETY: glFramebufferTexture2D of the bound framebuffer; a name that is no such texture is a GL error.
        unsafe { gl.framebuffer_texture_2d(draw, point, glow::TEXTURE_2D, Some(target), 0) };
        // SAFETY: glCheckFramebufferStatus of the bound framebuffer.
        let status = unsafe { gl.check_framebuffer_status(draw) };
        let drawn = if status == glow::FRAMEBUFFER_COMPLETE {
            // SAFETY: glViewport with a size that is not negative.
            unsafe { gl.viewport(0, 0, width, height) };
            self.run(source, EXACT)
        } else {
            Err(Error::driver(
                "glCheckFramebufferStatus",
                format!("{status:#06x}"),
            ))
        };
        // Let go of the caller's texture.
        // SAFETY: glFramebufferTexture2D with no texture.
        unsafe { gl.framebuffer_texture_2d(draw, point, glow::TEXTURE_2D, None, 0) };
        drawn
    }

    /// Draws the frame over the whole viewport of the framebuffer that is bound, its first row at the top, scaled by the
    /// textures' linear filter. Blending, scissor and the like stay as the caller has them.
    ///
    /// Call [`Device::read_ycbcr`] first.
    ///
    /// # Errors
    ///
    /// [`Error::NotCurrent`]; [`Error::Driver`].
    pub fn draw(&self, source: &YcbcrTexture) -> Result<()> {
        self.device.require_current("egl::YcbcrToRgb::draw")?;
        let _stale = self.device.gl_error();
        let _bindings = Bindings::save(&self.device);
        self.run(source, SCALED)
    }

    fn run(&self, source: &YcbcrTexture, main: &'static str) -> Result<()> {
        check_units(source, UNITS)?;
        let program = self.program(source.glsl(), main)?;
        bind(&self.device, source, program, 0);
        let gl = &self.device.gl;
        // SAFETY: glBindVertexArray of an array of our own.
        unsafe { gl.bind_vertex_array(Some(self.vertex_array)) };
        // SAFETY: glDrawArrays: the vertex shader reads no attributes.
        unsafe { gl.draw_arrays(glow::TRIANGLES, 0, 3) };
        self.device.check_gl("drawing a Y'CbCr frame")
    }

    fn program(&self, glsl: &str, main: &'static str) -> Result<glow::NativeProgram> {
        let mut programs = self.programs.borrow_mut();
        let of_source = |one: &&Program| one.main == main && one.glsl == glsl;
        if let Some(known) = programs.iter().find(of_source) {
            return Ok(known.name);
        }
        let name = link(&self.device, &format!("{glsl}{main}"))?;
        programs.push(Program {
            name,
            glsl: glsl.to_owned(),
            main,
        });
        Ok(name)
    }
}

fn version(device: &DeviceInner) -> String {
    let version = device.gl.version();
    let es = if version.is_embedded { "ES " } else { "" };
    format!("{es}{}.{}", version.major, version.minor)
}

impl Drop for YcbcrToRgb {
    fn drop(&mut self) {
        let programs = self.programs.take().into_iter();
        self.device.discard(Trash {
            programs: programs.map(|program| program.name).collect(),
            vertex_array: Some(self.vertex_array),
            framebuffer: Some(self.framebuffer),
            ..Trash::default()
        });
    }
}

impl fmt::Debug for YcbcrToRgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YcbcrToRgb")
            .field("programs", &self.programs.borrow().len())
            .finish_non_exhaustive()
    }
}
