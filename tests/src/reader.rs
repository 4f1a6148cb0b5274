//! Reads a texture through a shader, exactly, as floats.

use lucarne::egl::{Device, Texture};

/// What fetches every texel.
#[derive(Debug)]
pub struct Reader<'a> {
    device: &'a Device,
}

impl<'a> Reader<'a> {
    /// A reader on this context.
    pub fn new(device: &'a Device) -> Self {
        Self { device }
    }

    /// Every pixel, first row first, red, green, blue, alpha.
    ///
    /// # Panics
    ///
    /// When the driver cannot render to floating-point textures (`GL_EXT_color_buffer_float`), or on a GL error.
    pub fn read(&self, texture: &Texture) -> Vec<[f32; 4]> {
        self.device.download(texture).expect("a texture's pixels")
    }
}
