//! The OpenGL calls of the demo behind safe functions: all they ask for is a current context.

use glow::HasContext;

/// A context that is current on this thread.
#[derive(Clone, Copy)]
pub(crate) struct Gl<'c> {
    context: &'c glow::Context,
}

/// Functions that only ask for a current context: wrong names and enums make a GL error, not harm.
macro_rules! calls {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) $(-> $answer:ty)?;)*) => {$(
        pub(crate) fn $name(self, $($argument: $kind),*) $(-> $answer)? {
            // SAFETY: glow asks for a current context with these functions loaded, which the caller of
            // `Gl::new` promised; no argument is a pointer, and GL answers bad values with an error.
            unsafe { self.context.$name($($argument),*) }
        }
    )*};
}

impl<'c> Gl<'c> {
    /// # Safety
    ///
    /// The context is current on this thread, with GL ES 3.0 or newer, as long as the value is used.
    pub(crate) unsafe fn new(context: &'c glow::Context) -> Self {
        Self { context }
    }

    calls! {
        fn active_texture(unit: u32);
        fn attach_shader(program: glow::Program, shader: glow::Shader);
        fn bind_buffer(target: u32, buffer: Option<glow::Buffer>);
        fn bind_framebuffer(target: u32, framebuffer: Option<glow::Framebuffer>);
        fn bind_renderbuffer(target: u32, renderbuffer: Option<glow::Renderbuffer>);
        fn bind_texture(target: u32, texture: Option<glow::Texture>);
        fn bind_vertex_array(vertex_array: Option<glow::VertexArray>);
        fn blend_func_separate(from: u32, onto: u32, alpha_from: u32, alpha_onto: u32);
        fn buffer_data_u8_slice(target: u32, bytes: &[u8], usage: u32);
        fn check_framebuffer_status(target: u32) -> u32;
        fn compile_shader(shader: glow::Shader);
        fn create_buffer() -> Result<glow::Buffer, String>;
        fn create_framebuffer() -> Result<glow::Framebuffer, String>;
        fn create_program() -> Result<glow::Program, String>;
        fn create_renderbuffer() -> Result<glow::Renderbuffer, String>;
        fn create_shader(stage: u32) -> Result<glow::Shader, String>;
        fn create_vertex_array() -> Result<glow::VertexArray, String>;
        fn delete_buffer(buffer: glow::Buffer);
        fn delete_framebuffer(framebuffer: glow::Framebuffer);
        fn delete_program(program: glow::Program);
        fn delete_renderbuffer(renderbuffer: glow::Renderbuffer);
        fn delete_shader(shader: glow::Shader);
        fn delete_vertex_array(vertex_array: glow::VertexArray);
        fn disable(capability: u32);
        fn draw_arrays(mode: u32, first: i32, count: i32);
        fn enable(capability: u32);
        fn enable_vertex_attrib_array(location: u32);
        fn framebuffer_renderbuffer(
            target: u32, attachment: u32, kind: u32, renderbuffer: Option<glow::Renderbuffer>
        );
        fn get_error() -> u32;
        fn get_program_info_log(program: glow::Program) -> String;
        fn get_program_link_status(program: glow::Program) -> bool;
        fn get_shader_compile_status(shader: glow::Shader) -> bool;
        fn get_shader_info_log(shader: glow::Shader) -> String;
        fn get_uniform_location(program: glow::Program, name: &str) -> Option<glow::UniformLocation>;
        fn link_program(program: glow::Program);
        fn renderbuffer_storage(target: u32, format: u32, width: i32, height: i32);
        fn shader_source(shader: glow::Shader, source: &str);
        fn uniform_1_f32(at: Option<&glow::UniformLocation>, x: f32);
        fn uniform_2_f32(at: Option<&glow::UniformLocation>, x: f32, y: f32);
        fn uniform_4_f32(at: Option<&glow::UniformLocation>, x: f32, y: f32, z: f32, w: f32);
        fn uniform_matrix_4_f32_slice(at: Option<&glow::UniformLocation>, turned: bool, m: &[f32]);
        fn use_program(program: Option<glow::Program>);
        fn vertex_attrib_pointer_f32(
            location: u32, size: i32, kind: u32, normalized: bool, stride: i32, offset: i32
        );
        fn viewport(x: i32, y: i32, width: i32, height: i32);
    }

    /// Reads RGBA bytes from the bound framebuffer, lowest row first.
    pub(crate) fn read_rgba(self, width: u32, height: u32) -> Vec<u8> {
        let mut bytes = vec![0; 4 * width as usize * height as usize];
        let (width, height) = (size(width), size(height));
        let into = glow::PixelPackData::Slice(Some(&mut bytes));
        // SAFETY: a current context (`new`); GL writes 4 * width * height bytes, all of which are there,
        // since rows of four-byte pixels are never padded at the default alignment of four.
        unsafe {
            self.context
                .read_pixels(0, 0, width, height, glow::RGBA, glow::UNSIGNED_BYTE, into);
        }
        bytes
    }
}

/// A size for GL, which counts in signed numbers.
pub(crate) fn size(pixels: u32) -> i32 {
    i32::try_from(pixels).unwrap_or(i32::MAX)
}

/// A program of two shaders, deleted when dropped.
pub(crate) struct Program<'c> {
    gl: Gl<'c>,
    raw: glow::Program,
}

impl<'c> Program<'c> {
    /// Compiles and links; `header` goes before both sources.
    pub(crate) fn new(
        gl: Gl<'c>,
        header: &str,
        vertex: &str,
        fragment: &str,
    ) -> Result<Self, String> {
        let program = Self {
            gl,
            raw: gl.create_program()?,
        };
        for (stage, source) in [
            (glow::VERTEX_SHADER, vertex),
            (glow::FRAGMENT_SHADER, fragment),
        ] {
            let shader = gl.create_shader(stage)?;
            gl.shader_source(shader, &format!("{header}{source}"));
            gl.compile_shader(shader);
            let compiled = gl.get_shader_compile_status(shader);
            let log = if compiled {
                String::new()
            } else {
                gl.get_shader_info_log(shader)
            };
            gl.attach_shader(program.raw, shader);
            // It lives on in the program.
            gl.delete_shader(shader);
            if !compiled {
                return Err(format!("a GL shader does not compile: {log}"));
            }
        }
        gl.link_program(program.raw);
        if !gl.get_program_link_status(program.raw) {
            let log = gl.get_program_info_log(program.raw);
            return Err(format!("a GL program does not link: {log}"));
        }
        Ok(program)
    }

    pub(crate) fn bind(&self) {
        self.gl.use_program(Some(self.raw));
    }

    /// A uniform by name; one that the compiler dropped is ignored by GL.
    pub(crate) fn uniform(&self, name: &str) -> Option<glow::UniformLocation> {
        self.gl.get_uniform_location(self.raw, name)
    }
}

impl Drop for Program<'_> {
    fn drop(&mut self) {
        self.gl.delete_program(self.raw);
    }
}

/// Points in the plane, in a buffer, deleted when dropped.
pub(crate) struct Points<'c> {
    gl: Gl<'c>,
    array: glow::VertexArray,
    buffer: glow::Buffer,
}

impl<'c> Points<'c> {
    pub(crate) fn new(gl: Gl<'c>) -> Result<Self, String> {
        let array = gl.create_vertex_array()?;
        let buffer = gl
            .create_buffer()
            .inspect_err(|_| gl.delete_vertex_array(array))?;
        gl.bind_vertex_array(Some(array));
        gl.bind_buffer(glow::ARRAY_BUFFER, Some(buffer));
        gl.enable_vertex_attrib_array(0);
        gl.vertex_attrib_pointer_f32(0, 2, glow::FLOAT, false, 8, 0);
        Ok(Self { gl, array, buffer })
    }

    /// Replaces all points.
    pub(crate) fn fill(&self, points: &[[f32; 2]]) {
        let bytes: Vec<u8> = points
            .iter()
            .flatten()
            .flat_map(|f| f.to_ne_bytes())
            .collect();
        self.gl.bind_buffer(glow::ARRAY_BUFFER, Some(self.buffer));
        self.gl
            .buffer_data_u8_slice(glow::ARRAY_BUFFER, &bytes, glow::DYNAMIC_DRAW);
    }

    pub(crate) fn draw(&self, mode: u32, count: usize) {
        self.gl.bind_vertex_array(Some(self.array));
        self.gl
            .draw_arrays(mode, 0, i32::try_from(count).unwrap_or(i32::MAX));
    }
}

impl Drop for Points<'_> {
    fn drop(&mut self) {
        self.gl.delete_vertex_array(self.array);
        self.gl.delete_buffer(self.buffer);
    }
}
