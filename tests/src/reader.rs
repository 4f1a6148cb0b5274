//! Reads a texture through a shader, exactly, as floats.

use glow::HasContext;
use lucarne::egl::{Device, Texture};

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

/// A program that fetches every texel, and a floating-point target to fetch it into.
#[expect(
    missing_debug_implementations,
    reason = "a test fixture; nothing prints it"
)]
pub struct Reader<'a> {
    device: &'a Device,
    program: glow::NativeProgram,
    target: glow::NativeTexture,
    framebuffer: glow::NativeFramebuffer,
}

impl<'a> Reader<'a> {
    /// A reader on this context.
    ///
    /// # Panics
    ///
    /// When the driver cannot render to floating-point textures (`GL_EXT_color_buffer_float`), or refuses the program.
    pub fn new(device: &'a Device) -> Self {
        let gl = device.glow();
        assert!(
            gl.supported_extensions()
                .contains("GL_EXT_color_buffer_float"),
            "reading exact pixels needs GL_EXT_color_buffer_float"
        );
        let program = program(gl);
        // SAFETY: glGenTextures with a current context.
        let target = unsafe { gl.create_texture() }.expect("a texture");
        // SAFETY: glGenFramebuffers with a current context.
        let framebuffer = unsafe { gl.create_framebuffer() }.expect("a framebuffer");
        Self {
            device,
            program,
            target,
            framebuffer,
        }
    }

    /// Every pixel, first row first, red, green, blue, alpha.
    ///
    /// # Panics
    ///
    /// On a GL error.
    pub fn read(&self, texture: &Texture) -> Vec<[f32; 4]> {
        assert_eq!(
            texture.target(),
            glow::TEXTURE_2D,
            "external textures need another program"
        );
        let gl = self.device.glow();
        let extent = texture.frame().layout().extent();
        let width = i32::try_from(extent.width).expect("checked by the layout");
        let height = i32::try_from(extent.height).expect("checked by the layout");
        let count = usize::try_from(u64::from(extent.width) * u64::from(extent.height));
        let mut bytes = vec![0_u8; count.expect("fits memory") * 16];
        #[expect(
            clippy::multiple_unsafe_ops_per_block,
            reason = "one GL drawing, under one and the same rule"
        )]
        // SAFETY: plain GL calls with a current context; every object is this context's, and `bytes` holds
        // width x height pixels of four 32-bit floats, as glReadPixels writes them.
        unsafe {
            gl.bind_texture(glow::TEXTURE_2D, Some(self.target));
            let format = glow::RGBA32F.cast_signed();
            let none = glow::PixelUnpackData::Slice(None);
            let (rgba, float) = (glow::RGBA, glow::FLOAT);
            gl.tex_image_2d(
                glow::TEXTURE_2D,
                0,
                format,
                width,
                height,
                0,
                rgba,
                float,
                none,
            );
            gl.bind_framebuffer(glow::FRAMEBUFFER, Some(self.framebuffer));
            gl.framebuffer_texture_2d(
                glow::FRAMEBUFFER,
                glow::COLOR_ATTACHMENT0,
                glow::TEXTURE_2D,
                Some(self.target),
                0,
            );
            gl.viewport(0, 0, width, height);
            gl.use_program(Some(self.program));
            gl.active_texture(glow::TEXTURE0);
            gl.bind_texture(glow::TEXTURE_2D, Some(texture.name()));
            gl.draw_arrays(glow::TRIANGLES, 0, 3);
            let pixels = glow::PixelPackData::Slice(Some(&mut bytes));
            gl.read_pixels(0, 0, width, height, rgba, float, pixels);
            gl.bind_texture(glow::TEXTURE_2D, None);
            assert_eq!(gl.get_error(), glow::NO_ERROR, "reading a texture");
        }
        bytes.chunks_exact(16).map(pixel).collect()
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let gl = self.device.glow();
        // SAFETY: glDeleteProgram, once.
        unsafe { gl.delete_program(self.program) };
        // SAFETY: glDeleteTextures, once.
        unsafe { gl.delete_texture(self.target) };
        // SAFETY: glDeleteFramebuffers, once.
        unsafe { gl.delete_framebuffer(self.framebuffer) };
    }
}

fn pixel(bytes: &[u8]) -> [f32; 4] {
    let mut channels = bytes.chunks_exact(4).map(|four| {
        let four = four.try_into().expect("chunks of four");
        f32::from_le_bytes(four)
    });
    std::array::from_fn(|_| channels.next().expect("sixteen bytes"))
}

fn program(gl: &glow::Context) -> glow::NativeProgram {
    #[expect(
        clippy::multiple_unsafe_ops_per_block,
        reason = "one program, under one and the same rule"
    )]
    // SAFETY: plain GL calls with a current context; shaders belong to the program from here on.
    unsafe {
        let program = gl.create_program().expect("a program");
        for (kind, source) in [
            (glow::VERTEX_SHADER, VERTEX),
            (glow::FRAGMENT_SHADER, FRAGMENT),
        ] {
            let shader = gl.create_shader(kind).expect("a shader");
            gl.shader_source(shader, source);
            gl.compile_shader(shader);
            assert!(
                gl.get_shader_compile_status(shader),
                "{}",
                gl.get_shader_info_log(shader)
            );
            gl.attach_shader(program, shader);
            gl.delete_shader(shader);
        }
        gl.link_program(program);
        assert!(
            gl.get_program_link_status(program),
            "{}",
            gl.get_program_info_log(program)
        );
        program
    }
}
