//! The OpenGL calls of the window behind safe functions: all they ask for is a current context.
#![allow(unsafe_code, reason = "glow's functions are unsafe without exception")]

use lucarne::Extent;
use lucarne::glow::{self, HasContext};

use super::context::Context;
use crate::view::overlay::Panel;

/// Functions that only ask for a current context: wrong names and enums make a GL error, not harm.
macro_rules! calls {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) $(-> $answer:ty)?;)*) => {$(
        pub(super) fn $name(&self, $($argument: $kind),*) $(-> $answer)? {
            // SAFETY: glow asks for a current context with these functions loaded: `Context` is current on this thread as long
            // as it lives, and is of OpenGL ES 3.0 at least. No argument is a pointer; GL answers bad values with an error.
            unsafe { self.egl().glow().$name($($argument),*) }
        }
    )*};
}

impl Context {
    calls! {
        fn active_texture(unit: u32);
        fn attach_shader(program: glow::Program, shader: glow::Shader);
        fn bind_framebuffer(target: u32, framebuffer: Option<glow::Framebuffer>);
        fn bind_sampler(unit: u32, sampler: Option<glow::Sampler>);
        fn bind_texture(target: u32, texture: Option<glow::Texture>);
        fn bind_vertex_array(vertex_array: Option<glow::VertexArray>);
        fn blend_func(from: u32, onto: u32);
        fn clear(mask: u32);
        fn clear_color(red: f32, green: f32, blue: f32, alpha: f32);
        fn compile_shader(shader: glow::Shader);
        fn create_program() -> Result<glow::Program, String>;
        fn create_sampler() -> Result<glow::Sampler, String>;
        fn create_shader(stage: u32) -> Result<glow::Shader, String>;
        fn create_texture() -> Result<glow::Texture, String>;
        fn create_vertex_array() -> Result<glow::VertexArray, String>;
        fn delete_shader(shader: glow::Shader);
        fn disable(capability: u32);
        fn draw_arrays(mode: u32, first: i32, count: i32);
        fn enable(capability: u32);
        fn get_error() -> u32;
        fn get_program_info_log(program: glow::Program) -> String;
        fn get_program_link_status(program: glow::Program) -> bool;
        fn get_shader_compile_status(shader: glow::Shader) -> bool;
        fn get_shader_info_log(shader: glow::Shader) -> String;
        fn get_uniform_location(program: glow::Program, name: &str) -> Option<glow::UniformLocation>;
        fn link_program(program: glow::Program);
        fn sampler_parameter_i32(sampler: glow::Sampler, name: u32, value: i32);
        fn shader_source(shader: glow::Shader, source: &str);
        fn uniform_4_f32(at: Option<&glow::UniformLocation>, x: f32, y: f32, z: f32, w: f32);
        fn use_program(program: Option<glow::Program>);
        fn viewport(x: i32, y: i32, width: i32, height: i32);
    }

    /// Makes a panel's pixels those of the bound GL_TEXTURE_2D.
    pub(super) fn fill(&self, panel: &Panel) {
        let (width, height) = size(panel.extent);
        debug_assert_eq!(
            panel.pixels.len(),
            4 * panel.extent.width as usize * panel.extent.height as usize
        );
        let (target, format) = (glow::TEXTURE_2D, glow::RGBA);
        let pixels = glow::PixelUnpackData::Slice(Some(&panel.pixels));
        let internal = glow::RGBA8.cast_signed();
        let kind = glow::UNSIGNED_BYTE;
        // SAFETY: glTexImage2D reads 4 * width * height bytes, which a panel has; no unpack buffer is bound, and rows of
        // four-byte pixels are not padded at the default alignment. The context is current, as above.
        unsafe {
            self.egl()
                .glow()
                .tex_image_2d(target, 0, internal, width, height, 0, format, kind, pixels);
        }
    }
}

/// A size for GL, which counts in signed numbers.
pub(super) fn size(extent: Extent) -> (i32, i32) {
    let signed = |side| i32::try_from(side).unwrap_or(i32::MAX);
    (signed(extent.width), signed(extent.height))
}
