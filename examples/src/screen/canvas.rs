//! What the GL side draws into: the window, or a picture of its own off screen.

use super::gl::{Gl, size};
use crate::picture::Picture;

/// An off-screen picture of GL's own, deleted when dropped.
pub struct Canvas<'c> {
    gl: Gl<'c>,
    framebuffer: glow::Framebuffer,
    color: glow::Renderbuffer,
    width: u32,
    height: u32,
}

impl std::fmt::Debug for Canvas<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (width, height) = (self.width, self.height);
        f.debug_struct("Canvas")
            .field("width", &width)
            .field("height", &height)
            .finish_non_exhaustive()
    }
}

impl<'c> Canvas<'c> {
    pub(super) fn new(gl: Gl<'c>, width: u32, height: u32) -> Result<Self, String> {
        let framebuffer = gl.create_framebuffer()?;
        let color = gl
            .create_renderbuffer()
            .inspect_err(|_| gl.delete_framebuffer(framebuffer))?;
        let canvas = Self {
            gl,
            framebuffer,
            color,
            width,
            height,
        };
        gl.bind_renderbuffer(glow::RENDERBUFFER, Some(color));
        gl.renderbuffer_storage(glow::RENDERBUFFER, glow::RGBA8, size(width), size(height));
        gl.bind_framebuffer(glow::FRAMEBUFFER, Some(framebuffer));
        gl.framebuffer_renderbuffer(
            glow::FRAMEBUFFER,
            glow::COLOR_ATTACHMENT0,
            glow::RENDERBUFFER,
            Some(color),
        );
        let status = gl.check_framebuffer_status(glow::FRAMEBUFFER);
        if status == glow::FRAMEBUFFER_COMPLETE {
            Ok(canvas)
        } else {
            Err(format!(
                "GL cannot draw into a picture of {width}x{height} (status {status:#x})"
            ))
        }
    }

    pub(super) fn framebuffer(&self) -> glow::Framebuffer {
        self.framebuffer
    }

    /// Width and height in pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Reads what was drawn; waits until it is.
    #[must_use]
    pub fn read(&self) -> Picture {
        self.gl
            .bind_framebuffer(glow::FRAMEBUFFER, Some(self.framebuffer));
        Picture::from_bottom_up(
            self.width,
            self.height,
            self.gl.read_rgba(self.width, self.height),
        )
    }
}

impl Drop for Canvas<'_> {
    fn drop(&mut self) {
        self.gl.delete_framebuffer(self.framebuffer);
        self.gl.delete_renderbuffer(self.color);
    }
}
