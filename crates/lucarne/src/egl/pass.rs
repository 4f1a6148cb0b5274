//! Drawing one texture into another, pixel by pixel.

use glow::HasContext;

use super::inner::DeviceInner;
use super::program::link;
use super::texture::{Guard, Texture};
use crate::error::{Error, Result};

/// A program, and a texture of its own to draw to or from. Deleted on drop.
///
/// Draws with the state that [`Readback`](super::state::Readback) has made plain.
pub(super) struct Pass<'a> {
    device: &'a DeviceInner,
    program: glow::NativeProgram,
    pub(super) texture: glow::NativeTexture,
    framebuffer: glow::NativeFramebuffer,
    _made: Guard<'a>,
}

/// What is drawn from or into.
#[derive(Clone, Copy)]
struct Side {
    /// What it is bound to, such as `GL_TEXTURE_2D`.
    target: u32,
    name: glow::NativeTexture,
}

impl Side {
    fn of(texture: &Texture) -> Self {
        Self {
            target: texture.target(),
            name: texture.name(),
        }
    }
}

impl<'a> Pass<'a> {
    /// `fragment` has one sampler at most.
    pub(super) fn new(device: &'a DeviceInner, fragment: &str) -> Result<Self> {
        let mut made = Guard::new(device);
        let program = link(device, fragment)?;
        made.trash.programs.push(program);
        let texture = made.texture(glow::TEXTURE_2D)?;
        // SAFETY: glGenFramebuffers with a current context.
        let framebuffer = unsafe { device.gl.create_framebuffer() }
            .map_err(|error| Error::driver("glGenFramebuffers", error))?;
        made.trash.framebuffer = Some(framebuffer);
        Ok(Self {
            device,
            program,
            texture,
            framebuffer,
            _made: made,
        })
    }

    /// Draws `source` into the pass's own texture, which gets its storage here, and leaves that bound for reading back.
    pub(super) fn draw(
        &self,
        source: &Texture,
        internal_format: u32,
        size: (i32, i32),
    ) -> Result<()> {
        let (gl, own) = (&self.device.gl, self.own());
        // SAFETY: glBindTexture of a texture of our own.
        unsafe { gl.bind_texture(own.target, Some(own.name)) };
        // SAFETY: glTexStorage2D of the bound texture, which has no storage yet.
        unsafe { gl.tex_storage_2d(own.target, 1, internal_format, size.0, size.1) };
        self.device.check_gl("making a texture to draw to")?;
        self.run(Side::of(source), own, size)
    }

    /// Draws the pass's own texture into `target`.
    pub(super) fn draw_into(&self, target: &Texture, size: (i32, i32)) -> Result<()> {
        self.run(self.own(), Side::of(target), size)
    }

    fn own(&self) -> Side {
        Side {
            target: glow::TEXTURE_2D,
            name: self.texture,
        }
    }

    fn run(&self, from: Side, to: Side, size: (i32, i32)) -> Result<()> {
        let (gl, (width, height)) = (&self.device.gl, size);
        let framebuffer = glow::FRAMEBUFFER;
        // SAFETY: glBindFramebuffer of a framebuffer of our own.
        unsafe { gl.bind_framebuffer(framebuffer, Some(self.framebuffer)) };
        let point = glow::COLOR_ATTACHMENT0;
        // SAFETY: glFramebufferTexture2D of the bound framebuffer and a live texture.
        unsafe { gl.framebuffer_texture_2d(framebuffer, point, to.target, Some(to.name), 0) };
        // SAFETY: glCheckFramebufferStatus of the bound framebuffer.
        let status = unsafe { gl.check_framebuffer_status(framebuffer) };
        if status != glow::FRAMEBUFFER_COMPLETE {
            let code = format!("{status:#06x}: the driver does not draw into this format");
            return Err(Error::driver("glCheckFramebufferStatus", code));
        }
        // SAFETY: glViewport has no preconditions.
        unsafe { gl.viewport(0, 0, width, height) };
        // SAFETY: glUseProgram of a linked program.
        unsafe { gl.use_program(Some(self.program)) };
        // SAFETY: glGetUniformLocation of a linked program; not every fragment shader has it.
        let extent = unsafe { gl.get_uniform_location(self.program, "extent") };
        // No texture is larger than 65535.
        let [x, y] = [width, height].map(|side| f32::from(u16::try_from(side).unwrap_or(u16::MAX)));
        // SAFETY: glUniform2f of the current program; without a location it does nothing.
        unsafe { gl.uniform_2_f32(extent.as_ref(), x, y) };
        // SAFETY: glBindTexture of a live texture of this target, on unit 0, which the sampler reads by default.
        unsafe { gl.bind_texture(from.target, Some(from.name)) };
        // SAFETY: glDrawArrays: the vertex shader reads no attributes.
        unsafe { gl.draw_arrays(glow::TRIANGLES, 0, 3) };
        self.device.check_gl("drawing a frame")
    }
}
