//! Draws textures into rectangles of the window.

use std::rc::Rc;

use lucarne::Extent;
use lucarne::glow;

use super::calls::size;
use super::context::Context;
use crate::view::overlay::Panel;
use crate::view::scale::Corners;
use crate::view::screen::PANELS;

const VERTEX: &str = include_str!("quad.vert.glsl");
const FRAGMENT: &str = include_str!("quad.frag.glsl");

/// A rectangle to draw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quad {
    pub(super) texture: glow::Texture,
    /// GL_TEXTURE_2D or GL_TEXTURE_EXTERNAL_OES.
    pub(super) target: u32,
    /// Left, top, right and bottom in clip space.
    pub(super) place: [f32; 4],
    pub(super) corners: Corners,
    pub(super) is_sharp: bool,
    /// Whether colours are to be multiplied by alpha yet.
    pub(super) multiply: bool,
}

/// Programs, samplers and textures of a context, which deletes them when it ends.
pub(super) struct Painter {
    gl: Rc<Context>,
    programs: Vec<(u32, Program)>,
    array: glow::VertexArray,
    smooth: glow::Sampler,
    sharp: glow::Sampler,
    panels: [Option<(Rc<Panel>, glow::Texture)>; PANELS],
}

impl Painter {
    pub(super) fn new(gl: &Rc<Context>) -> Result<Self, String> {
        Ok(Self {
            gl: Rc::clone(gl),
            programs: Vec::new(),
            array: gl.create_vertex_array()?,
            smooth: sampler(gl, glow::LINEAR)?,
            sharp: sampler(gl, glow::NEAREST)?,
            panels: [None, None],
        })
    }

    /// Begins a picture of the whole window: black.
    pub(super) fn begin(&self, window: Extent) {
        let gl = &self.gl;
        let (width, height) = size(window);
        // What others left there is not this picture's.
        while gl.get_error() != glow::NO_ERROR {}
        gl.bind_framebuffer(glow::FRAMEBUFFER, None);
        gl.viewport(0, 0, width, height);
        gl.disable(glow::DEPTH_TEST);
        gl.disable(glow::SCISSOR_TEST);
        gl.clear_color(0.0, 0.0, 0.0, 1.0);
        gl.clear(glow::COLOR_BUFFER_BIT);
        gl.enable(glow::BLEND);
        // Colours are multiplied by alpha. The window's own alpha stays one: no compositor sees through it.
        gl.blend_func(glow::ONE, glow::ONE_MINUS_SRC_ALPHA);
        gl.bind_vertex_array(Some(self.array));
        gl.active_texture(glow::TEXTURE0);
    }

    pub(super) fn draw(&mut self, quad: &Quad) -> Result<(), String> {
        let sampler = if quad.is_sharp {
            self.sharp
        } else {
            self.smooth
        };
        let gl = Rc::clone(&self.gl);
        let program = self.program(quad.target)?;
        gl.use_program(Some(program.raw));
        let [left, top, right, bottom] = quad.place;
        gl.uniform_4_f32(program.place.as_ref(), left, top, right, bottom);
        let Corners {
            corner,
            across,
            down,
        } = quad.corners;
        let at = program.corner.as_ref();
        gl.uniform_4_f32(at, corner[0], corner[1], across[0], across[1]);
        let multiply = f32::from(u8::from(quad.multiply));
        gl.uniform_4_f32(program.down.as_ref(), down[0], down[1], multiply, 0.0);
        gl.bind_texture(quad.target, Some(quad.texture));
        gl.bind_sampler(0, Some(sampler));
        gl.draw_arrays(glow::TRIANGLE_STRIP, 0, 4);
        gl.bind_sampler(0, None);
        gl.bind_texture(quad.target, None);
        Ok(())
    }

    /// Says what went wrong since [`begin`](Self::begin).
    pub(super) fn end(&self) -> Result<(), String> {
        self.gl.disable(glow::BLEND);
        match self.gl.get_error() {
            glow::NO_ERROR => Ok(()),
            error => Err(format!("GL reports error {error:#06x} after drawing")),
        }
    }

    /// A panel's texture, written anew where the panel is another one.
    pub(super) fn panel(
        &mut self,
        number: usize,
        panel: &Rc<Panel>,
    ) -> Result<glow::Texture, String> {
        let gl = &self.gl;
        let texture = match &self.panels[number] {
            Some((known, texture)) if Rc::ptr_eq(known, panel) => return Ok(*texture),
            Some((_, texture)) => *texture,
            None => gl.create_texture()?,
        };
        gl.bind_texture(glow::TEXTURE_2D, Some(texture));
        gl.fill(panel);
        gl.bind_texture(glow::TEXTURE_2D, None);
        self.panels[number] = Some((Rc::clone(panel), texture));
        Ok(texture)
    }

    /// The program for textures of a target, compiled once.
    fn program(&mut self, target: u32) -> Result<&Program, String> {
        let known = self.programs.iter().position(|(known, _)| *known == target);
        let at = match known {
            Some(at) => at,
            None => {
                self.programs
                    .push((target, Program::new(&self.gl, target)?));
                self.programs.len() - 1
            }
        };
        Ok(&self.programs[at].1)
    }
}

fn sampler(gl: &Context, filter: u32) -> Result<glow::Sampler, String> {
    let sampler = gl.create_sampler()?;
    let values = [
        (glow::TEXTURE_MIN_FILTER, filter),
        (glow::TEXTURE_MAG_FILTER, filter),
        (glow::TEXTURE_WRAP_S, glow::CLAMP_TO_EDGE),
        (glow::TEXTURE_WRAP_T, glow::CLAMP_TO_EDGE),
    ];
    for (name, value) in values {
        gl.sampler_parameter_i32(sampler, name, value.cast_signed());
    }
    Ok(sampler)
}

/// A program, and where its values are.
struct Program {
    raw: glow::Program,
    place: Option<glow::UniformLocation>,
    corner: Option<glow::UniformLocation>,
    down: Option<glow::UniformLocation>,
}

impl Program {
    fn new(gl: &Context, target: u32) -> Result<Self, String> {
        let header = header(target);
        let raw = gl.create_program()?;
        let stages = [
            (glow::VERTEX_SHADER, VERTEX),
            (glow::FRAGMENT_SHADER, FRAGMENT),
        ];
        for (stage, source) in stages {
            let shader = gl.create_shader(stage)?;
            gl.shader_source(shader, &format!("{header}{source}"));
            gl.compile_shader(shader);
            if !gl.get_shader_compile_status(shader) {
                let log = gl.get_shader_info_log(shader);
                return Err(format!("a GL shader does not compile: {log}"));
            }
            gl.attach_shader(raw, shader);
            // It lives on in the program.
            gl.delete_shader(shader);
        }
        gl.link_program(raw);
        if !gl.get_program_link_status(raw) {
            let log = gl.get_program_info_log(raw);
            return Err(format!("a GL program does not link: {log}"));
        }
        let at = |name| gl.get_uniform_location(raw, name);
        Ok(Self {
            raw,
            place: at("place"),
            corner: at("corner"),
            down: at("down"),
        })
    }
}

/// What stands before both shaders.
fn header(target: u32) -> String {
    let (extension, sampler) = if target == glow::TEXTURE_2D {
        ("", "sampler2D")
    } else {
        (
            "#extension GL_OES_EGL_image_external_essl3 : require\n",
            "samplerExternalOES",
        )
    };
    format!("#version 300 es\n{extension}precision highp float;\n#define SAMPLER {sampler}\n")
}
